"""Classifiers of every kind with labels of every kind: the artifact answers what the model does."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import (
    calibration,
    discriminant_analysis,
    dummy,
    ensemble,
    gaussian_process,
    linear_model,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    semi_supervised,
    svm,
    tree,
)
from sklearn.base import clone
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scoring import ParameterError
from tests.models.agreement import ROWS, X, agrees, explained, labelled

LOGISTIC = linear_model.LogisticRegression()
SMALL = tree.DecisionTreeClassifier(max_depth=2, random_state=0)
PAIR = [("tree", SMALL), ("line", LOGISTIC)]


def boosted(package):
    if package == "catboost":
        catboost = pytest.importorskip("catboost")
        options = {"verbose": 0, "thread_count": 1, "allow_writing_files": False}
        return catboost.CatBoostClassifier(iterations=4, depth=2, **options)
    if package == "lightgbm":
        lightgbm = pytest.importorskip("lightgbm")
        return lightgbm.LGBMClassifier(n_estimators=4, min_child_samples=5, verbose=-1, n_jobs=1)
    xgboost = pytest.importorskip("xgboost")
    return xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1)


CLASSIFIERS = {
    "logistic": lambda: LOGISTIC,
    "logistic CV": lambda: linear_model.LogisticRegressionCV(
        Cs=2, cv=2, l1_ratios=(0.0,), use_legacy_attributes=False
    ),
    "SGD": lambda: linear_model.SGDClassifier(random_state=0),
    "ridge": linear_model.RidgeClassifier,
    "perceptron": lambda: linear_model.Perceptron(random_state=0),
    "passive": lambda: linear_model.SGDClassifier(loss="log_loss", random_state=0),
    "LDA": discriminant_analysis.LinearDiscriminantAnalysis,
    "QDA": discriminant_analysis.QuadraticDiscriminantAnalysis,
    "naive Bayes": naive_bayes.GaussianNB,
    "neighbours": lambda: neighbors.KNeighborsClassifier(3, algorithm="brute"),
    "centroid": neighbors.NearestCentroid,
    "tree": lambda: SMALL,
    "extra tree": lambda: tree.ExtraTreeClassifier(max_depth=3, random_state=0),
    "forest": lambda: ensemble.RandomForestClassifier(3, max_depth=3, random_state=0),
    "extra trees": lambda: ensemble.ExtraTreesClassifier(3, max_depth=3, random_state=0),
    "gradient boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=3, max_depth=2),
    "histograms": lambda: ensemble.HistGradientBoostingClassifier(max_iter=3, max_depth=2),
    "AdaBoost": lambda: ensemble.AdaBoostClassifier(SMALL, n_estimators=3, random_state=0),
    "bagging": lambda: ensemble.BaggingClassifier(SMALL, 3, random_state=0),
    "bagged lines": lambda: ensemble.BaggingClassifier(LOGISTIC, 3, random_state=0),
    "stacking": lambda: ensemble.StackingClassifier(PAIR, cv=2),
    "soft vote": lambda: ensemble.VotingClassifier(PAIR, voting="soft"),
    "calibrated": lambda: calibration.CalibratedClassifierCV(LOGISTIC, cv=2),
    "calibrated SVC": lambda: calibration.CalibratedClassifierCV(svm.SVC(), cv=2, ensemble=False),
    "SVC": svm.SVC,
    "SVC of pairs": lambda: svm.SVC(decision_function_shape="ovo"),
    "linear SVC": svm.LinearSVC,
    "network": lambda: neural_network.MLPClassifier((4,), max_iter=20, random_state=0),
    "Gaussian process": gaussian_process.GaussianProcessClassifier,
    "one against the rest": lambda: multiclass.OneVsRestClassifier(LOGISTIC),
    "one against one": lambda: multiclass.OneVsOneClassifier(LOGISTIC),
    "self-training": lambda: semi_supervised.SelfTrainingClassifier(LOGISTIC),
    "dummy": lambda: dummy.DummyClassifier(strategy="prior"),
    "pipeline": lambda: make_pipeline(StandardScaler(), LOGISTIC),
    "pipeline of a bag": lambda: make_pipeline(
        StandardScaler(), ensemble.BaggingClassifier(SMALL, 2, random_state=0)
    ),
    "grid search": lambda: GridSearchCV(LOGISTIC, {"C": [0.1, 1.0]}, cv=2),
    "threshold": lambda: FixedThresholdClassifier(LOGISTIC, threshold=0.7),
    "LightGBM": lambda: boosted("lightgbm"),
    "XGBoost": lambda: boosted("xgboost"),
    "CatBoost": lambda: boosted("catboost"),
    "pipeline of LightGBM": lambda: make_pipeline(StandardScaler(), boosted("lightgbm")),
    "pipeline of CatBoost": lambda: make_pipeline(StandardScaler(), boosted("catboost")),
}  # fmt: skip

LABELS: dict[str, list[Any]] = {
    "numbers": [5, 7],
    "texts": ["no", "maybe"],
    "booleans": [False, True],
    "three numbers": [-3, 0, 12],
    "three texts": ["a", "bb", "a long one"],
    "floats": [-1.0, 2.0],
}
COMMON = ("numbers", "three texts")
"""Labels that every classifier is fitted to here; the others are for those that differ in code."""

EVERY = ("logistic", "bagging", "stacking", "soft vote", "histograms", "LightGBM", "CatBoost",
         "calibrated", "one against the rest")  # fmt: skip
TWO = {"threshold"}
OWN: dict[str, list[Any]] = {"XGBoost": [0, 1, 2]}
CASES = [(name, kind) for name in CLASSIFIERS for kind in COMMON]
CASES += [(name, kind) for name in EVERY for kind in LABELS if kind not in COMMON]


def scores(model):
    if hasattr(model, "predict_proba"):
        return model.predict_proba(ROWS)
    return model.decision_function(ROWS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_labels_and_outputs_come_back(name, kind):
    labels = OWN.get(name, LABELS[kind])
    if name in TWO and len(labels) > 2:
        pytest.skip("it tells two classes apart")
    y = labelled(labels)
    y = y.astype(object) if name == "self-training" and kind == "three texts" else y
    model = clone(CLASSIFIERS[name]()).fit(X, y)
    agrees(explained(model), model.predict(ROWS), scores(model))


@pytest.mark.parametrize("space", ["margin", "probability"])
@pytest.mark.parametrize("package", ["lightgbm", "xgboost", "catboost"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_boosted_margins_and_probabilities(space, package, n_classes):
    labels = list(range(n_classes)) if package == "xgboost" else ["x", "y", "zz"][:n_classes]
    model = boosted(package).fit(X, labelled(labels))
    keyword = {"lightgbm": "raw_score", "xgboost": "output_margin", "catboost": "prediction_type"}
    value = "RawFormulaVal" if package == "catboost" else True
    expected = model.predict_proba(ROWS)
    if space == "margin":
        expected = model.predict(ROWS, **{keyword[package]: value})
    loaded = agrees(explained(model, output_space=space), model.predict(ROWS), expected)
    assert loaded.predictor.space == space


def test_classifiers_without_scores_are_refused():
    for model in (multiclass.OutputCodeClassifier(LOGISTIC, random_state=0),
                  ensemble.VotingClassifier(PAIR, voting="hard")):  # fmt: skip
        model.fit(X, labelled(["a", "b", "c"]))
        with pytest.raises(ParameterError, match="must have predict_proba or decision_function"):
            explained(model)


class Fixed:
    """A classifier with classes of somebody's own making."""

    def __init__(self, classes, answers=None):
        self.classes_, self.answers = classes, classes if answers is None else answers

    def predict(self, rows):
        return np.array(self.answers, dtype=object)[(rows[:, 0] > 0).astype(int)]

    def predict_proba(self, rows):
        likely = 1 / (1 + np.exp(-rows[:, 0]))
        return np.column_stack([1 - likely, likely])


@pytest.mark.parametrize("classes", [
    [np.int64(3), np.int64(4)], [np.str_("a"), np.str_("bcd")], [0, 0.5], (True, False),
    np.array(["a", "bcd"], dtype=object), [-(2**40), 2**40],
])  # fmt: skip
def test_classes_of_any_container_and_type(classes):
    model = Fixed(classes)
    loaded = agrees(explained(model), model.predict(ROWS), model.predict_proba(ROWS))
    assert {type(label) for label in loaded.predictor.model.labels} <= {int, float, str, bool}


@pytest.mark.parametrize(("classes", "rule"), [
    ([1, "a"], "must have classes of one kind"), ([None, "a"], "must have classes of one kind"),
    ([b"a", b"b"], "must have classes of one kind"), ([1.0, float("nan")], "of one kind"),
    ([2**70, 1], "of one kind"), (["a", "a"], "each once"),
    ([[0, 1], [0, 1]], "one class for each row"),
    ([np.array([0, 1]), np.array([0, 1, 2])], "one class for each row"),
])  # fmt: skip
def test_classes_that_no_artifact_can_name_are_refused(classes, rule):
    with pytest.raises(ParameterError, match=rule) as caught:
        explained(Fixed(classes))
    assert caught.value.parameter == "model"


def test_answers_that_are_none_of_its_classes_are_refused():
    with pytest.raises(ParameterError, match="must answer its own classes"):
        explained(Fixed(["a", "b"], answers=[0, 1]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["rest", "network", "chain", "targets", "forest", "XGBoost",
                                  "CatBoost", "neighbours"])  # fmt: skip
def test_several_targets_are_refused_by_one_error(name):
    from sklearn.multioutput import ClassifierChain, MultiOutputClassifier

    several = (X > 0).astype(int)
    make = {
        "rest": lambda: multiclass.OneVsRestClassifier(LOGISTIC),
        "network": lambda: neural_network.MLPClassifier((4,), max_iter=5),
        "chain": lambda: ClassifierChain(LOGISTIC),
        "targets": lambda: MultiOutputClassifier(LOGISTIC),
        "forest": lambda: ensemble.RandomForestClassifier(2),
        "XGBoost": lambda: boosted("xgboost"),
        "CatBoost": lambda: boosted("catboost").set_params(loss_function="MultiLogloss"),
        "neighbours": neighbors.KNeighborsClassifier,
    }  # fmt: skip
    for y in (several, several[:, :2]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make[name]().fit(X, y)
        with pytest.raises(ParameterError, match="must answer one class for each row") as caught:
            explained(model)
        assert caught.value.parameter == "model"


def test_several_numbers_are_explained_each():
    from sklearn.multioutput import MultiOutputRegressor

    y = np.column_stack([X[:, 0], X[:, 1] * 3, X.sum(axis=1)])
    boosting = MultiOutputRegressor(ensemble.GradientBoostingRegressor(n_estimators=2))
    for model in (tree.DecisionTreeRegressor(max_depth=3), linear_model.Ridge(), boosting):
        model.fit(X, y)
        found = explained(model).explain_local(ROWS)
        np.testing.assert_allclose(found.outputs, model.predict(ROWS), atol=1e-9)


def test_a_single_class_stays_one():
    model = tree.DecisionTreeClassifier().fit(X, np.full(len(X), "only"))
    found = explained(model).explain_local(ROWS)
    assert (found.output_names, found.outputs.shape) == (("only",), (len(ROWS), 1))
