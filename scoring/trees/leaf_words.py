"""Which leaves of a tree the tests of one player leave open, as the bits of a word.

A test that is passed rules out the leaves on its other side, whatever the other tests say, and the
leaf that is reached is the one that no test rules out (Lucchese et al., "QuickScorer: a fast
algorithm to rank documents with additive ensembles of regression trees", SIGIR 2015, section 3).
So it may be found from the words of single players, each answered by a row of its own: it is the
only bit that they have in common.

The first leaf of a tree has no bit: it is reached where no bit is left. So 64 leaves fit into the
63 bits of a positive number. As a floating-point number a word of one bit is a power of two, and
its exponent is the place of the leaf's value in a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring.trees.forest import Forest

__all__ = ["MOST_LEAVES", "LeafWords", "Words", "fits", "leaf_places"]

MOST_LEAVES = 64
"""Leaves of the largest tree whose leaves are the bits of a word."""

Words = NDArray[np.signedinteger]
"""Sets of leaves of one tree as bits; int32 where they fit, or else int64."""

MANTISSA = 52
"""Bits below the exponent of a float64."""

BIAS = 1023
"""What the exponent of 1.0 is written as."""


@dataclass(frozen=True, eq=False)
class LeafWords:
    """A forest's tests as words, with columns shared out among players.

    A test here is all that one tree asks of one player.

    Parameters
    ----------
    forest : of trees that fit, see `fits`.
    owners : int64 (n_columns,), the player that each column belongs to.
    """

    forest: Forest
    owners: NDArray[np.int64]

    @cached_property
    def dtype(self) -> type[np.signedinteger]:
        """The type of a word: as narrow as the largest tree allows."""
        return np.int32 if self._n_leaves.max(initial=1) <= 32 else np.int64

    @cached_property
    def trees(self) -> NDArray[np.int64]:
        """The tree of each test, (n_tests,), ascending."""
        return self._tests[0]

    @cached_property
    def players(self) -> NDArray[np.int64]:
        """The player of each test, (n_tests,), ascending within a tree."""
        return self._tests[1]

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """What leaves answer, (n_trees, n_places), by `leaf_places`."""
        answer = np.zeros((self.forest.n_trees, BIAS + int(self._n_leaves.max(initial=1))))
        place = np.where(self._ranks == 0, 0, BIAS + self._ranks - 1)
        answer[self._leaf_trees, place] = self.forest.factors[:, 0]
        return answer

    @cached_property
    def constant(self) -> NDArray[np.float64]:
        """What trees of one leaf add up to, (n_outputs,): they have no tests."""
        answer = np.zeros(len(self.forest.base))
        alone = self._n_leaves == 1
        np.add.at(answer, self.outputs[alone], self.values[alone, 0])
        return answer

    @cached_property
    def outputs(self) -> NDArray[np.int32]:
        """The output that each tree adds to, (n_trees,)."""
        answer = np.zeros(self.forest.n_trees, dtype=np.int32)
        answer[self._leaf_trees] = self.forest.outputs
        return answer

    def left_open(self, columns: NDArray[np.float64]) -> Words:
        """Return the leaves that each test leaves open to rows, (n_tests, n_rows)."""
        if not len(self.trees):
            return np.empty((0, len(columns)), dtype=self.dtype)
        goes_left, (left, right) = self.forest.goes_left(columns), self._sides
        nodes, starts = self._tests[2:]
        kept = np.where(goes_left[nodes], left[nodes, np.newaxis], right[nodes, np.newaxis])
        return np.bitwise_and.reduceat(kept, starts, axis=0)

    @cached_property
    def _tests(self) -> tuple[NDArray[np.int64], ...]:
        """Trees and players of tests, inner nodes in the order of tests, and where each starts."""
        tree, player = self._node_trees, self.owners[self.forest.columns]
        nodes = np.lexsort((player, tree))
        tree, player = tree[nodes], player[nodes]
        new = np.ones(len(nodes), dtype=bool)
        new[1:] = (np.diff(tree) != 0) | (np.diff(player) != 0)
        starts = np.flatnonzero(new)
        return tree[starts], player[starts], nodes, starts

    @cached_property
    def _walked(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The trees of inner nodes (n_inner,) and of leaves (n_leaves,)."""
        here, inner, leaves = np.arange(self.forest.n_trees), [], []
        for level in self.forest.levels:
            inner.append(here[level.inner])
            leaves.append(here[level.leaves])
            here = np.concatenate([inner[-1], inner[-1]])
        return np.concatenate(inner), np.concatenate(leaves)

    @property
    def _node_trees(self) -> NDArray[np.int64]:
        return self._walked[0]

    @property
    def _leaf_trees(self) -> NDArray[np.int64]:
        return self._walked[1]

    @cached_property
    def _n_leaves(self) -> NDArray[np.int64]:
        return np.bincount(self._leaf_trees, minlength=self.forest.n_trees)

    @cached_property
    def _ranks(self) -> NDArray[np.int64]:
        """The number of each leaf within its tree, (n_leaves,)."""
        order = np.argsort(self._leaf_trees, kind="stable")
        answer = np.empty_like(order)
        first = np.cumsum(self._n_leaves) - self._n_leaves
        answer[order] = np.arange(len(order)) - np.repeat(first, self._n_leaves)
        return answer

    @cached_property
    def _sides(self) -> tuple[Words, Words]:
        """What inner nodes leave open where a row goes left and where it goes right, (n_inner,)."""
        own = np.where(self._ranks == 0, 0, np.left_shift(1, np.maximum(self._ranks - 1, 0)))
        left = np.empty(len(self.forest.columns), dtype=np.int64)
        right, below = np.empty_like(left), np.empty(0, dtype=np.int64)
        for level in reversed(self.forest.levels):
            n = len(level.inner)
            inner = slice(level.first_inner, level.first_inner + n)
            left[inner], right[inner] = below[:n], below[n:]
            below = np.empty(n + len(level.leaves), dtype=np.int64)
            below[level.inner] = left[inner] | right[inner]
            below[level.leaves] = own[level.first_leaf : level.first_leaf + len(level.leaves)]
        whole = below[self._node_trees]  # of each node's tree
        return (whole & ~right).astype(self.dtype), (whole & ~left).astype(self.dtype)


def fits(forest: Forest) -> bool:
    """Whether a forest has one value a leaf, and no tree has more than `MOST_LEAVES`."""
    if forest.values.shape[1] != 1:
        return False
    words = LeafWords(forest, np.zeros(1, dtype=np.int64))
    return bool(words._n_leaves.max(initial=0) <= MOST_LEAVES)  # noqa: SLF001 of this class


def leaf_places(words: Words, floats: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the places of leaves in `LeafWords.values`, of words that have one bit or none.

    Parameters
    ----------
    floats : of the words' shape, overwritten; the answer is a view of it.
    """
    np.copyto(floats, words)  # a power of two, or zero: exact
    places = floats.view(np.int64)
    return np.right_shift(places, MANTISSA, out=places)
