"""The background: weighted rows that stand for "this feature is absent"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.table import Table

__all__ = ["WHOLE_ROWS", "Background", "summarise", "whole"]

WHOLE_ROWS = 100
"""Up to this many training rows are the background as they are."""


@dataclass(frozen=True, eq=False)
class Background:
    """Weighted rows.

    Parameters
    ----------
    table : codes (n_background, n_features).
    weights : float64 (n_background,), summing to 1.
    method : how the rows were chosen: `all rows`, `k-means centroids` or `weighted rows`.
    n_source_rows : how many training rows they stand for.
    """

    table: Table
    weights: NDArray[np.float64]
    method: str
    n_source_rows: int

    def __str__(self) -> str:
        if self.table.n_rows == self.n_source_rows:
            return f"{self.method} ({self.n_source_rows})"
        return f"{self.table.n_rows} {self.method} for {self.n_source_rows} rows"


def whole(rows: Table) -> Background:
    """All rows, weighing the same."""
    n_rows = rows.n_rows
    return Background(rows, np.full(n_rows, 1 / n_rows), "all rows", n_rows)


def summarise(rows: Table, n_background: int, seed: int = 0) -> Background:
    """Let a few weighted rows stand for many.

    k-means on standardised columns; a cluster weighs as many rows as it has. Where all columns are
    numbers without gaps, a cluster is its centroid, each coordinate moved to the nearest value
    that training saw (so whole numbers stay whole). Otherwise it is the real row nearest to it.
    At most `WHOLE_ROWS` rows, or no more than asked for, are kept whole and unchanged.

    Parameters
    ----------
    rows : the training rows.
    n_background : how many rows to keep.
    """
    if rows.n_rows <= max(WHOLE_ROWS, n_background):
        return whole(rows)
    from sklearn.cluster import KMeans

    points = _standardised(rows)
    n_distinct = len(np.unique(points, axis=0))
    clusters = KMeans(min(n_background, n_distinct), n_init=1, random_state=seed).fit(points)
    weights = np.bincount(clusters.labels_) / rows.n_rows
    numeric = not any(rows.categories) and not np.isnan(rows.codes).any()
    if numeric:
        members = clusters.labels_ == np.arange(len(weights))[:, np.newaxis]
        means = members @ rows.codes / members.sum(axis=1, keepdims=True)
        chosen = np.column_stack(
            [_nearest(m, c) for m, c in zip(means.T, rows.codes.T, strict=True)]
        )
        return Background(rows.with_codes(chosen), weights, "k-means centroids", rows.n_rows)
    distance = clusters.transform(points)  # (n_rows, n_background)
    nearest = np.argmin(distance, axis=0)
    return Background(rows.take(nearest), weights, "weighted rows", rows.n_rows)


def _standardised(rows: Table) -> NDArray[np.float64]:
    """Columns of unit variance; categories one-hot, missing numbers at the mean with a flag."""
    columns = []
    for column, categories in zip(rows.codes.T, rows.categories, strict=True):
        missing = np.isnan(column)
        if categories:
            columns += [column == code for code in range(len(categories))]
        elif not missing.all():
            spread = np.nanstd(column) or 1.0
            columns.append(np.nan_to_num((column - np.nanmean(column)) / spread))
        if missing.any():
            columns.append(missing)
    return np.asarray(np.column_stack(columns), dtype=np.float64)


def _nearest(wanted: NDArray[np.float64], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each wanted number the nearest of those seen."""
    known = np.unique(seen)
    above = np.searchsorted(known, wanted).clip(1, max(1, len(known) - 1))
    left, right = known[above - 1], known[np.minimum(above, len(known) - 1)]
    nearer: NDArray[np.float64] = np.where(wanted - left <= right - wanted, left, right)
    return nearer
