"""Final estimators, tiny; each says what it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn import ensemble, linear_model, naive_bayes, neighbors, neural_network, svm, tree
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.multiclass import OneVsRestClassifier
from xgboost import XGBClassifier, XGBRegressor

from tests.fuzz.pipelines import pick

Rng = np.random.Generator
Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Kind:
    """One kind of estimator.

    Parameters
    ----------
    make : from the generator to an unfitted estimator.
    native : whether it takes pandas categories without a pipeline.
    counted_labels : whether its labels must be 0..k-1.
    float32 : whether it computes in float32.
    """

    make: Callable[[Rng], Any]
    native: bool = False
    counted_labels: bool = False
    float32: bool = False


def _forest(rng: Rng) -> dict[str, Any]:
    return {"n_estimators": 5, "max_depth": pick(rng, [3, 5, None]), "random_state": 0}


def _boosting(rng: Rng) -> dict[str, Any]:
    return {"n_estimators": int(rng.integers(3, 9)), "max_depth": 3, "random_state": 0}


def _lightgbm(rng: Rng) -> dict[str, Any]:
    kind = pick(rng, ["gbdt", "gbdt", "gbdt", "dart"])
    small = {"min_child_samples": 5, "num_leaves": 6, "min_data_per_group": 5, "cat_smooth": 1.0}
    return {
        "n_estimators": 6,
        "boosting_type": kind,
        **small,
        "random_state": 0,
        "verbose": -1,
        "n_jobs": 1,
    }


def _xgboost(rng: Rng) -> dict[str, Any]:
    booster = pick(rng, ["gbtree", "gbtree", "gbtree", "dart", "gblinear"])
    depth = {} if booster == "gblinear" else {"max_depth": 3}
    return {
        "n_estimators": 6,
        "booster": booster,
        **depth,
        "enable_categorical": booster != "gblinear",
        "n_jobs": 1,
    }


def _svm(rng: Rng) -> dict[str, Any]:
    return {"kernel": pick(rng, ["rbf", "rbf", "linear", "poly"]), "C": pick(rng, [0.5, 10.0])}


def _gaussian(rng: Rng) -> dict[str, Any]:
    return {
        "kernel": RBF(1.0) + WhiteKernel(0.1) if rng.random() < 0.3 else RBF(2.0),
        "optimizer": None,
    }


def _hist(rng: Rng) -> dict[str, Any]:
    return {"max_iter": 5, "max_leaf_nodes": 6, "min_samples_leaf": 5, "random_state": 0}


def _logistic(rng: Rng) -> Any:
    return linear_model.LogisticRegression(C=pick(rng, [0.1, 1.0, 10.0]), max_iter=300)


def _network(rng: Rng) -> dict[str, Any]:
    activation = pick(rng, ["relu", "tanh", "logistic"])
    return {"hidden_layer_sizes": (4,), "activation": activation, "max_iter": 25, "random_state": 0}


CLASSIFIERS: dict[str, Kind] = {
    "LogisticRegression": Kind(_logistic),
    "SGDClassifier": Kind(
        lambda rng: linear_model.SGDClassifier(
            loss=pick(rng, ["hinge", "log_loss", "modified_huber"]), max_iter=30, random_state=0
        )
    ),
    "RidgeClassifier": Kind(lambda rng: linear_model.RidgeClassifier()),
    "SVC": Kind(
        lambda rng: svm.SVC(**_svm(rng), decision_function_shape=pick(rng, ["ovr", "ovo"]))
    ),
    "SVC with probability": Kind(
        lambda rng: svm.SVC(**_svm(rng), probability=True, random_state=0)
    ),
    "LinearSVC": Kind(lambda rng: svm.LinearSVC()),
    "MLPClassifier": Kind(lambda rng: neural_network.MLPClassifier(**_network(rng))),
    "DecisionTreeClassifier": Kind(
        lambda rng: tree.DecisionTreeClassifier(max_depth=4, random_state=0)
    ),
    "RandomForestClassifier": Kind(lambda rng: ensemble.RandomForestClassifier(**_forest(rng))),
    "ExtraTreesClassifier": Kind(lambda rng: ensemble.ExtraTreesClassifier(**_forest(rng))),
    "GradientBoostingClassifier": Kind(
        lambda rng: ensemble.GradientBoostingClassifier(**_boosting(rng))
    ),
    "HistGradientBoostingClassifier": Kind(
        lambda rng: ensemble.HistGradientBoostingClassifier(**_hist(rng)), native=True
    ),
    "LGBMClassifier": Kind(lambda rng: LGBMClassifier(**_lightgbm(rng)), native=True),
    "XGBClassifier": Kind(
        lambda rng: XGBClassifier(**_xgboost(rng)), native=True, counted_labels=True, float32=True
    ),
    "KNeighborsClassifier": Kind(
        lambda rng: neighbors.KNeighborsClassifier(3, weights=pick(rng, ["uniform", "distance"]))
    ),
    "GaussianNB": Kind(lambda rng: naive_bayes.GaussianNB()),
    "BernoulliNB": Kind(lambda rng: naive_bayes.BernoulliNB()),
    "LinearDiscriminantAnalysis": Kind(lambda rng: LinearDiscriminantAnalysis()),
    "QuadraticDiscriminantAnalysis": Kind(lambda rng: QuadraticDiscriminantAnalysis(reg_param=0.3)),
    "AdaBoostClassifier": Kind(
        lambda rng: ensemble.AdaBoostClassifier(n_estimators=4, random_state=0)
    ),
    "BaggingClassifier": Kind(
        lambda rng: ensemble.BaggingClassifier(
            pick(rng, [tree.DecisionTreeClassifier(max_depth=3), _logistic(rng)]),
            n_estimators=3,
            max_features=pick(rng, [1.0, 0.7]),
            random_state=0,
        )
    ),
    "VotingClassifier": Kind(
        lambda rng: ensemble.VotingClassifier(
            [
                ("a", _logistic(rng)),
                ("b", tree.DecisionTreeClassifier(max_depth=3, random_state=0)),
            ],
            voting=pick(rng, ["soft", "soft", "hard"]),
        )
    ),
    "StackingClassifier": Kind(
        lambda rng: ensemble.StackingClassifier(
            [
                ("a", tree.DecisionTreeClassifier(max_depth=3, random_state=0)),
                ("b", naive_bayes.GaussianNB()),
            ],
            linear_model.LogisticRegression(),
            cv=2,
            passthrough=bool(rng.random() < 0.3),
        )
    ),
    "CalibratedClassifierCV": Kind(
        lambda rng: CalibratedClassifierCV(
            pick(rng, [svm.LinearSVC(), svm.SVC(), tree.DecisionTreeClassifier(max_depth=3)]),
            method=pick(rng, ["sigmoid", "isotonic"]),
            cv=2,
            ensemble=bool(rng.random() < 0.5),
        )
    ),
    "OneVsRestClassifier": Kind(lambda rng: OneVsRestClassifier(_logistic(rng))),
    "GaussianProcessClassifier": Kind(lambda rng: GaussianProcessClassifier(**_gaussian(rng))),
}

REGRESSORS: dict[str, Kind] = {
    "LinearRegression": Kind(lambda rng: linear_model.LinearRegression()),
    "Ridge": Kind(lambda rng: linear_model.Ridge()),
    "ElasticNet": Kind(lambda rng: linear_model.ElasticNet(alpha=0.01)),
    "SGDRegressor": Kind(lambda rng: linear_model.SGDRegressor(max_iter=30, random_state=0)),
    "HuberRegressor": Kind(lambda rng: linear_model.HuberRegressor(max_iter=300)),
    "PoissonRegressor": Kind(lambda rng: linear_model.PoissonRegressor()),
    "GammaRegressor": Kind(lambda rng: linear_model.GammaRegressor()),
    "SVR": Kind(lambda rng: svm.SVR(**_svm(rng))),
    "LinearSVR": Kind(lambda rng: svm.LinearSVR(random_state=0)),
    "MLPRegressor": Kind(lambda rng: neural_network.MLPRegressor(**_network(rng))),
    "DecisionTreeRegressor": Kind(
        lambda rng: tree.DecisionTreeRegressor(max_depth=4, random_state=0)
    ),
    "RandomForestRegressor": Kind(lambda rng: ensemble.RandomForestRegressor(**_forest(rng))),
    "ExtraTreesRegressor": Kind(lambda rng: ensemble.ExtraTreesRegressor(**_forest(rng))),
    "GradientBoostingRegressor": Kind(
        lambda rng: ensemble.GradientBoostingRegressor(**_boosting(rng))
    ),
    "HistGradientBoostingRegressor": Kind(
        lambda rng: ensemble.HistGradientBoostingRegressor(
            **_hist(rng), loss=pick(rng, ["squared_error", "squared_error", "poisson"])
        ),
        native=True,
    ),
    "LGBMRegressor": Kind(
        lambda rng: LGBMRegressor(
            **_lightgbm(rng), objective=pick(rng, ["regression", "regression", "poisson", "huber"])
        ),
        native=True,
    ),
    "XGBRegressor": Kind(
        lambda rng: XGBRegressor(
            **_xgboost(rng),
            objective=pick(rng, ["reg:squarederror", "reg:squarederror", "count:poisson"]),
        ),
        native=True,
        float32=True,
    ),
    "KNeighborsRegressor": Kind(
        lambda rng: neighbors.KNeighborsRegressor(3, weights=pick(rng, ["uniform", "distance"]))
    ),
    "AdaBoostRegressor": Kind(
        lambda rng: ensemble.AdaBoostRegressor(n_estimators=4, random_state=0)
    ),
    "BaggingRegressor": Kind(
        lambda rng: ensemble.BaggingRegressor(
            pick(rng, [tree.DecisionTreeRegressor(max_depth=3), linear_model.Ridge()]),
            n_estimators=3,
            max_features=pick(rng, [1.0, 0.7]),
            random_state=0,
        )
    ),
    "VotingRegressor": Kind(
        lambda rng: ensemble.VotingRegressor(
            [("a", linear_model.Ridge()), ("b", tree.DecisionTreeRegressor(max_depth=3))]
        )
    ),
    "StackingRegressor": Kind(
        lambda rng: ensemble.StackingRegressor(
            [("a", tree.DecisionTreeRegressor(max_depth=3)), ("b", linear_model.Ridge())],
            linear_model.Ridge(),
            cv=2,
        )
    ),
    "TransformedTargetRegressor": Kind(
        lambda rng: TransformedTargetRegressor(
            linear_model.Ridge(), func=np.log1p, inverse_func=np.expm1
        )
    ),
    "KernelRidge": Kind(
        lambda rng: KernelRidge(kernel=pick(rng, ["rbf", "linear", "laplacian"]), gamma=0.3)
    ),
    "GaussianProcessRegressor": Kind(
        lambda rng: GaussianProcessRegressor(**_gaussian(rng), alpha=0.1, normalize_y=True)
    ),
}
KINDS: dict[Task, dict[str, Kind]] = {"classification": CLASSIFIERS, "regression": REGRESSORS}
