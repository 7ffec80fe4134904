"""To and from `shap.Explanation`, for everything that shap's users have."""

from __future__ import annotations

from typing import Any

import numpy as np

from scoring.errors import ParameterError
from scoring.explanation import LocalExplanation
from scoring.predictor import OutputSpace

__all__ = ["from_shap", "to_shap"]


def to_shap(explanation: LocalExplanation, x: Any = None) -> Any:
    """Return a `shap.Explanation` of the same values.

    Parameters
    ----------
    x : the rows that were explained, for plots that show them.

    Raises
    ------
    ParameterError
        Another number of rows.
    """
    import shap

    data = None if x is None else np.asarray(x)
    if data is not None and data.shape[:2] != explanation.values.shape[:2]:
        rule = f"must be the rows that were explained, {explanation.values.shape[:2]}"
        raise ParameterError("x", rule)
    values = explanation.values
    base_values = np.tile(explanation.base_values, (len(values), 1))
    names: Any = list(explanation.output_names)
    if values.shape[2] == 1:
        values, base_values, names = values[..., 0], base_values[:, 0], None
    return shap.Explanation(
        values,
        base_values,
        data,
        feature_names=list(explanation.features),
        output_names=names,
    )


def from_shap(
    explanation: Any,
    *,
    output_space: OutputSpace,
    classification: bool | None = None,
    method: str = "shap",
) -> LocalExplanation:
    """Read a `shap.Explanation`; its outputs are taken to be base values and values together.

    Parameters
    ----------
    explanation : values (n_rows, n_features) or (n_rows, n_features, n_outputs).
    output_space : what its values are in; shap does not say.
    classification : by default whether the space is `probability` or `margin`.

    Raises
    ------
    ParameterError
        Values of another shape.
    """
    values = np.asarray(explanation.values, dtype=np.float64)
    if values.ndim == 2:
        values = values[..., np.newaxis]
    if values.ndim != 3:
        raise ParameterError("explanation", "must be of rows: explain x[0:1], not x[0]")
    n_rows, n_features, n_outputs = values.shape
    base_values = np.asarray(explanation.base_values, dtype=np.float64)
    if base_values.size == n_rows * n_outputs:
        base_values = base_values.reshape(n_rows, n_outputs)
        if np.ptp(base_values, axis=0).max(initial=0.0) > 0:
            raise ParameterError("explanation", "must have the same base values for all rows")
        base_values = base_values[0]
    base_values = np.broadcast_to(base_values.ravel(), (n_outputs,)).copy()
    names = explanation.feature_names
    given = explanation.output_names
    outputs = [f"output_{k}" for k in range(n_outputs)] if n_outputs > 1 else ["value"]
    known = given is not None and np.ndim(given) == 1 and len(given) == n_outputs
    return LocalExplanation(
        values,
        base_values,
        base_values + values.sum(axis=1),
        tuple(map(str, names if names is not None else range(n_features))),
        tuple(map(str, given if known else outputs)),
        output_space,
        classification=output_space != "value" if classification is None else classification,
        method=method,
    )
