"""Leaves as tables: what each player gets, by what of the leaves' tests the row passes.

The background side of a leaf depends on no row, so it is summed before any row comes. A leaf with
d players has 2**d patterns; for each the table holds what each of the d players gets. Leaves that
hang together share a table (`scoring.trees.groups`), which is the sum of theirs. To explain a row
is to look up one line of every table, whatever the number of background rows.

Summed over the background, the shares of `scoring.trees.shares` need, for every set X of players
that the row passes, the weight of background rows that fail some u players, all of them in X: a
sum over subsets, by size (the ranked zeta transform: Yates, "The design and analysis of factorial
experiments", 1937; Björklund et al., "Fourier meets Möbius: fast subset convolution", 2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.games.game import blocks
from scoring.trees.forest import Forest
from scoring.trees.groups import GROWTH, Groups, tops_of
from scoring.trees.paths import Paths
from scoring.trees.shares import shares

__all__ = [
    "CAP_BYTES", "Cap", "Layout", "Tables", "bytes_of_all", "cap_of", "chosen", "factors_of",
    "fits", "tables_of",
]  # fmt: skip

CAP_BYTES = 512 * 2**20
"""What all tables together may take, however large the model is."""

LEAF_BYTES = 56 * 2**10
"""What they may take for each of the model's leaves."""

PARTIAL_BYTES = 14 * 2**10
"""The same where only some leaves have tables, and rows are walked through the others."""

PARTIAL_CAP_BYTES = 64 * 2**20
"""And what they may take then, however large the model is."""

PAIR = 20
"""Numbers of tables that are looked up while one leaf is walked with one background row."""

MET = 16
"""Background rows among which meetings at leaves are counted."""

BUILD_BYTES = 64 * 2**20
"""What building them may take at a time."""

MIRROR = 1e-12
"""How far two values of a leaf may be from a constant sum, as a share of it, to be a mirror."""

CACHED = 2**19
"""Numbers that are looked up at a time: they stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Tables of groups of leaves.

    A group's table has a line for every pattern of its bits, those that are passed being 1. A line
    holds what each of the group's players gets, for every factor of a leaf, and then the values of
    the leaf that the pattern reaches, or zeros.

    Parameters
    ----------
    tops : int64 (n_groups,), the nodes above the leaves; see `scoring.trees.groups`.
    entries : float64, all tables one after the other.
    shared : whether nodes that test the same have one bit; in older artifacts every node has one.
    """

    tops: NDArray[np.int64]
    entries: NDArray[np.float64]
    shared: bool = False


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the numbers of a group are in the tables.

    Parameters
    ----------
    groups : of leaves, (n_groups,).
    n_factors, n_values : what a line has for each player, and besides.
    """

    groups: Groups
    n_factors: int
    n_values: int

    @cached_property
    def widths(self) -> NDArray[np.int64]:
        """How many numbers a group's line has, (n_groups,)."""
        return np.asarray(self.groups.n_players * self.n_factors + self.n_values)

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        return self.widths << self.groups.n_bits

    @property
    def n_entries(self) -> int:
        """How many numbers all tables have."""
        return int(self._sizes.sum())

    @cached_property
    def _last_lines(self) -> NDArray[np.int64]:
        """Where the line of those who pass everything begins, (n_groups,)."""
        return np.asarray(np.cumsum(self._sizes) - self.widths)

    def lines(self, failed: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return where the lines of rows begin, (n_rows, n_groups), by what they fail, as bits."""
        return np.asarray(self._last_lines - failed * self.widths)

    def table(
        self, entries: NDArray[np.float64], group: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return views of a group's table.

        Returns
        -------
        values : (2**n_bits, n_players, n_factors).
        outputs : (2**n_bits, n_values).
        """
        n_lines, width = 1 << int(self.groups.n_bits[group]), int(self.widths[group])
        stop = int(self._last_lines[group]) + width
        table = entries[stop - n_lines * width : stop].reshape(n_lines, width)
        values = table[:, : width - self.n_values]
        n_players = int(self.groups.n_players[group])
        return values.reshape(n_lines, n_players, self.n_factors), table[:, width - self.n_values :]


def factors_of(forest: Forest) -> NDArray[np.float64]:
    """Return what a leaf adds to the outputs from its own on, (n_leaves, n_factors).

    Of two values that have the same sum in every leaf, the second mirrors the first and is left
    out.
    """
    values = forest.factors
    if values.shape[1] == 2:
        total = values.sum(axis=1)
        if np.ptp(total) <= MIRROR * np.abs(total).max(initial=0.0):
            return values[:, :1]
    return values


class Cap(NamedTuple):
    """What tables may take, in bytes: where all leaves have one, and where only some have."""

    every: int
    some: int


def cap_of(forest: Forest, tables_bytes: int | None = None) -> Cap:
    """Return what tables may take.

    Parameters
    ----------
    tables_bytes : as somebody said it; by default in proportion to the model, up to `CAP_BYTES`.
    """
    if tables_bytes is not None:
        return Cap(tables_bytes, tables_bytes)
    n = forest.n_leaves
    return Cap(min(CAP_BYTES, LEAF_BYTES * n), min(PARTIAL_CAP_BYTES, PARTIAL_BYTES * n))


def bytes_of_all(paths: Paths) -> int:
    """Return a cap under which every leaf has a table."""
    return math.ceil(float(_leaf_bytes(paths).sum()))


def fits(paths: Paths, cap: Cap) -> bool:
    """Whether every leaf has a table under a cap."""
    total = bytes_of_all(paths)
    if total <= cap.every:
        return True
    every = np.arange(paths.forest.n_leaves)
    return total <= 2 * cap.every and 8 * _grown(paths, every, GROWTH).n_entries <= cap.every


def chosen(paths: Paths, background: NDArray[np.float64], cap: Cap) -> NDArray[np.int64]:
    """Choose the leaves that have tables.

    All of them where they fit. Else those whose walk takes longer than their table, the most that
    is saved per byte first; and none where what is left takes more than half of the time.

    Parameters
    ----------
    background : float64 (n_background, n_columns).

    Returns
    -------
    int64 (n_tabled,), ordered by the number of players.
    """
    order = np.argsort(paths.n_players, kind="stable")
    if fits(paths, cap):
        return order
    if not len(background) or not cap.some:
        return order[:0]
    walked = PAIR * _met(paths, background)
    factors, n_values = factors_of(paths.forest), paths.forest.values.shape[1]
    saved = walked - paths.n_players * factors.shape[1] - n_values
    sizes = _leaf_bytes(paths)
    best = np.argsort(-saved / sizes, kind="stable")
    best = best[(np.cumsum(sizes[best]) <= cap.some) & (saved[best] > 0)]
    if saved[best].sum() < walked.sum() / 2:
        return order[:0]
    return order[np.isin(order, best)]


def _leaf_bytes(paths: Paths) -> NDArray[np.float64]:
    """What every leaf's own table takes, (n_leaves,)."""
    d = paths.n_players.astype(np.float64)
    n_factors, n_values = factors_of(paths.forest).shape[1], paths.forest.values.shape[1]
    return np.asarray(8 * (d * n_factors + n_values) * 2**d)


def _met(paths: Paths, background: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many background rows a row like them meets at each leaf, (n_leaves,).

    They pass what it fails.
    """
    few = np.linspace(0, len(background) - 1, min(MET, len(background))).astype(np.intp)
    passed = paths.passed(background[few])
    everybody = (np.left_shift(1, paths.n_players) - 1).astype(passed.dtype)
    failed = passed ^ everybody[:, np.newaxis]
    met = np.zeros(len(failed))
    for each in failed.T:
        met += ((failed & each[:, np.newaxis]) == 0).sum(axis=1)
    return np.asarray(met / len(few) ** 2 * len(background))


def tables_of(
    paths: Paths,
    leaves: NDArray[np.int64],
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
    cap_bytes: int,
) -> Tables:
    """Sum the background into tables.

    Parameters
    ----------
    leaves : as `chosen` has them.
    background : float64 (n_background, n_columns), and weights (n_background,).
    """
    factors, layout = factors_of(paths.forest), _layout(paths, leaves, cap_bytes)
    groups = layout.groups
    entries = np.zeros(layout.n_entries)
    leaves = groups.leaves
    n_players = paths.n_players[leaves]
    failing = _failing(paths, leaves, background, weights)
    first = 0
    for d in np.unique(n_players).tolist():
        alike = leaves[n_players == d]
        weight = failing[first : first + (len(alike) << d)].reshape(len(alike), -1)
        first += weight.size
        for some in blocks(len(alike), max(1, BUILD_BYTES // (8 * (3 * d + 6) << d))):
            for leaf, table in zip(alike[some].tolist(), _table(weight[some], d), strict=True):
                _add(entries, layout, leaf, table[:, :, np.newaxis] * factors[leaf])
    return Tables(groups.tops, entries, groups.shared)


def _layout(paths: Paths, leaves: NDArray[np.int64], cap_bytes: int) -> Layout:
    """Bring leaves together; their tables may grow by it while all of them fit."""
    grown = _grown(paths, leaves, GROWTH)
    return grown if 8 * grown.n_entries <= cap_bytes else _grown(paths, leaves, 1)


def _grown(paths: Paths, leaves: NDArray[np.int64], growth: float) -> Layout:
    counts = factors_of(paths.forest).shape[1], paths.forest.values.shape[1]
    return Layout(Groups(paths, tops_of(paths, leaves, growth, *counts), shared=True), *counts)


def _add(
    entries: NDArray[np.float64], layout: Layout, leaf: int, table: NDArray[np.float64]
) -> None:
    """Add a leaf's table (2**d, d, n_factors) to that of its group."""
    paths = layout.groups.paths
    patterns = layout.groups.patterns(leaf)
    values, outputs = layout.table(entries, int(layout.groups.of_leaves[leaf]))
    values[:, layout.groups.slots(leaf)] += table[patterns]
    outputs[patterns == len(table) - 1] += paths.forest.values[leaf]


def _failing(
    paths: Paths,
    leaves: NDArray[np.int64],
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The weight of background rows that fail each set of players, (2**d,) leaf after leaf."""
    sizes = np.left_shift(1, paths.n_players[leaves])
    starts = np.cumsum(sizes) - sizes
    answer = np.zeros(int(sizes.sum()))
    every = (sizes - 1)[:, np.newaxis]
    for some in blocks(len(background), max(1, BUILD_BYTES // (32 * paths.forest.n_leaves))):
        passed = paths.passed(background[some])[leaves].astype(np.int64)
        keys = starts[:, np.newaxis] + (every ^ passed)
        answer += np.bincount(keys.ravel(), np.tile(weights[some], len(leaves)), len(answer))
    return answer


def _table(weight: NDArray[np.float64], d: int) -> NDArray[np.float64]:
    """Tables (n_leaves, 2**d, d) from the weights (n_leaves, 2**d) of who fails what."""
    n, size = weight.shape
    patterns = np.arange(size)
    counts = np.bitwise_count(patterns).astype(np.intp)
    ranked = np.zeros((n, d + 1, size))
    ranked[:, counts, patterns] = weight
    for bit in range(d):  # now over all subsets
        halves = ranked.reshape(n, d + 1, -1, 2, 1 << bit)
        halves[..., 1, :] += halves[..., 0, :]
    gained, lost = shares(d)
    q = d - counts  # players that the row fails and the background has to pass
    loss = np.einsum("nux,ux->nx", ranked, lost[:, q])
    gain = np.einsum("nux,ux->nx", ranked, gained[:, q])
    fewer = np.einsum("nux,ux->nx", ranked, gained[:, np.maximum(q - 1, 0)])
    table = np.empty((n, size, d))
    for bit in range(d):
        inside = patterns >> bit & 1 == 1
        table[:, inside, bit] = gain[:, inside] - fewer[:, patterns[inside] ^ (1 << bit)]
        table[:, ~inside, bit] = -loss[:, ~inside]
    return table
