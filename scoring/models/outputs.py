"""Answers of models as matrices of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError, ParameterError
from scoring.models.labels import several_targets

__all__ = ["check_probabilities", "check_sums", "numbers", "probabilities", "several"]

SLACK = 1e-6
"""How far single precision takes a probability out of 0..1."""

SUM_SLACK = 5e-3
"""How far half precision takes the sum of a row's probabilities from 1."""


def numbers(answer: Any, n_rows: int) -> NDArray[np.float64]:
    """Return an answer as (n_rows, n_outputs).

    Raises
    ------
    ModelError
        An answer of another shape, or of texts.
    """
    raw = np.asarray(answer)
    try:
        outputs = raw.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        told = "texts" if raw.dtype.kind in "OSU" else f"values of type {raw.dtype}"
        raise ModelError(f"the model answered {told}; it must answer numbers.") from error
    if outputs.ndim == 1:
        outputs = outputs[:, np.newaxis]
    if outputs.ndim != 2 or outputs.shape[0] != n_rows:
        raise ModelError(
            f"the model answered an array of shape {raw.shape} for {n_rows} rows; "
            "it must answer one number, or one row of numbers, for each."
        )
    return outputs


def probabilities(answer: Any, n_rows: int) -> NDArray[np.float64]:
    """Return probabilities (n_rows, n_classes); a single column is the second class's of two."""
    outputs = numbers(answer, n_rows)
    return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


def several(answer: Any) -> bool:
    """Whether probabilities are of several targets: a matrix for each, in a list or stacked."""
    if isinstance(answer, (list, tuple)):
        return bool(len(answer)) and all(np.ndim(each) == 2 for each in answer)
    return np.ndim(answer) == 3


def check_probabilities(answer: Any, n_rows: int, method: str) -> NDArray[np.float64]:
    """Return probabilities (n_rows, n_classes), or say that they are none.

    Raises
    ------
    ParameterError
    """
    if several(answer):
        raise several_targets()
    outputs = probabilities(answer, n_rows)
    known = outputs[np.isfinite(outputs)]
    if ((known < -SLACK) | (known > 1 + SLACK)).any():
        rule = f"must answer probabilities, and its {method} answers numbers outside 0 to 1"
        raise ParameterError("model", rule, _FIX)
    return outputs


def check_sums(outputs: NDArray[np.float64], method: str) -> None:
    """Refuse rows of probabilities that do not sum to 1; zeros and gaps may stand for no answer.

    Raises
    ------
    ParameterError
    """
    sums = outputs.sum(axis=1)
    sums = sums[np.isfinite(sums) & (sums != 0)]
    if (np.abs(sums - 1) > SUM_SLACK).any():
        rule = f"must answer rows of probabilities that sum to 1, and its {method} does not"
        raise ParameterError("model", rule, _FIX)


_FIX = (
    "Pass a model that does, or explain the numbers as they are: model_task='regression' with a "
    "model or a function that answers them by predict."
)
