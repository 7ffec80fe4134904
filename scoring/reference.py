"""How attributions are distributed at distillation: what those of later rows are held against.

Histograms have the deciles of the values for edges. An edge lies in the middle of a gap between two
values, never on one: values come back with another rounding in another batch, and a feature that
is constant would seem to drift. Values that are equal stay in one bin: edges between them move
behind them, and bins between equal edges hold nothing, ever. Where many rows have the least or the
greatest value, an edge of its own tells it from what is beyond.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.explanation import Scored
from scoring.forms.refused import Unsound
from scoring.table import Table

__all__ = ["Reference", "check", "measured", "reference_of"]

N_BINS = 10
"""Bins of as many rows each, where the values differ."""

ROWS_A_BIN = 30
"""Rows for each of them, or else there are fewer bins: with a tenth of 60 rows in each of ten, the
index of rows that did not drift at all would be 0.15."""

SAME = 1e-5
"""How far values may be apart that are the same, as a share of the strongest feature's mean: a
model may be served in single precision."""

FEWEST = 2 * ROWS_A_BIN
"""With fewer rows there are no bins to tell apart, and the mean absolute values only."""

MOST_ROWS = 1000
"""More tell no more: the index's own noise is about (bins - 1) / rows."""

SECONDS = 2.0
"""Where rows take long, fewer are explained."""

LARGEST = 1000
"""Bins that a service is willing to count in."""


@dataclass(frozen=True, eq=False)
class Reference:
    """The distribution of attributions, per feature that is reported and output.

    Parameters
    ----------
    mean_abs : float64 (n_features, n_outputs), the mean absolute value.
    edges : float64 (n_features, n_outputs, n_bins - 1), ascending; equal ones bound an empty bin. A
        value on an edge is in the bin above it.
    shares : float64 (n_features, n_outputs, n_bins), how many of the rows are in each bin; they
        sum to 1. The first and the last bin have no other end.
    n_rows : how many rows these are.
    rows_from : which rows: `validation` or `initialization`.
    """

    mean_abs: NDArray[np.float64]
    edges: NDArray[np.float64]
    shares: NDArray[np.float64]
    n_rows: int
    rows_from: str

    def describe(self) -> dict[str, Any]:
        """What a manifest tells of it."""
        return {"n_rows": self.n_rows, "rows_from": self.rows_from}


def reference_of(values: NDArray[np.float64], rows_from: str) -> Reference:
    """Summarise values (n_rows, n_features, n_outputs); at least one row, all of them finite."""
    n_rows, n_features, n_outputs = values.shape
    mean_abs = np.abs(values).mean(axis=0)
    same = SAME * mean_abs.max(axis=0)  # (n_outputs,)
    edges = np.empty((n_features, n_outputs, N_BINS + 1))
    shares = np.empty((n_features, n_outputs, N_BINS + 2))
    for j, o in np.ndindex(n_features, n_outputs):
        edges[j, o] = _edges(np.sort(values[:, j, o]), float(same[o]))
        bins = np.searchsorted(edges[j, o], values[:, j, o], side="right")
        shares[j, o] = np.bincount(bins, minlength=N_BINS + 2) / n_rows
    return Reference(mean_abs, edges, shares, n_rows, rows_from)


def measured(
    score: Callable[[Table], Scored],
    rows: Table,
    rows_from: str,
    n_rows: int | None,
    seed: int,
) -> Reference | None:
    """Explain rows, drawn in a fixed order, and summarise their values.

    Parameters
    ----------
    score : predicts and explains.
    n_rows : how many; None for up to `MOST_ROWS`, as many as `SECONDS` are enough for.

    Returns
    -------
    None where no row has values that are finite.
    """
    order = np.random.default_rng(seed).permutation(rows.n_rows)[: n_rows or MOST_ROWS]
    first, others = np.split(order, [1])
    found = [score(rows.take(first)).explanation.values]  # what is made once is made now
    start, done, size = time.perf_counter(), 0, len(others) if n_rows else 1
    while done < len(others) and size > 0:
        some = others[done : done + size]
        found.append(score(rows.take(some)).explanation.values)
        done += len(some)
        left = SECONDS - (spent := time.perf_counter() - start)
        size = min(done, int(left * done / spent))
    values = np.concatenate(found)
    values = values[np.isfinite(values).all(axis=(1, 2))]
    return reference_of(values, rows_from) if len(values) else None


def check(reference: Reference, n_features: int, n_outputs: int) -> None:
    """Check a reference that was read.

    Raises
    ------
    Unsound
    """
    edges, shares = reference.edges, reference.shares
    n_bins = shares.shape[-1] if shares.ndim == 3 else 0
    shapes = (n_features, n_outputs), (n_features, n_outputs, n_bins - 1)
    right = reference.mean_abs.shape == shapes[0] and edges.shape == shapes[1]
    if not right or shares.shape[:2] != shapes[0] or not 2 <= n_bins <= LARGEST:
        raise Unsound("the reference of attributions is of other features, outputs or bins")
    if not all(np.isfinite(array).all() for array in (reference.mean_abs, edges, shares)):
        raise Unsound("the reference of attributions holds numbers that are not finite")
    if (np.diff(edges, axis=2) < 0).any():
        raise Unsound("the reference's edges do not ascend")
    if (shares < 0).any() or np.abs(shares.sum(axis=2) - 1).max(initial=0.0) > 1e-6:
        raise Unsound("the reference's shares do not sum to 1")
    if (reference.mean_abs < 0).any() or reference.n_rows < 1:
        raise Unsound("the reference of attributions is of no rows")


def _edges(values: NDArray[np.float64], same: float) -> NDArray[np.float64]:
    """Edges (N_BINS + 1,) of sorted values, those of them equal that are `same` apart at most."""
    n_rows = len(values)
    n_bins = min(N_BINS, max(1, n_rows // ROWS_A_BIN))
    ranks = [round(k * n_rows / n_bins) for k in range(1, n_bins)] or [n_rows]
    starts = np.flatnonzero(np.diff(values) > same) + 1  # of values after a gap
    behind = [starts[np.searchsorted(starts, rank) :] for rank in ranks]
    ends = -_above(-values[0], same), _above(values[-1], same)
    found = [_middle(values, start[0]) if len(start) else ends[1] for start in behind]
    if not (starts < ranks[0]).any():
        found.insert(0, ends[0])
    if not (starts > ranks[-1]).any():
        found.append(ends[1])
    return np.array([*found, *[found[-1]] * (N_BINS + 1 - len(found))])


def _middle(values: NDArray[np.float64], start: int) -> float:
    return float(values[start - 1] + (values[start] - values[start - 1]) / 2)


def _above(value: float, same: float) -> float:
    """A number above a value and all that are the same."""
    return float(max(value + 2 * same, np.nextafter(value, np.inf)))
