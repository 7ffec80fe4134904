"""The law that every answer keeps: base value and values add up to the output."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["additivity_gap"]


def additivity_gap(
    base_values: NDArray[np.float64],
    values: NDArray[np.float64],
    remainder: NDArray[np.float64] | None,
    outputs: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return per row the largest |base value + sum of values - output|; (n_rows,).

    Parameters
    ----------
    base_values : float64 (n_outputs,), or (n_rows, n_outputs) where each row has its own.
    values : float64 (n_rows, n_features, n_outputs).
    remainder : float64 (n_rows, n_outputs), what is not among the values; None for nothing.
    outputs : float64 (n_rows, n_outputs).
    """
    told = base_values + values.sum(axis=1)
    if remainder is not None:
        told = told + remainder
    with np.errstate(invalid="ignore"):  # infinity less infinity: no gap is known
        return np.asarray(np.abs(told - outputs).max(axis=1))
