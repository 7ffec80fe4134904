"""shap's exact explainers, where they answer what our output space asks.

shap has one explainer for trees and one for linear models; which models and spaces they really
cover is found by checking that their values add up to the model's own answers. Trees are asked
for what their leaves add up to, nothing else: with `model_output="probability"` shap rescales
each background row's margins, which adds up too but is not the Shapley value of the probability
(off by several percent of the largest value on a small boosted model).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.predictor import EstimatorModel, Predictor
from scoring.table import Table

__all__ = ["ExactShap", "find"]

PROBED = 5

GAP = 1e-4
"""Largest additivity gap, of the output's scale, that still counts as exact: boosting libraries
add their leaves in float32."""


@dataclass(frozen=True, eq=False)
class ExactShap:
    """A shap explainer whose answers were checked.

    Parameters
    ----------
    method : `tree` or `linear`.
    base_values : float64 (n_outputs,).
    """

    explainer: Any
    method: str
    base_values: NDArray[np.float64]

    def values(self, rows: Table) -> NDArray[np.float64]:
        """Explain rows; float64 (n_rows, n_features, n_outputs)."""
        return _all_outputs(_call(self.explainer, rows.codes), len(self.base_values))


def find(predictor: Predictor, background: Background, method: str) -> ExactShap | None:
    """Build shap's exact explainer for a model, or None where shap has none that adds up.

    Parameters
    ----------
    background : at most as many rows as shap should integrate over; all of them are used, equally
        weighted, so a weighted summary has none.
    method : `auto`, `tree` or `linear`.
    """
    if not isinstance(predictor.model, EstimatorModel) or any(predictor.schema.code_tables):
        return None
    if not np.allclose(background.weights, background.weights[0]):
        return None
    kind = _kind(predictor.model.estimator)
    if kind is None or method not in {"auto", kind}:
        return None
    from shap.maskers import Independent

    data = background.table.codes
    masker = Independent(data, max_samples=len(data))  # shap's default silently keeps 100 rows
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shap warns of what the check below decides
            explainer = _explainer(kind, predictor, masker)
            probe = _unlike(background.table)
            outputs = predictor.outputs(probe)
            values = _all_outputs(_call(explainer, probe.codes), outputs.shape[1])
    except Exception:  # noqa: BLE001 shap refuses models with bare exceptions of many kinds
        return None
    base_values = background.weights @ predictor.outputs(background.table)
    scale = np.abs(outputs).max() or 1.0
    gap = np.abs(base_values + values.sum(axis=1) - outputs).max()
    return ExactShap(explainer, kind, base_values) if gap <= GAP * scale else None


def _unlike(rows: Table) -> Table:
    """Rows that are not the background: there every value is zero, and anything adds up."""
    some = rows.codes[:PROBED]
    step = np.nan_to_num(np.nanstd(rows.codes, axis=0)) + 1
    return rows.with_codes(np.concatenate([some, some + step, some - step]))


def _kind(estimator: Any) -> str | None:
    module = type(estimator).__module__
    if module.startswith(("sklearn.tree", "sklearn.ensemble", "lightgbm", "xgboost")):
        return "tree"
    return "linear" if hasattr(estimator, "coef_") and "linear_model" in module else None


def _explainer(kind: str, predictor: Predictor, masker: Any) -> Any:
    import shap

    estimator = getattr(predictor.model, "estimator", None)
    if kind == "linear":
        return shap.LinearExplainer(estimator, masker)
    return shap.TreeExplainer(
        estimator, masker, model_output="raw", feature_perturbation="interventional"
    )


def _call(explainer: Any, codes: NDArray[np.float64]) -> NDArray[np.float64]:
    if type(explainer).__name__ == "LinearExplainer":
        return np.asarray(explainer.shap_values(codes), dtype=np.float64)
    return np.asarray(explainer.shap_values(codes, check_additivity=False), dtype=np.float64)


def _all_outputs(values: NDArray[np.float64], n_outputs: int) -> NDArray[np.float64]:
    """As (n_rows, n_features, n_outputs), with both classes of a probability where one is given."""
    if values.ndim == 2:
        values = values[..., np.newaxis]
    if values.shape[-1] == 1 and n_outputs == 2:
        return np.concatenate([-values, values], axis=-1)
    return values
