"""Native boosters of XGBoost and LightGBM, as what their objective says.

The wrappers travel in artifacts, by these names.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.models.labels import several_targets
from scoring.models.outputs import probabilities

__all__ = ["BoosterClassifier", "BoosterMargins", "BoosterRegressor", "unwrapped",
           "wrapped"]  # fmt: skip

LIKELY = ("binary:logistic", "multi:softprob", "multi:softmax", "binary", "multiclass",
          "multiclassova")  # fmt: skip
"""Objectives of classes whose boosters answer, or can answer, probabilities."""

MARGINS = ("binary:logitraw", "binary:hinge")
"""Objectives of two classes that have margins only."""


@dataclass(frozen=True, eq=False)
class BoosterRegressor:
    """A booster that answers numbers: regressions, rankings, objectives of somebody's own."""

    booster: Any

    def predict(self, rows: Any) -> NDArray[Any]:
        """Return what the booster answers, (n_rows,) or (n_rows, n_outputs)."""
        return _answer(self.booster, rows)


@dataclass(frozen=True, eq=False)
class BoosterMargins:
    """A booster of classes 0 to `n_classes - 1` that has no probabilities."""

    booster: Any
    n_classes: int

    @property
    def classes_(self) -> NDArray[np.int64]:
        """The classes, which a booster numbers."""
        return np.arange(self.n_classes)

    def decision_function(self, rows: Any) -> NDArray[Any]:
        """Return margins: (n_rows,) for two classes, else (n_rows, n_classes)."""
        return _answer(self.booster, rows, margin=True)

    def predict(self, rows: Any) -> NDArray[np.int64]:
        """Return labels (n_rows,): of two classes the second where the margin is positive."""
        return (self.decision_function(rows) > 0).astype(np.int64)


@dataclass(frozen=True, eq=False)
class BoosterClassifier(BoosterMargins):
    """A booster of classes 0 to `n_classes - 1` with probabilities."""

    def predict_proba(self, rows: Any) -> NDArray[np.float64]:
        """Return probabilities (n_rows, n_classes)."""
        answer = _answer(self.booster, rows)
        if self.n_classes > 2 and answer.ndim == 1:  # XGBoost's multi:softmax answers labels
            margins = self.decision_function(rows).astype(np.float64)
            grown = np.exp(margins - margins.max(axis=1, keepdims=True))
            answer = grown / grown.sum(axis=1, keepdims=True)
        return probabilities(answer, len(rows))

    def predict(self, rows: Any) -> NDArray[np.int64]:
        """Return the likeliest label of each row, (n_rows,)."""
        return np.asarray(self.predict_proba(rows).argmax(axis=1), np.int64)


def unwrapped(estimator: Any) -> Any:
    """Return the booster inside a wrapper; every other estimator as it is."""
    ours = isinstance(estimator, (BoosterMargins, BoosterRegressor))
    return estimator.booster if ours else estimator


def wrapped(model: Any) -> Any:
    """Wrap a native booster; every other model is returned as it is.

    Raises
    ------
    ParameterError
        A booster of several labels.
    """
    if _is_a(model, "xgboost.core"):
        objective, n_outputs, n_targets = _xgboost_facts(model)
        if n_targets > 1 and objective in LIKELY:
            raise several_targets()
    elif _is_a(model, "lightgbm.basic"):
        objective, n_outputs = _lightgbm_facts(model)
    else:
        return model
    if objective in MARGINS:
        return BoosterMargins(model, 2)
    if objective in LIKELY:
        return BoosterClassifier(model, max(2, n_outputs))
    return BoosterRegressor(model)


def _is_a(model: Any, module: str) -> bool:
    """Whether a model is a library's Booster; does not import the library."""
    kinds = type(model).__mro__
    return any(kind.__module__ == module and kind.__name__ == "Booster" for kind in kinds)


def _xgboost_facts(booster: Any) -> tuple[str, int, int]:
    """The objective, the number of outputs, and the number of targets."""
    learner = json.loads(booster.save_config())["learner"]
    sizes = learner["learner_model_param"]
    return learner["objective"]["name"], int(sizes["num_class"]), int(sizes.get("num_target", "1"))


def _lightgbm_facts(booster: Any) -> tuple[str, int]:
    """The objective, "" where it is somebody's own, and the number of outputs."""
    head = booster.model_to_string(num_iteration=1).partition("\nTree=")[0]
    told = re.search(r"^objective=(\w+)", head, re.MULTILINE)
    return "" if told is None else told[1], int(booster.num_model_per_iteration())


def _answer(booster: Any, rows: Any, *, margin: bool = False) -> NDArray[Any]:
    """What a booster says of a DataFrame or an array."""
    if _is_a(booster, "lightgbm.basic"):
        return np.asarray(booster.predict(rows, raw_score=margin))
    import xgboost

    names = booster.feature_names
    if names is None and hasattr(rows, "to_numpy"):
        rows = rows.to_numpy()
    kinds: dict[str, Any] = {}
    if names is not None and not hasattr(rows, "columns"):
        kinds = {"feature_names": names, "feature_types": booster.feature_types}
    matrix = xgboost.DMatrix(rows, enable_categorical=True, **kinds)
    return np.asarray(booster.predict(matrix, output_margin=margin))
