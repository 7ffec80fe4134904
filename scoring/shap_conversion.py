"""To and from `shap.Explanation`, for everything that shap's users have."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError
from scoring.explanation import LocalExplanation
from scoring.predictor import OutputSpace

__all__ = ["OTHERS", "from_shap", "to_shap"]

OTHERS = "all others"
"""The feature that stands for a remainder."""


def to_shap(explanation: LocalExplanation, x: Any = None) -> Any:
    """Return a `shap.Explanation` of the same values.

    shap draws base value and values as if they were all there is, so a remainder is a feature too.

    Parameters
    ----------
    x : the rows that were explained, for plots that show them.

    Raises
    ------
    ParameterError
        Another number of rows.
    """
    import shap

    data = None if x is None else np.asarray(x.toarray() if hasattr(x, "toarray") else x)
    if data is not None and data.shape[:2] != explanation.values.shape[:2]:
        rule = f"must be the rows that were explained, {explanation.values.shape[:2]}"
        raise ParameterError("x", rule)
    values, features = explanation.values, list(explanation.features)
    if explanation.remainder is not None:
        values = np.concatenate([values, explanation.remainder[:, np.newaxis]], axis=1)
        features.append(OTHERS)
        if data is not None:
            data = np.column_stack([data, np.full(len(data), np.nan)])
    base_values = np.tile(explanation.base_values, (len(values), 1))
    names: Any = list(explanation.output_names)
    if values.shape[2] == 1:
        values, base_values, names = values[..., 0], base_values[:, 0], None
    return shap.Explanation(
        values,
        base_values,
        data,
        feature_names=features,
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
        Values, base values or names of another shape; an output space that there is not.
    """
    if output_space not in get_args(OutputSpace):
        rule = f"must be one of {', '.join(get_args(OutputSpace))}"
        raise ParameterError("output_space", rule)
    if not hasattr(explanation, "base_values"):
        raise ParameterError("explanation", "must be a shap.Explanation")
    values = np.asarray(explanation.values, dtype=np.float64)
    if values.ndim == 2:
        values = values[..., np.newaxis]
    if values.ndim != 3:
        raise ParameterError("explanation", "must be of rows: explain x[0:1], not x[0]")
    n_rows, n_features, n_outputs = values.shape
    names = explanation.feature_names
    features = range(n_features) if names is None else names
    if len(features) != n_features:
        raise ParameterError("explanation", f"must name {n_features} features, not {len(features)}")
    base_values = _base_values(explanation.base_values, n_rows, n_outputs)
    given = explanation.output_names
    outputs = [f"output_{k}" for k in range(n_outputs)] if n_outputs > 1 else ["value"]
    known = given is not None and np.ndim(given) == 1 and len(given) == n_outputs
    return LocalExplanation(
        values,
        base_values,
        base_values + values.sum(axis=1),
        tuple(map(str, features)),
        tuple(map(str, given if known else outputs)),
        output_space,
        classification=output_space != "value" if classification is None else classification,
        method=method,
    )


def _base_values(given: Any, n_rows: int, n_outputs: int) -> NDArray[np.float64]:
    """One base value per output, of one number, one per output, or the same for every row.

    Raises
    ------
    ParameterError
    """
    found = np.asarray(given, dtype=np.float64)  # None becomes NaN
    if found.ndim and found.size == n_rows * n_outputs and n_rows:
        found = found.reshape(n_rows, n_outputs)
        if (found != found[0]).any():
            raise ParameterError("explanation", "must have the same base values for all rows")
        found = found[0]
    if found.size not in {1, n_outputs} or not np.isfinite(found).all():
        raise ParameterError("explanation", f"must have {n_outputs} base values")
    return np.broadcast_to(found.ravel(), (n_outputs,)).copy()
