"""The exact game of trees that are added up, against weighted background rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError
from scoring.games.game import blocks
from scoring.trees.bins import Bins, bins_of
from scoring.trees.deep import Deep, Met
from scoring.trees.entries import Entries, entries_of
from scoring.trees.forest import Forest
from scoring.trees.groups import Groups
from scoring.trees.paths import MOST_PLAYERS, Paths
from scoring.trees.shares import pair_shares, shares
from scoring.trees.spread import count, spread
from scoring.trees.tables import (
    CACHED,
    Layout,
    Tables,
    cap_of,
    chosen,
    factors_of,
    tables_of,
)

__all__ = ["TreeGame", "tree_game"]

WALKED_BYTES = 400
"""What a leaf takes while a row is walked through the trees, generously."""


@dataclass(frozen=True, eq=False)
class TreeGame:
    """Shapley values of a forest's sums.

    Parameters
    ----------
    forest : the trees.
    owners : int64 (n_columns,), the player that each column belongs to.
    n_players : how many players there are.
    background : float64 (n_background, n_columns); no rows where only tables are needed.
    weights : float64 (n_background,), summing to 1.
    base_values : float64 (n_outputs,), what the trees say of the background.
    tables : of the leaves that have one.
    """

    forest: Forest
    owners: NDArray[np.int64]
    n_players: int
    background: NDArray[np.float64]
    weights: NDArray[np.float64]
    base_values: NDArray[np.float64]
    tables: Tables

    @property
    def method(self) -> str:
        """What to call it."""
        return "exact tree"

    @property
    def n_columns(self) -> int:
        """How many columns a row has."""
        return len(self.owners)

    @property
    def n_outputs(self) -> int:
        """How many outputs there are."""
        return len(self.base_values)

    def outputs(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the trees add up to, (n_rows, n_outputs)."""
        if not self._whole:
            return answers(self.forest, columns)
        answer = np.empty((len(columns), self.n_outputs))
        for some in self._looked_up_rows(len(columns), 32 * CACHED):
            answer[some] = self._total(self._lines(columns[some]))
        return answer

    def values(self, columns: NDArray[np.float64], block_bytes: int) -> NDArray[np.float64]:
        """Explain rows; see `scoring.games.exact`."""
        answer = np.zeros((len(columns), self.n_outputs, self.n_players))
        if len(self.tables.tops):
            for some in self._looked_up_rows(len(columns), block_bytes):
                answer[some] = self._looked_up(self._lines(columns[some]))
        if not self.looks_up_all:
            for some in blocks(len(columns), self._walked_rows(block_bytes)):
                answer[some] += self.walked(columns[some])
        return np.asarray(answer.transpose(0, 2, 1))

    def outputs_and_values(
        self, columns: NDArray[np.float64], block_bytes: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return both, see `scoring.games.exact`; leaves that have tables are found once."""
        if not self._whole:
            return self.outputs(columns), self.values(columns, block_bytes)
        outputs = np.empty((len(columns), self.n_outputs))
        values = np.empty((len(columns), self.n_outputs, self.n_players))
        for some in self._looked_up_rows(len(columns), block_bytes):
            lines = self._lines(columns[some])
            outputs[some], values[some] = self._total(lines), self._looked_up(lines)
        return outputs, np.asarray(values.transpose(0, 2, 1))

    def without_background(self) -> TreeGame:
        """Return the same game without the background's rows, if tables are all that is needed."""
        if not self.looks_up_all:
            return self
        return replace(self, background=self.background[:0], weights=self.weights[:0])

    @property
    def has_interactions(self) -> bool:
        """Whether the background's rows, which interactions need, are still there."""
        return len(self.weights) > 0

    def interactions(self, columns: NDArray[np.float64], block_bytes: int) -> NDArray[np.float64]:
        """Return interaction values; see `scoring.games.exact`.

        Raises
        ------
        ModelError
            The background's rows were left out.
        """
        if not self.has_interactions:
            raise ModelError(
                "interaction values need the background's rows, which this explainer was distilled "
                "without. Distil it with interactions=True."
            )
        answer = np.empty((len(columns), self.n_players, self.n_players, self.n_outputs))
        everywhere = Deep(
            self.paths,
            np.ones(self.forest.n_leaves, dtype=bool),
            self.background,
            self.weights,
            self.n_players,
        )
        for some in blocks(len(columns), self._walked_rows(block_bytes)):
            answer[some] = self._interacting(everywhere.met(columns[some]), some.stop - some.start)
        diagonal = np.arange(self.n_players)
        own = self.values(columns, block_bytes)
        answer[:, diagonal, diagonal] = 0.0
        answer[:, diagonal, diagonal] = own - answer.sum(axis=2)
        return answer

    @cached_property
    def paths(self) -> Paths:
        """Which players decide which leaf."""
        return Paths(self.forest, self.owners)

    @property
    def share_of_leaves(self) -> float:
        """How many of the leaves are in tables."""
        return len(self.layout.groups.leaves) / self.forest.n_leaves

    @property
    def looks_up_all(self) -> bool:
        """Whether no leaf that gives anything is without a table."""
        return not self._chosen.any()

    @cached_property
    def layout(self) -> Layout:
        """Where the tables have what."""
        n_factors, n_values = self._factors.shape[1], self.forest.values.shape[1]
        groups = Groups(self.paths, self.tables.tops, self.tables.shared)
        return Layout(groups, n_factors, n_values)

    @cached_property
    def _factors(self) -> NDArray[np.float64]:
        """What a leaf adds to the outputs from its own on, (n_leaves, n_factors)."""
        return factors_of(self.forest)

    @cached_property
    def _mirrored(self) -> bool:
        return bool(self._factors.shape[1] < self.forest.values.shape[1])

    @cached_property
    def _chosen(self) -> NDArray[np.bool_]:
        """The leaves that have no table."""
        chosen = self.paths.n_players > 0
        chosen[self.layout.groups.leaves] = False
        return chosen

    @cached_property
    def _deep(self) -> Deep:
        return Deep(self.paths, self._chosen, self.background, self.weights, self.n_players)

    @cached_property
    def _whole(self) -> bool:
        """Whether every leaf is in a table."""
        return len(self.layout.groups.leaves) == self.forest.n_leaves

    @cached_property
    def _bins(self) -> Bins | None:
        return bins_of(self.layout.groups)

    @cached_property
    def _entries(self) -> Entries:
        groups, n_factors = self.layout.groups, self.layout.n_factors
        group, player = (each.repeat(n_factors) for each in groups.members)
        factor = np.tile(np.arange(n_factors), len(group) // n_factors)
        keys = (groups.outputs[group] + factor) * self.n_players + player
        first = np.searchsorted(group, np.arange(len(self.tables.tops)))
        return entries_of(group, np.arange(len(group)) - first[group], keys)

    def _looked_up_rows(self, n_rows: int, block_bytes: int) -> Iterator[slice]:
        numbers = min(CACHED, block_bytes // 32)
        per_row = len(self._entries.group) + self.layout.groups.n_tests
        return blocks(n_rows, max(1, numbers // max(1, per_row)))

    def _lines(self, columns: NDArray[np.float64]) -> NDArray[np.int64]:
        """Where the lines of rows begin in the tables, (n_rows, n_groups)."""
        if self._bins is not None:
            return self.layout.lines(self._bins.failed(self.forest.rounded(columns)))
        failed = self.layout.groups.failed(self.forest.goes_left(columns))
        return self.layout.lines(np.ascontiguousarray(failed.T))

    def _total(self, lines: NDArray[np.int64]) -> NDArray[np.float64]:
        """The outputs of rows (n_rows, n_outputs): a line ends with the leaf that it reaches."""
        own = self._ends + lines[:, :, np.newaxis]
        values = self.tables.entries.take(own)
        return self.forest.total(values, self.layout.groups.outputs, self._top_trees)

    @cached_property
    def _top_trees(self) -> NDArray[np.int64]:
        """The tree of each group, (n_groups,)."""
        return self.forest.trees[self.tables.tops]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Where a line has the values of its leaf, (n_groups, n_values)."""
        widths, n_values = self.layout.widths[:, np.newaxis], self.layout.n_values
        return widths - n_values + np.arange(n_values)

    def _looked_up(self, lines: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n_rows, n_outputs, n_players) from the tables."""
        total = np.zeros((len(lines), self.n_outputs * self.n_players))
        if len(self._entries.key):
            place = lines.take(self._entries.group, axis=1)
            place += self._entries.offset
            total[:, self._entries.key] = self._entries.sums(self.tables.entries.take(place))
        return self._all_outputs(total.reshape(len(lines), self.n_outputs, self.n_players))

    def walked(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what leaves without tables give, (n_rows, n_outputs, n_players)."""
        met = self._deep.met(columns)
        n_bits = self.paths.players.shape[1]
        gained, lost = (each.ravel() for each in shares(n_bits))
        pq = count(met.gained) * (n_bits + 1) + count(met.lost)[met.pair]
        gain = gained[pq] * met.weights
        loss = np.zeros(len(met.leaf)) + np.bincount(
            met.pair, lost[pq] * met.weights, len(met.leaf)
        )
        return self._paid(met, gain, loss, len(columns))

    def _paid(
        self, met: Met, gain: NDArray[np.float64], loss: NDArray[np.float64], n_rows: int
    ) -> NDArray[np.float64]:
        shape = n_rows * self.n_outputs, self.n_players
        total = np.zeros(shape)
        for k, factors in enumerate(self._factors.T):
            factor = factors[met.leaf]
            at = met.row * self.n_outputs + self.forest.outputs[met.leaf] + k
            total += spread(met.gained, gain * factor[met.pair], at[met.pair], shape)
            total -= spread(met.lost, loss * factor, at, shape)
        return self._all_outputs(total.reshape(n_rows, self.n_outputs, self.n_players))

    def _interacting(self, met: Met, n_rows: int) -> NDArray[np.float64]:
        """(n_rows, n_players, n_players, n_outputs), but for the diagonal."""
        n_bits = self.paths.players.shape[1]
        both = [each.ravel() for each in pair_shares(n_bits)]
        lost = met.lost[:, met.pair]
        pq = count(met.gained) * (n_bits + 1) + count(lost)
        shape = n_rows * self.n_outputs, self.n_players
        answer = np.zeros((self.n_players, *shape))
        for k, factors in enumerate(self._factors.T):
            at = (met.row * self.n_outputs + self.forest.outputs[met.leaf] + k)[met.pair]
            weight = met.weights * factors[met.leaf[met.pair]] / 2
            together, against, without = (each[pq] * weight for each in both)
            for player in range(self.n_players):
                gains = np.flatnonzero(_has(met.gained, player))
                loses = np.flatnonzero(_has(lost, player))
                answer[player] += spread(met.gained[:, gains], together[gains], at[gains], shape)
                answer[player] -= spread(lost[:, gains], against[gains], at[gains], shape)
                answer[player] += spread(lost[:, loses], without[loses], at[loses], shape)
                answer[player] -= spread(met.gained[:, loses], against[loses], at[loses], shape)
        by_output = answer.reshape(self.n_players, n_rows, self.n_outputs, self.n_players)
        pairs = self._all_outputs(by_output.transpose(1, 0, 2, 3))
        return np.asarray(pairs.transpose(0, 1, 3, 2))

    def _all_outputs(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fill in (..., n_outputs, n_players) what was left out because it mirrors the other."""
        if self._mirrored:
            values[..., 1, :] = -values[..., 0, :]
        return values

    def _walked_rows(self, block_bytes: int) -> int:
        sets = 1 + len(self.weights) // 64
        return max(1, block_bytes // (WALKED_BYTES * sets * self.forest.n_leaves))


def tree_game(
    forest: Forest,
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
    owners: NDArray[np.int64],
    n_players: int,
    cap_bytes: int | None = None,
) -> TreeGame | None:
    """Sum a background into tables, as far as they fit.

    Parameters
    ----------
    background : float64 (n_background, n_columns).
    weights : float64 (n_background,), summing to 1.
    owners : int64 (n_columns,), the player that each column belongs to.
    cap_bytes : what the tables may take; by default what `cap_of` allows.

    Returns
    -------
    None where a path tests more than `MOST_PLAYERS` players.
    """
    paths = Paths(forest, owners)
    if paths.players.shape[1] > MOST_PLAYERS:
        return None
    cap = cap_of(forest, cap_bytes)
    tables = tables_of(paths, chosen(paths, background, cap), background, weights, cap.every)
    base_values = weights @ answers(forest, background)
    return TreeGame(forest, owners, n_players, background, weights, base_values, tables)


def answers(forest: Forest, columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what trees add up to, (n_rows, n_outputs), some rows at a time."""
    answer = np.empty((len(columns), len(forest.base)))
    for some in blocks(len(columns), max(1, CACHED // forest.n_trees)):
        answer[some] = forest.answers(columns[some])
    return answer


def _has(words: NDArray[np.unsignedinteger], player: int) -> NDArray[np.bool_]:
    number, bit = divmod(player, 8 * words.itemsize)
    return np.asarray(words[number] >> bit & 1 == 1)
