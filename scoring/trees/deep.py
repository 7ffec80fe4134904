"""Leaves without tables: computed for the row at hand, from the background rows that reach them.

A leaf says something about a row only if some background row passes every test that the row
fails; of a deep tree's leaves few do. So the trees are walked from their roots with the set of
background rows that can still make up for what the row has failed, and a branch is left when that
set is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring.trees.forest import Forest, Level
from scoring.trees.paths import Paths

__all__ = ["Deep", "Met"]

SET = 64
"""Background rows in a word of a set."""


@dataclass(frozen=True, eq=False)
class Met:
    """Leaves that say something about rows, and with which background rows they do.

    Parameters
    ----------
    row, leaf : int64 (n_met,), who met which leaf.
    lost : words (n_words, n_met), the players that the row fails there.
    pair : int64 (n_pairs,), the number of a meeting.
    gained : words (n_words, n_pairs), the players that the background row fails there; the row
        passes them.
    weights : float64 (n_pairs,), of the background row.
    """

    row: NDArray[np.int64]
    leaf: NDArray[np.int64]
    lost: NDArray[np.unsignedinteger]
    pair: NDArray[np.int64]
    gained: NDArray[np.unsignedinteger]
    weights: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Deep:
    """Leaves of a forest that have no tables.

    Parameters
    ----------
    chosen : bool (n_leaves,).
    background : float64 (n_background, n_columns), and weights (n_background,).
    n_players : how many there are in all; they are bits of words as narrow as they can be.
    """

    paths: Paths
    chosen: NDArray[np.bool_]
    background: NDArray[np.float64]
    weights: NDArray[np.float64]
    n_players: int

    @property
    def forest(self) -> Forest:
        """The trees."""
        return self.paths.forest

    @cached_property
    def word(self) -> np.dtype[np.unsignedinteger]:
        """What players are bits of."""
        n = self.n_players
        return np.dtype(np.uint16 if n <= 16 else np.uint32 if n <= 32 else np.uint64)

    @cached_property
    def _flags(self) -> NDArray[np.unsignedinteger]:
        """The bit of each inner node's player, (n_words, n_inner)."""
        owners, n_bits = self.paths.owners[self.forest.columns], 8 * self.word.itemsize
        number, bit = np.divmod(owners, n_bits)
        flags = np.zeros((-(-self.n_players // n_bits), len(owners)), dtype=self.word)
        one = np.left_shift(np.uint64(1), bit.astype(np.uint64))
        flags[number, np.arange(len(owners))] = one.astype(self.word)
        return flags

    @cached_property
    def _children(self) -> NDArray[np.int64]:
        """Left children, then right ones, (2 * n_inner,): an inner node, or -1 minus a leaf."""
        forest, n_inner = self.forest, len(self.forest.columns)
        children = np.empty((2, n_inner), dtype=np.int64)
        for above, level in zip(forest.levels, forest.levels[1:], strict=False):
            place = _places(level)
            here = slice(above.first_inner, above.first_inner + len(above.inner))
            children[:, here] = place.reshape(2, -1)
        return children.reshape(-1)

    @cached_property
    def _background(self) -> tuple[NDArray[np.unsignedinteger], NDArray[np.uint64]]:
        """What the background fails.

        The players that its rows fail at each leaf, words (n_words, n_leaves, n_background); and
        the rows that pass all tests of its player down to each branch, as sets (n_sets, 2 *
        n_inner).
        """
        forest, n_rows = self.forest, len(self.background)
        left = forest.goes_left(self.background)
        n_words, n_inner = self._flags.shape
        at_leaves = np.empty((n_words, forest.n_leaves, n_rows), dtype=self.word)
        able = np.empty((-(-n_rows // SET), 2, n_inner), dtype=np.uint64)
        failed = np.zeros((n_words, forest.n_trees, n_rows), dtype=self.word)
        for level in forest.levels:
            n_leaves = len(level.leaves)
            at_leaves[:, level.first_leaf : level.first_leaf + n_leaves] = failed[:, level.leaves]
            here = slice(level.first_inner, level.first_inner + len(level.inner))
            flags, goes = self._flags[:, here, np.newaxis], left[here]
            nothing = np.zeros((), dtype=self.word)
            sides = [np.where(goes, nothing, flags), np.where(goes, flags, nothing)]
            sides = [side | failed[:, level.inner] for side in sides]
            for number, side in enumerate(sides):
                able[:, number, here] = _sets(~((side & flags) != 0).any(axis=0))
            failed = np.concatenate(sides, axis=1)
        return at_leaves, able.reshape(len(able), -1)

    def met(self, columns: NDArray[np.float64]) -> Met:
        """Walk rows (n_rows, n_columns) through the trees."""
        row, leaf, lost, alive = self._walk(columns)
        pair, b = _members(alive)
        gained = self._background[0][:, leaf[pair], b]
        return Met(row, leaf, lost, pair, gained, self.weights[b])

    def _walk(
        self, columns: NDArray[np.float64]
    ) -> tuple[
        NDArray[np.int64], NDArray[np.int64], NDArray[np.unsignedinteger], NDArray[np.uint64]
    ]:
        """Rows, leaves, the players that rows fail there, and who makes up for it, as sets."""
        forest, n_rows = self.forest, len(columns)
        n_inner = len(forest.columns)
        left = forest.goes_left(columns).reshape(-1)
        able, flags, children = self._background[1], self._flags, self._children
        everyone = _sets(np.ones((1, len(self.weights)), bool))
        place = _places(forest.levels[0]).repeat(n_rows)
        row = np.tile(np.arange(n_rows), forest.n_trees)
        failed = np.zeros((len(flags), len(row)), dtype=self.word)
        alive = everyone.repeat(len(row), axis=1)
        found = []
        while len(place):
            ends = np.flatnonzero(place < 0)
            leaf = -1 - place[ends]
            ends, leaf = (each[self.chosen[leaf]] for each in (ends, leaf))
            found.append((row[ends], leaf, failed.take(ends, axis=1), alive.take(ends, axis=1)))
            inner = np.flatnonzero(place >= 0)
            node, row = place[inner], row[inner]
            failed, alive = failed.take(inner, axis=1), alive.take(inner, axis=1)
            goes = left[node * n_rows + row]
            flag = flags.take(node, axis=1)
            passing, failing = node + n_inner * ~goes, node + n_inner * goes
            before = ((failed & flag) != 0).any(axis=0)
            then = able.take(passing, axis=1)
            then |= np.where(before, np.uint64(0), ~np.uint64(0))
            then &= alive
            alive &= able.take(failing, axis=1)
            on, off = (np.flatnonzero(np.bitwise_or.reduce(each, axis=0)) for each in (then, alive))
            place = children[np.concatenate([passing[on], failing[off]])]
            row = np.concatenate([row[on], row[off]])
            missed = failed.take(off, axis=1) | flag.take(off, axis=1)
            failed = np.concatenate([failed.take(on, axis=1), missed], axis=1)
            alive = np.concatenate([then.take(on, axis=1), alive.take(off, axis=1)], axis=1)
        rows, leaves, lost, sets = zip(*found, strict=True)
        return (
            np.concatenate(rows),
            np.concatenate(leaves),
            np.concatenate(lost, axis=1),
            np.concatenate(sets, axis=1),
        )


def _places(level: Level) -> NDArray[np.int64]:
    """What a level's places hold: an inner node's number, or -1 minus a leaf's."""
    place = np.empty(len(level.inner) + len(level.leaves), dtype=np.int64)
    place[level.inner] = level.first_inner + np.arange(len(level.inner))
    place[level.leaves] = -1 - level.first_leaf - np.arange(len(level.leaves))
    return place


def _sets(members: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Flags (n, n_rows) as sets: bits of words, (n_sets, n)."""
    n_sets = -(-members.shape[1] // SET)
    padded = np.zeros((len(members), SET * n_sets), dtype=bool)
    padded[:, : members.shape[1]] = members
    return np.ascontiguousarray(np.packbits(padded, axis=1, bitorder="little").view(np.uint64).T)


def _members(sets: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Who is in sets (n_sets, n): pairs of a column and a member."""
    columns, members = [], []
    for number, words in enumerate(sets):
        column = np.flatnonzero(words)
        left = words[column]
        while len(column):
            below = left - np.uint64(1)
            columns.append(column)
            members.append(SET * number + np.bitwise_count(below & ~left).astype(np.int64))
            left = left & below  # without its lowest bit
            more = np.flatnonzero(left)
            column, left = column[more], left[more]
    nothing = np.zeros(0, dtype=np.int64)
    return np.concatenate([nothing, *columns]), np.concatenate([nothing, *members])
