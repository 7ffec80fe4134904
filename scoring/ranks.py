"""From the highest value to the lowest."""

from __future__ import annotations

from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError

__all__ = ["order", "strongest", "top"]


def top(top_k: int | None) -> int | None:
    """Check how many of the first are wanted; None for all.

    Raises
    ------
    ParameterError
    """
    whole = isinstance(top_k, SupportsIndex) and not isinstance(top_k, (bool, np.ndarray))
    if top_k is not None and (not whole or top_k < 1):
        raise ParameterError("top_k", "must be a whole number of at least 1, or None for all")
    return top_k


def order(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices along the last axis from the highest value to the lowest; ties keep their order."""
    return np.argsort(-values, axis=-1, kind="stable")


def strongest(values: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Indices of each row's and output's strongest features, the strongest first.

    Parameters
    ----------
    values : float64 (n_rows, n_features, n_outputs).

    Returns
    -------
    intp (n_rows, min(k, n_features), n_outputs). Ties keep their order; NaN comes last.
    """
    return np.argsort(-np.abs(values), axis=1, kind="stable")[:, :k]
