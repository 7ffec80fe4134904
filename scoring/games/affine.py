"""Scalings in front of a model that are part of it: they move into its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scaling", "scaled_tail"]

Scaling = tuple[NDArray[np.float64], NDArray[np.float64]]
"""float64 (n_columns,) each: a column becomes `slope * column + start`."""

CENTERS = {"StandardScaler": "mean_", "RobustScaler": "center_", "MaxAbsScaler": None}


def scaled_tail(estimator: Any) -> tuple[Any, Scaling] | None:
    """Take scikit-learn's scalers off the front of a pipeline.

    Returns
    -------
    What is left, and what the scalers do together; None where another step is in front.
    """
    steps, tail = [], estimator
    if type(estimator).__name__ == "Pipeline":
        *steps, tail = [step for _, step in estimator.steps]
    n_columns = int(estimator.n_features_in_)
    slope, start = np.ones(n_columns), np.zeros(n_columns)
    for step in steps:
        read = _scaling(step)
        if read is None:
            return None
        slope, start = read[0] * slope, read[0] * start + read[1]
    return tail, (slope, start)


def _scaling(step: Any) -> Scaling | None:
    name = type(step).__name__
    if not type(step).__module__.startswith("sklearn.preprocessing."):
        return None
    if name == "MinMaxScaler" and not step.clip:
        return np.asarray(step.scale_), np.asarray(step.min_)
    if name not in CENTERS:
        return None
    n_columns = step.n_features_in_
    scale = getattr(step, "scale_", None)
    center = getattr(step, CENTERS[name] or "", None)
    scales = np.ones(n_columns) if scale is None else np.asarray(scale)
    withheld = center is None or getattr(step, "with_mean", True) is False
    centers = np.zeros(n_columns) if withheld else np.asarray(center)
    return 1 / scales, -centers / scales
