"""Which estimators are sums of trees, and in which output space."""

from __future__ import annotations

from typing import Any

import numpy as np

from scoring.predictor import OutputSpace
from scoring.trees import catboost_trees, lightgbm_trees, sklearn_trees, xgboost_trees
from scoring.trees.ensembles import averaged, members_of
from scoring.trees.forest import Forest
from scoring.trees.links import log_link
from scoring.trees.unreadable import Unreadable

__all__ = ["adds_in_single", "forest_in", "why_not"]

SINGLE = ("DecisionTree", "ExtraTree")
VOTING = ("RandomForest", "ExtraTrees")
ENSEMBLES = ("Bagging", "Voting")
LIBRARIES = {
    "lightgbm.sklearn": {"LGBMClassifier", "LGBMRegressor", "LGBMRanker"},
    "lightgbm.basic": {"Booster"},
    "xgboost.sklearn": {
        "XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor",
    },
    "xgboost.core": {"Booster"},
    "catboost.core": {"CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker", "CatBoost"},
}  # fmt: skip
"""Boosting libraries' models by the modules that they are of."""


def forest_in(estimator: Any, space: OutputSpace) -> Forest | None:
    """Read the trees that add up to an estimator's answers in an output space.

    Forests add up in probability, boosting in margins, regressions in values or, through a link, in
    margins. Whether an answer is the sum, and not a function of it, is for the caller to check.
    Subclasses may do anything and are not read.

    Returns
    -------
    None where the estimator is no such sum.
    """
    try:
        return _read(estimator, space)
    except Unreadable:
        return None


def why_not(estimator: Any, space: OutputSpace) -> str | None:
    """Return why trees are no sum in an output space; None for what has no trees, or is one."""
    try:
        _read(estimator, space)
    except Unreadable as reason:
        return str(reason)
    return None


def adds_in_single(estimator: Any) -> bool:
    """Whether an estimator, or a member of it, adds up in single precision."""
    if type(estimator).__module__.partition(".")[0] == "xgboost":
        return True
    members = getattr(estimator, "estimators_", ()) if _family(estimator) in ENSEMBLES else ()
    return any(adds_in_single(member) for member in members)


def _family(estimator: Any) -> str:
    return type(estimator).__name__.removesuffix("Classifier").removesuffix("Regressor")


def _read(estimator: Any, space: OutputSpace) -> Forest | None:
    kind = type(estimator)
    classification = kind.__name__.endswith("Classifier")
    if kind.__module__.partition(".")[0] == "sklearn":
        return _of_sklearn(estimator, space, classification=classification)
    if kind.__name__ not in LIBRARIES.get(kind.__module__, ()):
        return None
    if space == "probability" or (space == "value" and log_link(estimator)):
        raise Unreadable("its leaves add up in margins: output_space='margin' has exact values")
    if classification and space != "margin":
        return None
    package, native = kind.__module__.partition(".")[0], kind.__name__ == "Booster"
    if package == "catboost":
        return catboost_trees.model_trees(estimator)
    if package == "lightgbm":
        booster = estimator if native else estimator.booster_
        return lightgbm_trees.booster(booster, averaged=space == "value")
    if native:  # it predicts with all its rounds
        return xgboost_trees.booster(estimator)
    best = getattr(estimator, "best_iteration", None)  # of the booster, whoever stopped it
    rounds = None if best is None else int(best) + 1
    missing = np.nan if estimator.missing is None else float(estimator.missing)
    return xgboost_trees.booster(estimator.get_booster(), rounds, missing)


def _of_sklearn(estimator: Any, space: OutputSpace, *, classification: bool) -> Forest | None:
    family = _family(estimator)
    if family in ENSEMBLES:
        return _of_ensemble(estimator, family, space, classification=classification)
    boosted = family in {"GradientBoosting", "HistGradientBoosting"}
    if not boosted and family not in (*SINGLE, *VOTING):
        return None
    linked = log_link(estimator)
    sums_in: OutputSpace = "margin" if boosted and (classification or linked) else "value"
    if classification and not boosted:
        sums_in = "probability"
    if space != sums_in:
        what = {"margin": "margins", "value": "values", "probability": "probabilities"}[sums_in]
        raise Unreadable(f"its leaves add up in {what}: output_space={sums_in!r} has exact values")
    if family in SINGLE:
        return sklearn_trees.one_tree(estimator, classification=classification)
    if family in VOTING:
        return sklearn_trees.voting(estimator, classification=classification)
    if family == "GradientBoosting":
        return sklearn_trees.boosted(estimator)
    return sklearn_trees.hist_boosted(estimator)


def _of_ensemble(
    estimator: Any, family: str, space: OutputSpace, *, classification: bool
) -> Forest:
    members, total = members_of(estimator, family, classification=classification)
    forests = []
    for member in members:
        forest, kind = _read(member.estimator, space), type(member.estimator).__name__
        if forest is None:
            raise Unreadable(f"a member, {kind}, is no sum of trees")
        if getattr(member.estimator, "_preprocessor", None) is not None:
            raise Unreadable(f"a member, {kind}, encodes categories itself")
        forests.append(forest)
    n_outputs = len(estimator.classes_) if classification and space == "probability" else 0
    n_outputs = n_outputs or max(len(forest.base) for forest in forests)
    return averaged(forests, members, total, n_outputs)
