"""Exact Shapley values of a sum of leaves, against weighted background rows.

A leaf answers its value where a row passes all its tests, so it is a product game: a feature
passes or fails for the row, and passes or fails for the background row. With p features that only
the row passes, q that only the background passes and none that both fail, each of the p gets
`(p-1)! q! / (p+q)!` of the leaf's value and each of the q loses `p! (q-1)! / (p+q)!` of it: the
share of the orders in which that feature is the last of the p, or the first of the q (Lundberg et
al., "From local explanations to global understanding with explainable AI for trees", 2020,
algorithm 3, states the same weights).

Only the pattern of passed tests counts, so background rows with the same pattern at a leaf are
one, and a pattern that fails where the row fails as well adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import factorial

import numpy as np
from numpy.typing import NDArray

from scoring.games.game import blocks

__all__ = ["DEEPEST", "Leaves", "Patterns"]

DEEPEST = 62
"""Different features on one path; their tests are the bits of an integer."""

BLOCK = 4_000_000
"""Pairs of a row and a background pattern that are looked at at a time."""


@dataclass(frozen=True, eq=False)
class Leaves:
    """Leaves as boxes: `lower < x <= upper` in each of a leaf's columns.

    Parameters
    ----------
    columns : int (n_leaves, depth), -1 where a leaf has fewer columns.
    lower, upper : float64 (n_leaves, depth); -inf and inf where there are fewer.
    values : float64 (n_leaves,), what each adds where all its tests pass.
    """

    columns: NDArray[np.intp]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    values: NDArray[np.float64]

    def patterns(self, rows: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return which columns pass, as bits; int64 (n_rows, n_leaves)."""
        bits = np.zeros((len(rows), len(self.values)), dtype=np.int64)
        for d in range(self.columns.shape[1]):
            x = rows[:, self.columns[:, d]]  # (n_rows, n_leaves); -1 is the last, and passes
            bits |= ((x > self.lower[:, d]) & (x <= self.upper[:, d])).astype(np.int64) << d
        return bits

    def answers(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of the leaves that rows reach, (n_rows,)."""
        reached = self.patterns(rows) == (1 << self.columns.shape[1]) - 1
        return np.asarray(reached @ self.values)


@dataclass(frozen=True, eq=False)
class Patterns:
    """The different patterns of a background at each leaf, and what they weigh.

    Parameters
    ----------
    leaf : int (n_patterns,), whose pattern it is.
    bits : int64 (n_patterns,), the columns that pass.
    weights : float64 (n_patterns,), weight of the background rows times the leaf's value.
    """

    leaves: Leaves
    leaf: NDArray[np.intp]
    bits: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def of(
        cls, leaves: Leaves, background: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> Patterns:
        """Count the patterns of background rows (n_background, n_columns)."""
        order: list[NDArray[np.intp]] = []
        bits: list[NDArray[np.int64]] = []
        totals: list[NDArray[np.float64]] = []
        per_block = max(1, BLOCK // len(background))
        for some in blocks(len(leaves.values), per_block):
            part = Leaves(
                leaves.columns[some], leaves.lower[some], leaves.upper[some], leaves.values[some]
            )
            found = part.patterns(background).T  # (leaves, n_background)
            which = np.argsort(found, axis=1, kind="stable")
            ranked = np.take_along_axis(found, which, axis=1)
            first = np.ones(ranked.shape, dtype=bool)
            first[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
            starts = np.flatnonzero(first)
            totals.append(np.add.reduceat(weights[which].ravel(), starts))
            bits.append(ranked.ravel()[starts])
            order.append(some.start + starts // len(background))
        leaf = np.concatenate(order)
        return cls(leaves, leaf, np.concatenate(bits), np.concatenate(totals) * leaves.values[leaf])

    def values(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Explain rows (n_rows, n_columns); float64 (n_rows, n_columns)."""
        answer = np.zeros(rows.shape)
        for some in blocks(len(rows), max(1, BLOCK // len(self.leaf))):
            answer[some] = self._block(rows[some])
        return answer

    def _block(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        depth = self.leaves.columns.shape[1]
        everything = (1 << depth) - 1
        own = self.leaves.patterns(rows)[:, self.leaf]  # (n_rows, n_patterns)
        row, pair = np.nonzero((own | self.bits) == everything)  # nowhere do both fail
        a, b = own[row, pair], self.bits[pair]
        gains, losses = a & ~b, b & ~a
        p, q = np.bitwise_count(gains), np.bitwise_count(losses)
        gained, lost = self._shares
        gain, loss = gained[p, q] * self.weights[pair], lost[p, q] * self.weights[pair]
        n_columns = rows.shape[1]
        total = np.zeros(rows.size)
        for d in range(depth):
            share = np.where(gains >> d & 1, gain, np.where(losses >> d & 1, -loss, 0.0))
            moved = np.flatnonzero(share)
            column = self.leaves.columns[self.leaf[pair[moved]], d]
            total += np.bincount(row[moved] * n_columns + column, share[moved], rows.size)
        return total.reshape(rows.shape)

    @cached_property
    def _shares(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shares of each gaining and each losing feature, by how many there are of both."""
        size = self.leaves.columns.shape[1] + 1
        gained, lost = np.zeros((size, size)), np.zeros((size, size))
        for p in range(size):
            for q in range(size - p):
                orders = factorial(p + q)
                gained[p, q] = factorial(p - 1) * factorial(q) / orders if p else 0.0
                lost[p, q] = factorial(p) * factorial(q - 1) / orders if q else 0.0
        return gained, lost
