"""Regressions whose answer is the exponential function of a margin."""

from __future__ import annotations

from typing import Any

from scoring.trees import catboost_trees, lightgbm_trees, xgboost_trees

__all__ = ["log_link"]


def log_link(estimator: Any) -> bool:
    """Whether a fitted regression answers the exponential function of a margin that it has.

    Subclasses may answer anything.
    """
    try:
        return _log_link(estimator)
    except Exception:  # noqa: BLE001 what is not fitted says so when it is to predict
        return False


def _log_link(estimator: Any) -> bool:
    module, name = type(estimator).__module__, type(estimator).__name__
    if module.startswith("sklearn."):
        if name == "HistGradientBoostingRegressor":
            return str(estimator.loss) in {"poisson", "gamma"}
        if name == "TweedieRegressor":
            return bool(
                estimator.link == "log" or (estimator.link == "auto" and estimator.power > 0)
            )
        return name in {"PoissonRegressor", "GammaRegressor"}
    if module == "lightgbm.sklearn" and name == "LGBMRegressor":
        return lightgbm_trees.log_link(estimator.booster_)
    if module == "xgboost.sklearn" and name in {"XGBRegressor", "XGBRFRegressor"}:
        return xgboost_trees.log_link(estimator.get_booster())
    if module == "catboost.core" and name == "CatBoostRegressor":
        return catboost_trees.log_link(estimator)
    return False
