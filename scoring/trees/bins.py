"""Bins of a column's numbers: what lies between two thresholds fails the same tests.

What is failed by every bin of every column can be known before any row comes: a row then fails what
the bins of its columns fail together (after Lucchese et al., "QuickScorer: a fast algorithm to rank
documents with additive ensembles of regression trees", SIGIR 2015, who do it test by test).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring.games.game import blocks
from scoring.trees.forest import NO_SET, TINY, Forest
from scoring.trees.groups import Groups
from scoring.trees.tables import CACHED

__all__ = ["MOST_BYTES", "Bins", "bins_of"]

MOST_BYTES = 192 * 2**20
"""What all lines together may take; trees that need more are asked test by test."""

SPARSE = 8
"""Words of bins per test above which most of them say nothing."""


@dataclass(frozen=True, eq=False)
class Bins:
    """What the bins of columns fail.

    Parameters
    ----------
    tested : int64 (n_tested,), the columns that are tested at all.
    n_thresholds : int64 (n_tested,), how many each of them has.
    thresholds : float64, ascending for a column, one column after the other.
    lines : integer (n_lines, n_groups), what is failed of groups, as bits. Each column has a line
        for every number of thresholds that it may exceed, and one for gaps at the end.
    """

    tested: NDArray[np.int64]
    n_thresholds: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    lines: NDArray[np.integer]

    def failed(self, rounded: NDArray[np.float64]) -> NDArray[np.integer]:
        """Return what rows fail of groups, as bits; (n_rows, n_groups).

        Parameters
        ----------
        rounded : float64 (n_rows, n_columns), as the trees compare them.
        """
        above = rounded.take(self._compared, axis=1) > self.thresholds
        line = np.add.reduceat(above, self._first, axis=1, dtype=np.int64)
        missing = np.isnan(rounded.take(self.tested, axis=1))
        if missing.any():
            line = np.where(missing, self.n_thresholds + 1, line)
        line += self._first_line
        answer: NDArray[np.integer] = np.bitwise_or.reduce(self.lines[line], axis=1)
        return answer

    @cached_property
    def _compared(self) -> NDArray[np.int64]:
        """The column that each threshold is of."""
        return self.tested.repeat(self.n_thresholds)

    @cached_property
    def _first(self) -> NDArray[np.int64]:
        return np.cumsum(self.n_thresholds) - self.n_thresholds

    @cached_property
    def _first_line(self) -> NDArray[np.int64]:
        return self._first + 2 * np.arange(len(self.tested))


def bins_of(groups: Groups, most_bytes: int = MOST_BYTES) -> Bins | None:
    """Find out what fails by each bin.

    Returns
    -------
    None where no column is tested, where the lines take more than `most_bytes`, or where most
    columns have no say in most groups: then to ask test by test is faster.
    """
    forest, n_groups = groups.paths.forest, len(groups.tops)
    tested = np.unique(forest.columns).astype(np.int64)
    found = [_thresholds(forest, column) for column in tested.tolist()]
    n_lines = sum(len(each) + 2 for each in found)
    if not len(tested) or len(tested) * n_groups > SPARSE * groups.n_tests:
        return None
    if n_lines * n_groups * groups.dtype.itemsize > most_bytes:
        return None
    lines = np.empty((n_lines, n_groups), dtype=groups.dtype)
    first = 0
    for column, thresholds in zip(tested.tolist(), found, strict=True):
        numbers = np.concatenate([thresholds, np.nextafter(thresholds[-1:], np.inf), [np.nan]])
        for some in blocks(len(numbers), max(1, CACHED // len(forest.columns))):
            failed = _failed(groups, column, numbers[some])
            lines[first + some.start : first + some.stop] = failed.T
        first += len(numbers)
    counts = np.array([len(each) for each in found], dtype=np.int64)
    return Bins(tested, counts, np.concatenate(found), lines)


def _thresholds(forest: Forest, column: int) -> NDArray[np.float64]:
    """What parts a column's numbers into those that every node treats alike; ascending.

    A number is in a bin by how many thresholds it exceeds. Codes of categories are cut towards
    zero, and what is as good as zero may be a gap: both begin at their least number.
    """
    nodes = forest.columns == column
    of_sets = nodes & (forest.set_of != NO_SET)
    found = [forest.thresholds[nodes & ~of_sets]]
    if of_sets.any():
        codes = np.arange(0.0, forest.sets.shape[1] + 1)
        found += [np.array([-1.0]), np.nextafter(codes, -np.inf)]
    if forest.zero_is_missing is not None and forest.zero_is_missing[nodes].any():
        found.append(np.array([np.nextafter(-TINY, -np.inf), TINY]))
    return np.unique(np.concatenate(found))


def _failed(groups: Groups, column: int, numbers: NDArray[np.float64]) -> NDArray[np.integer]:
    """What fails by numbers in one column; (n_groups, n_numbers)."""
    forest = groups.paths.forest
    rows = np.zeros((len(numbers), int(forest.columns.max()) + 1))
    rows[:, column] = numbers
    return groups.failed(forest.lets_left(rows), forest.columns == column)
