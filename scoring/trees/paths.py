"""Which players a leaf's path tests, and which of them a row passes, as bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring.trees.forest import Forest

__all__ = ["MOST_PLAYERS", "NOBODY", "Paths"]

MOST_PLAYERS = 62
"""Different players on one path; their tests are the bits of an integer."""

NOBODY = -1


@dataclass(frozen=True, eq=False)
class Paths:
    """A forest's paths, with columns shared out among players.

    Parameters
    ----------
    owners : int64 (n_columns,), the player that each column belongs to.
    """

    forest: Forest
    owners: NDArray[np.int64]

    @cached_property
    def _walked(self) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
        """The bit of each inner node, (n_inner,), and the leaves' players (n_leaves, n_bits)."""
        forest = self.forest
        players = np.full((forest.n_trees, 0), NOBODY, dtype=np.int32)  # of this level's paths
        bits, found = [], []
        tested = self.owners[forest.columns].astype(np.int32)
        for level in forest.levels:
            found.append(players[level.leaves])
            above = players[level.inner]
            own = tested[level.first_inner : level.first_inner + len(level.inner)]
            used = (above != NOBODY).sum(axis=1)
            met = above == own[:, np.newaxis]
            bit = np.where(met.any(axis=1), met.argmax(axis=1) if met.shape[1] else 0, used)
            bits.append(bit.astype(np.int8))
            if len(bit) and bit.max() >= above.shape[1]:
                one_more = np.full((len(above), 1), NOBODY, dtype=np.int32)
                above = np.concatenate([above, one_more], axis=1)
            above[np.arange(len(bit)), bit] = own
            players = np.concatenate([above, above])
        n_bits = max((each.shape[1] for each in found), default=0)
        padded = [
            np.pad(each, ((0, 0), (0, n_bits - each.shape[1])), constant_values=NOBODY)
            for each in found
        ]
        return np.concatenate(bits), np.concatenate(padded)

    @property
    def bits(self) -> NDArray[np.int8]:
        """The bit that stands for an inner node's player on its path, (n_inner,)."""
        return self._walked[0]

    @property
    def players(self) -> NDArray[np.int32]:
        """The players of a leaf's path by their bits, (n_leaves, n_bits); -1 for none."""
        return self._walked[1]

    @cached_property
    def n_players(self) -> NDArray[np.int64]:
        """How many different players a leaf's path tests, (n_leaves,)."""
        return np.asarray((self.players != NOBODY).sum(axis=1))

    def passed(self, columns: NDArray[np.float64]) -> NDArray[np.integer]:
        """Return which players of a leaf's path rows pass, as bits; (n_leaves, n_rows).

        Bits above the path's players are not set. The integers are as narrow as they can be.
        """
        forest, n_rows = self.forest, len(columns)
        left, flags = forest.goes_left(columns), self._flags
        failed = np.zeros((forest.n_trees, n_rows), dtype=self.dtype)
        answer = np.empty((forest.n_leaves, n_rows), dtype=self.dtype)
        for level in forest.levels:
            n_inner, n_leaves = len(level.inner), len(level.leaves)
            answer[level.first_leaf : level.first_leaf + n_leaves] = failed[level.leaves]
            if not n_inner:
                break
            here = slice(level.first_inner, level.first_inner + n_inner)
            above, bit = failed[level.inner], flags[here, np.newaxis]
            failed = np.empty((2 * n_inner, n_rows), dtype=self.dtype)
            miss = np.multiply(left[here], bit, dtype=self.dtype)  # of those that go right
            np.bitwise_or(above, miss, out=failed[n_inner:])
            np.bitwise_xor(miss, bit, out=miss)
            np.bitwise_or(above, miss, out=failed[:n_inner])
        np.bitwise_xor(answer, self._everybody[:, np.newaxis], out=answer)
        return answer

    @cached_property
    def dtype(self) -> np.dtype[np.integer]:
        """The narrowest integers for the bits of a leaf's players; none needs all of 64."""
        n_bits = self.players.shape[1]
        words = ((8, np.uint8), (16, np.uint16), (32, np.uint32), (64, np.int64))
        return np.dtype(next(word for most, word in words if n_bits <= most))

    @cached_property
    def _flags(self) -> NDArray[np.integer]:
        return np.left_shift(1, self.bits.astype(np.int64)).astype(self.dtype)

    @cached_property
    def _everybody(self) -> NDArray[np.integer]:
        return (np.left_shift(1, self.n_players) - 1).astype(self.dtype)
