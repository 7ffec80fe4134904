"""Which estimators are sums of trees, and in which output space."""

from __future__ import annotations

from typing import Any

from scoring.predictor import OutputSpace
from scoring.trees import lightgbm_trees, sklearn_trees, xgboost_trees
from scoring.trees.forest import Forest

__all__ = ["forest_in"]

SINGLE = ("DecisionTree", "ExtraTree")
VOTING = ("RandomForest", "ExtraTrees")


def forest_in(estimator: Any, space: OutputSpace) -> Forest | None:
    """Read the trees that add up to an estimator's answers in an output space.

    Forests add up in probability, boosting in margins, regressions in values. Whether a
    regression's answer is the sum, and not a function of it, is for the caller to check. Subclasses
    may do anything and are not read.

    Returns
    -------
    None where the estimator is no such sum.
    """
    kind = type(estimator)
    package, name = kind.__module__.partition(".")[0], kind.__name__
    classification = name.endswith("Classifier")
    if package == "sklearn":
        return _of_sklearn(estimator, name, space, classification=classification)
    if space not in {"margin", "value"} or (space == "margin") != classification:
        return None
    if kind.__module__ == "lightgbm.sklearn":
        return lightgbm_trees.booster(estimator.booster_)
    if kind.__module__ == "xgboost.sklearn" and name in {"XGBClassifier", "XGBRegressor"}:
        best = getattr(estimator, "best_iteration", None) if _stopped(estimator) else None
        rounds = None if best is None else int(best) + 1
        return xgboost_trees.booster(estimator.get_booster(), rounds)
    return None


def _of_sklearn(
    estimator: Any, name: str, space: OutputSpace, *, classification: bool
) -> Forest | None:
    family = name.removesuffix("Classifier").removesuffix("Regressor")
    sums_in: OutputSpace = "value"
    if classification:
        sums_in = "margin" if family.endswith("GradientBoosting") else "probability"
    if space != sums_in:
        return None
    if family in SINGLE:
        return sklearn_trees.one_tree(estimator, classification=classification)
    if family in VOTING:
        return sklearn_trees.voting(estimator, classification=classification)
    if family == "GradientBoosting":
        return sklearn_trees.boosted(estimator)
    if family == "HistGradientBoosting":
        return sklearn_trees.hist_boosted(estimator)
    return None


def _stopped(estimator: Any) -> bool:
    return getattr(estimator, "early_stopping_rounds", None) is not None
