"""A ready `shap.KernelExplainer`, read as if it were one of ours."""

from __future__ import annotations

from typing import Any

import numpy as np

from scoring.background import Background
from scoring.distillation.domain import with_domain
from scoring.errors import ParameterError
from scoring.predictor import Predictor, adapt
from scoring.schema import FeatureSchema

__all__ = ["is_kernel_explainer", "read"]


def is_kernel_explainer(explainer: Any) -> bool:
    """Whether this is shap's KernelExplainer; asks without importing shap."""
    kinds = type(explainer).__mro__
    return any(k.__module__.startswith("shap.") and k.__name__ == "KernelExplainer" for k in kinds)


def read(explainer: Any) -> tuple[Predictor, Background]:
    """Return the model and the weighted background that a shap.KernelExplainer holds.

    Raises
    ------
    ParameterError
        A link other than identity, or features that shap was told to move in groups.
    """
    if type(explainer.link).__name__ != "IdentityLink" and "identity" not in str(explainer.link):
        rule = "must have link='identity'"
        fix = "For log-odds, use TabularExplainer(..., output_space='margin')."
        raise ParameterError("explainer", rule, fix)
    data = explainer.data
    rows = np.asarray(data.data, dtype=np.float64)
    if any(len(group) != 1 for group in data.groups):
        raise ParameterError("explainer", "must have every column as a feature of its own")
    schema = FeatureSchema.infer(rows, [str(name) for name in data.group_names])
    table = schema.encode(rows)
    model = explainer.model.f
    predictor = adapt(model, schema, None, None, table.take(slice(0, 2)))
    schema, table = with_domain(schema, predictor, table)
    predictor = predictor.over(schema)
    weights = np.asarray(data.weights, dtype=np.float64)
    method = "rows of the shap explainer"
    return predictor, Background(table, weights / weights.sum(), method, len(rows))
