"""Every kind of model that other explainers' suites know: values, layouts, artifacts, labels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import (
    calibration,
    cross_decomposition,
    discriminant_analysis,
    ensemble,
    gaussian_process,
    kernel_ridge,
    linear_model,
    model_selection,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    svm,
    tree,
)
from sklearn.base import clone

from scoring import MimicExplainer, ParameterError, TabularExplainer
from tests.zoo import zoo

PAIR = [
    ("linear", linear_model.LogisticRegression()),
    ("tree", tree.DecisionTreeClassifier(max_depth=3)),
]
PAIR_OF_VALUES = [
    ("linear", linear_model.LinearRegression()),
    ("tree", tree.DecisionTreeRegressor(max_depth=3)),
]
LOGISTIC = linear_model.LogisticRegression()
CLASSIFIERS = {
    "logistic": LOGISTIC,
    "linear svc": svm.LinearSVC(),
    "svc": svm.SVC(),
    "forest": ensemble.RandomForestClassifier(5, max_depth=4, random_state=0),
    "histogram boosting": ensemble.HistGradientBoostingClassifier(max_iter=5),
    "nearest": neighbors.KNeighborsClassifier(3),
    "bayes": naive_bayes.GaussianNB(),
}
"""Of every family of methods one; the rest of the zoo is slow only because it is large."""

MORE_CLASSIFIERS = {
    "liblinear": multiclass.OneVsRestClassifier(
        linear_model.LogisticRegression(solver="liblinear")
    ),
    "one vs one": multiclass.OneVsOneClassifier(LOGISTIC),
    "descent": linear_model.SGDClassifier(random_state=0),
    "descent to log loss": linear_model.SGDClassifier(loss="log_loss", random_state=0),
    "ridge": linear_model.RidgeClassifier(),
    "perceptron": linear_model.Perceptron(),
    "extra trees": ensemble.ExtraTreesClassifier(5, max_depth=4, random_state=0),
    "tree": tree.DecisionTreeClassifier(random_state=0),
    "boosting": ensemble.GradientBoostingClassifier(n_estimators=5),
    "boosting from zero": ensemble.GradientBoostingClassifier(n_estimators=5, init="zero"),
    "ada": ensemble.AdaBoostClassifier(n_estimators=4, random_state=0),
    "soft vote": ensemble.VotingClassifier(PAIR, voting="soft"),
    "bernoulli": naive_bayes.BernoulliNB(),
    "network": neural_network.MLPClassifier(
        hidden_layer_sizes=(4,), solver="lbfgs", max_iter=5000, random_state=0
    ),
    "process": gaussian_process.GaussianProcessClassifier(),
    "discriminant": discriminant_analysis.LinearDiscriminantAnalysis(),
    "quadratic": discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.1),
    "calibrated": calibration.CalibratedClassifierCV(svm.LinearSVC(), cv=2),
    "searched": model_selection.GridSearchCV(LOGISTIC, {"C": [0.5, 1.0]}, cv=2),
}
REGRESSIONS = {
    "linear": linear_model.LinearRegression(),
    "forest": ensemble.RandomForestRegressor(5, max_depth=4, random_state=0),
    "boosting": ensemble.GradientBoostingRegressor(n_estimators=5),
    "support vectors": svm.SVR(),
    "nearest": neighbors.KNeighborsRegressor(3),
}
MORE_REGRESSIONS = {
    "lasso": linear_model.Lasso(alpha=0.01),
    "huber": linear_model.HuberRegressor(),
    "consensus": linear_model.RANSACRegressor(random_state=0),
    "extra trees": ensemble.ExtraTreesRegressor(5, max_depth=4, random_state=0),
    "tree": tree.DecisionTreeRegressor(random_state=0),
    "huber boosting": ensemble.GradientBoostingRegressor(n_estimators=5, loss="huber"),
    "boosting from a line": ensemble.GradientBoostingRegressor(
        n_estimators=5, init=linear_model.LinearRegression()
    ),
    "histogram boosting": ensemble.HistGradientBoostingRegressor(max_iter=5),
    "ada": ensemble.AdaBoostRegressor(n_estimators=4, random_state=0),
    "bag": ensemble.BaggingRegressor(n_estimators=3, random_state=0),
    "vote": ensemble.VotingRegressor(PAIR_OF_VALUES),
    "stack": ensemble.StackingRegressor(PAIR_OF_VALUES, cv=2),
    "network": neural_network.MLPRegressor(
        hidden_layer_sizes=(4,), solver="lbfgs", max_iter=5000, random_state=0
    ),
    "process": gaussian_process.GaussianProcessRegressor(alpha=0.1),
    "kernel ridge": kernel_ridge.KernelRidge(kernel="rbf"),
    "polynomial ridge": kernel_ridge.KernelRidge(kernel="poly"),
    "partial least squares": cross_decomposition.PLSRegression(),
}
OF_POSITIVE = {
    "poisson": linear_model.PoissonRegressor(),
    "gamma": linear_model.GammaRegressor(),
    "tweedie": linear_model.TweedieRegressor(power=1.5),
    "boosting poisson": ensemble.HistGradientBoostingRegressor(max_iter=5, loss="poisson"),
}
OF_TWO = {
    "forest": ensemble.RandomForestRegressor(5, max_depth=4, random_state=0),
    "ridge": linear_model.Ridge(),
    "each by itself": multioutput.MultiOutputRegressor(linear_model.Ridge()),
    "chain": multioutput.RegressorChain(linear_model.Ridge()),
}


def animals():
    for group, targets, slow in (
        (CLASSIFIERS, ("binary", "texts", "three"), False),
        (MORE_CLASSIFIERS, ("binary", "texts", "gaps between"), True),
        (REGRESSIONS, ("value",), False),
        (MORE_REGRESSIONS, ("value",), True),
        (OF_POSITIVE, ("positive",), True),
        (OF_TWO, ("two values",), True),
        ({"ridge": linear_model.Ridge(fit_intercept=False)}, ("a column",), False),
    ):
        for name, model in group.items():
            for target in targets:
                marks = [pytest.mark.slow] if slow else []
                yield pytest.param(model, target, id=f"{name}, {target}", marks=marks)


@pytest.mark.parametrize(("model", "target"), list(animals()))
def test_every_model_is_explained_saved_and_served(model, target, tmp_path):
    fitted = clone(model).fit(zoo.X, zoo.TARGETS[target])
    explainer = TabularExplainer(fitted, zoo.X)
    local = explainer.explain_local(zoo.ROWS)
    outputs = zoo.says(fitted, zoo.ROWS, local.output_space)
    zoo.adds_up(local, outputs, 1e-9)
    zoo.keeps_to_the_layouts(local, classification=hasattr(fitted, "classes_"))
    zoo.is_the_mean_of(explainer.explain_global(zoo.ROWS, show_progress=False), local)
    scoring = zoo.served(explainer, tmp_path / "artifact")
    zoo.answers_what_the_model_answers(scoring, fitted, zoo.ROWS, outputs)


@pytest.mark.parametrize("surrogate", zoo.SURROGATES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("target", ["texts", "three", "value"])
def test_every_surrogate_of_every_task(surrogate, target, tmp_path):
    kind = linear_model.LinearRegression if target == "value" else linear_model.LogisticRegression
    fitted = kind().fit(zoo.X, zoo.TARGETS[target])
    options = zoo.QUIET.get(surrogate.name, {})
    explainer = MimicExplainer(fitted, zoo.X, surrogate, options)
    local = explainer.explain_local(zoo.ROWS)
    says = explainer.surrogate.outputs(explainer.predictor.schema.encode(zoo.ROWS))
    zoo.near(local.base_values + local.values.sum(axis=1), says, 1e-9)
    zoo.near(local.outputs, zoo.says(fitted, zoo.ROWS, local.output_space), 1e-12)
    zoo.keeps_to_the_layouts(local, classification=target != "value")
    zoo.is_the_mean_of(explainer.explain_global(zoo.ROWS, show_progress=False), local)
    scoring = zoo.served(explainer, tmp_path / "artifact")
    own = fitted.predict(zoo.ROWS)
    if target == "value":
        zoo.near(scoring.predict(zoo.ROWS), own)
    else:
        np.testing.assert_array_equal(scoring.predict(zoo.ROWS), own)


@pytest.mark.parametrize(
    "model",
    [ensemble.VotingClassifier(PAIR), multiclass.OutputCodeClassifier(LOGISTIC, random_state=0)],
    ids=["hard vote", "output code"],
)
def test_a_classifier_that_answers_labels_only_is_refused(model):
    fitted = clone(model).fit(zoo.X, zoo.TARGETS["three"])
    with pytest.raises(ParameterError, match="model must have predict_proba or decision_function"):
        TabularExplainer(fitted, zoo.X)
    with pytest.raises(ParameterError, match="model must have predict_proba or decision_function"):
        MimicExplainer(fitted, zoo.X, zoo.SURROGATES[0])
