"""Fitted transformations and a model, as one pipeline over raw rows."""

from __future__ import annotations

from typing import Any

from scoring.errors import ParameterError

__all__ = ["with_transformations"]


def with_transformations(model: Any, transformations: Any, examples: Any) -> Any:  # noqa: ARG001 soon
    """One fitted pipeline from two fitted halves."""
    if not hasattr(transformations, "transform"):
        rule = "must be a fitted transformer, such as a ColumnTransformer or a Pipeline"
        raise ParameterError("transformations", rule)
    if not hasattr(model, "predict"):
        raise ParameterError("model", "must be an estimator where transformations are given")
    from sklearn.pipeline import Pipeline

    return Pipeline([("transformations", transformations), ("model", model)])
