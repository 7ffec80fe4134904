"""Which estimators are a known function of one additive score, and which one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.games.affine import scaled_tail
from scoring.games.calibration import calibrated_margins
from scoring.predictor import OutputSpace
from scoring.trees.links import log_link

__all__ = ["Additive", "Link", "additive_of", "scaled_margins"]

Link = Literal["identity", "logit", "log"]

REGRESSORS = {
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV",
    "Lars", "LarsCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "OrthogonalMatchingPursuit",
    "OrthogonalMatchingPursuitCV", "MultiTaskLasso", "MultiTaskLassoCV", "MultiTaskElasticNet",
    "MultiTaskElasticNetCV", "BayesianRidge", "ARDRegression", "HuberRegressor",
    "TheilSenRegressor", "QuantileRegressor", "SGDRegressor", "LinearSVR",
    "PassiveAggressiveRegressor",
}  # fmt: skip
GENERALISED = {"PoissonRegressor", "GammaRegressor", "TweedieRegressor"}
CLASSIFIERS = {
    "LogisticRegression", "LogisticRegressionCV", "SGDClassifier", "LinearSVC", "RidgeClassifier",
    "RidgeClassifierCV", "Perceptron", "PassiveAggressiveClassifier",
    "LinearDiscriminantAnalysis",
}  # fmt: skip
SIGMOIDS = {"LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis"}


@dataclass(frozen=True, eq=False)
class Additive:
    """Scores that are sums of columns, and what is made of them.

    Parameters
    ----------
    coefficients : float64 (n_outputs, n_columns).
    intercepts : float64 (n_outputs,).
    link : the score is the answer, or its log-odds, or its logarithm.
    """

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    link: Link


def additive_of(estimator: Any, space: OutputSpace) -> Additive | None:
    """Read a linear model of scikit-learn, or None for what is none in this output space.

    Subclasses may do anything and are not read. More than two classes' probabilities are no
    function of one score, and neither are those of several calibrated folds.
    """
    kind = type(estimator)
    if not kind.__module__.startswith("sklearn."):
        return None
    if space == "probability" and kind.__name__ == "CalibratedClassifierCV":
        return _calibrated(estimator)
    link = _link(estimator, kind.__name__, space)
    coefficients = getattr(estimator, "coef_", None)
    if link is None or not isinstance(coefficients, np.ndarray):  # it may be sparse
        return None
    two = np.atleast_2d(np.asarray(coefficients, dtype=np.float64))
    if link == "logit" and len(two) != 1:
        return None
    intercepts = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64), len(two))
    return Additive(two, intercepts.copy(), link)


def scaled_margins(estimator: Any) -> Additive | None:
    """Read a linear model's margins, its own scalers included."""
    scaled = scaled_tail(estimator)
    linear = None if scaled is None else additive_of(scaled[0], "margin")
    if scaled is None or linear is None:
        return None
    slope, start = scaled[1]
    intercepts = linear.intercepts + linear.coefficients @ start
    return Additive(linear.coefficients * slope, intercepts, "identity")


def _calibrated(estimator: Any) -> Additive | None:
    """One margin through one sigmoid: the log-odds are a scaled margin."""
    read = calibrated_margins(estimator)
    if read is None or read[1].kind != "sigmoid" or read[1].n_margins != 1:
        return None
    margin = scaled_margins(read[0][0])
    if margin is None:
        return None
    slope, offset = -read[1].slopes, -read[1].offsets
    return Additive(margin.coefficients * slope, margin.intercepts * slope + offset, "logit")


def _link(estimator: Any, name: str, space: OutputSpace) -> Link | None:
    if name in REGRESSORS and space == "value":
        return "identity"
    if name in GENERALISED and space == "value":
        return "log" if log_link(estimator) else "identity"
    if name in GENERALISED and space == "margin" and log_link(estimator):
        return "identity"
    if name not in CLASSIFIERS:
        return None
    if space == "margin":
        return "identity"
    sigmoid = name in SIGMOIDS or (name == "SGDClassifier" and estimator.loss == "log_loss")
    return "logit" if sigmoid and space == "probability" else None
