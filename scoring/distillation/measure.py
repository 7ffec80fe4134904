"""How far one kernel's values are from another's, on rows that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from scoring.kernel import Kernel
from scoring.table import Table

__all__ = ["Track", "affordable", "by_row", "missed", "progress", "relative_rms"]

MEASURED_CALLS = 500_000
"""Masked rows that measuring may call the model on; slow models are measured on fewer rows."""

Track = Callable[[Table, str], Iterator[int]]
"""Counts through rows, and may draw a bar under a label."""


def relative_rms(
    values: NDArray[np.float64], truth: NDArray[np.float64], noise: float = 0.0
) -> float:
    """Root mean square of the error over that of the truth; 0 for an error that is only noise."""
    error = float(np.sqrt(np.mean((values - truth) ** 2)))
    scale = float(np.sqrt(np.mean(truth**2)))
    if error <= noise:
        return 0.0
    return error / scale if scale > 0 else float("inf")


def missed(
    base_values: NDArray[np.float64], values: NDArray[np.float64], outputs: NDArray[np.float64]
) -> float:
    """Largest additivity gap of rows with finite numbers, as a share of the largest output."""
    gap = np.abs(base_values + values.sum(axis=1) - outputs)
    finite = np.isfinite(gap).all(axis=1)
    largest = float(np.abs(outputs[finite]).max(initial=0.0))
    return float(gap[finite].max(initial=0.0)) / largest if largest else 0.0


def affordable(rows: Table, calls_a_row: int) -> Table:
    """As many of the rows as may be measured, at least one."""
    return rows.take(slice(0, max(1, MEASURED_CALLS // max(1, calls_a_row))))


def progress(*, shown: bool) -> Track:
    """A bar over rows where it is wanted."""

    def track(rows: Table, label: str) -> Iterator[int]:
        from tqdm import tqdm

        yield from tqdm(range(rows.n_rows), desc=label, unit="row", disable=not shown, leave=False)

    return track


def by_row(
    fitted: Kernel, rows: Table, outputs: NDArray[np.float64], track: Track, label: str
) -> NDArray[np.float64]:
    """Explain row by row, so that a bar can move; (n_rows, n_players, n_outputs)."""
    one = [
        fitted.values(rows.take(slice(r, r + 1)), outputs[r : r + 1]) for r in track(rows, label)
    ]
    return np.concatenate(one)
