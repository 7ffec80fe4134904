"""Objects and functions that predict, without scikit-learn's attributes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from scoring import (
    ArtifactUnsupported,
    KernelScoringExplainer,
    LGBMExplainableModel,
    LinearExplainableModel,
    MimicExplainer,
    ModelError,
    ParameterError,
    PFIExplainer,
    TabularExplainer,
)
from tests.models.agreement import ROWS, X, agrees, explained, labelled, reloaded

THREE = labelled([0, 1, 2])
FOREST = RandomForestClassifier(3, max_depth=3, random_state=0).fit(X, THREE)
BINARY = LogisticRegression().fit(X, labelled([0, 1]))


class Wrapped:
    """`predict` and `predict_proba`, and nothing else."""

    def __init__(self, model=FOREST, names=None):
        self.model, self.names = model, names

    def predict(self, rows):
        said = self.model.predict(np.asarray(rows))
        return said if self.names is None else np.array(self.names)[said]

    def predict_proba(self, rows):
        return self.model.predict_proba(np.asarray(rows))


class Probable:
    """`predict_proba` alone."""

    def predict_proba(self, rows):
        return FOREST.predict_proba(rows)


class Keras:
    """A network whose `predict` answers probabilities, in single precision."""

    def __init__(self, model=FOREST, columns=slice(None)):
        self.model, self.columns = model, columns

    def predict(self, rows):
        return self.model.predict_proba(rows)[:, self.columns].astype(np.float32)


def by_proba(rows):
    return FOREST.predict_proba(rows)


LIKELY = FOREST.predict_proba(ROWS)
SAID = FOREST.predict(ROWS)
NAMES = ["a", "b", "c"]
NAMED = np.array(NAMES)[LIKELY.argmax(axis=1)]


@pytest.mark.parametrize(("model", "options", "said"), [
    (Wrapped(), {}, SAID),
    (Wrapped(), {"model_task": "classification"}, SAID),
    (Wrapped(), {"output_space": "probability"}, SAID),
    (Wrapped(), {"classes": NAMES}, SAID),
    (Wrapped(names=NAMES), {"classes": NAMES}, np.array(NAMES)[SAID]),
    (Wrapped(names=[7, 5, 6]), {"classes": [7, 5, 6]}, np.array([7, 5, 6])[SAID]),
    (Wrapped(names=[0.0, 1.0, 2.0]), {}, SAID),
    (Wrapped().predict_proba, {}, SAID),
    (FOREST.predict_proba, {"classes": NAMES}, SAID),
    (Probable(), {}, LIKELY.argmax(axis=1)),
    (Probable(), {"classes": NAMES}, NAMED),
    (Probable().predict_proba, {}, LIKELY.argmax(axis=1)),
    (Keras(), {"model_task": "classification"}, LIKELY.argmax(axis=1)),
    (Keras().predict, {"model_task": "classification", "classes": NAMES}, NAMED),
    (Keras(), {"output_space": "probability"}, LIKELY.argmax(axis=1)),
])  # fmt: skip
def test_objects_that_predict_are_classifiers_and_travel(model, options, said):
    explainer = explained(model, **options)
    loaded = agrees(explainer, said, LIKELY)
    assert loaded.predictor.space == "probability"
    assert loaded.classes == tuple(map(str, options.get("classes", loaded.predictor.model.labels)))
    assert loaded.explain_local(ROWS).axes == ("class", "row", "feature")


@pytest.mark.parametrize("columns", [[1], 1])
def test_one_column_is_the_second_class_of_two(columns):
    likely = BINARY.predict_proba(ROWS)
    loaded = agrees(explained(Keras(BINARY, columns), model_task="classification"),
                    likely.argmax(axis=1), likely)  # fmt: skip
    assert loaded.predictor.model.labels == (0, 1)

    def function(rows):
        return BINARY.predict_proba(rows)[:, columns]

    found = explained(function, model_task="classification", classes=["no", "yes"])
    assert found.explain_local(ROWS).output_names == ("no", "yes")
    np.testing.assert_allclose(found.explain_local(ROWS).outputs, likely)
    predicted = KernelScoringExplainer(found).predict(ROWS)
    assert predicted.tolist() == np.array(["no", "yes"])[likely.argmax(axis=1)].tolist()


@pytest.mark.parametrize("classes", [None, NAMES])
def test_a_function_of_probabilities(classes, tmp_path):
    explainer = explained(by_proba, model_task="classification", classes=classes)
    found = explainer.explain_local(ROWS)
    np.testing.assert_allclose(found.outputs, LIKELY)
    assert found.axes == ("class", "row", "feature")
    distilled = KernelScoringExplainer(explainer)
    expected = LIKELY.argmax(axis=1) if classes is None else NAMED
    assert distilled.predict(ROWS).tolist() == expected.tolist()
    with pytest.raises(ArtifactUnsupported, match="a bare function cannot be saved"):
        reloaded(explainer)


@pytest.mark.parametrize("model", [Wrapped(), Keras(), by_proba])
def test_mimic_and_permutation_take_them_as_well(model):
    task: Any = {"model_task": "classification"}
    mimic = MimicExplainer(model, X, LGBMExplainableModel, {"verbosity": -1}, **task)
    np.testing.assert_allclose(mimic.explain_local(ROWS).outputs, LIKELY, atol=1e-6)
    assert mimic.classes == ("0", "1", "2")
    mimic = MimicExplainer(model, X, LinearExplainableModel, classes=NAMES, **task)
    assert mimic.classes == tuple(NAMES)
    found = PFIExplainer(model, show_progress=False, **task).explain_global(X, THREE)
    of_forest = PFIExplainer(FOREST, show_progress=False).explain_global(X, THREE)
    np.testing.assert_allclose(found.values, of_forest.values)


def test_the_task_overrides_what_a_model_looks_like():
    found = explained(Wrapped(), model_task="regression").explain_local(ROWS)
    assert (found.output_space, found.outputs[:, 0].tolist()) == ("value", SAID.tolist())
    agrees(explained(BINARY, model_task="regression"), BINARY.predict(ROWS), BINARY.predict(ROWS))
    agrees(explained(Wrapped().predict, model_task="regression"), SAID, SAID)
    with pytest.raises(ParameterError, match=r"model must answer numbers .* texts"):
        explained(Wrapped(names=NAMES), model_task="regression")
    line = LinearRegression().fit(X, X[:, 0] * 9)
    with pytest.raises(ParameterError, match="answers numbers outside 0 to 1"):
        explained(line, model_task="classification")


@pytest.mark.parametrize(("model", "options", "parameter", "rule"), [
    (Wrapped(names=NAMES), {}, "classes", "must name the 3 classes as predict answers them"),
    (Wrapped(), {"classes": ["a", "b"]}, "classes", "must name 3 classes, not 2"),
    (Keras(), {"model_task": "classification", "classes": ["a"]}, "classes", "must name 3"),
    (Keras(), {"model_task": "classification", "classes": ["a", "a", "b"]}, "classes", "repeat"),
    (lambda x: np.abs(x) / 9, {"model_task": "classification"}, "model", "sum to 1"),
    (lambda x: x, {"model_task": "classification"}, "model", "outside 0 to 1"),
    (lambda x: [FOREST.predict_proba(x)] * 2, {"model_task": "classification"}, "model",
     "one class for each row"),
    (Wrapped().predict, {}, "model", "predict answers class labels"),
])  # fmt: skip
def test_what_is_no_classifier_is_named(model, options, parameter, rule):
    with pytest.raises(ParameterError, match=rule) as caught:
        explained(model, **options)
    assert caught.value.parameter == parameter


class Bare(BaseEstimator, RegressorMixin):  # type: ignore[misc]  # scikit-learn is untyped, so its classes are Any
    """Fitted without an attribute that scikit-learn would know it by."""

    def fit(self, x, y):
        return self

    def predict(self, rows):
        return 2 * rows[:, 0] - rows[:, 1]


class BareClassifier(BaseEstimator, ClassifierMixin):  # type: ignore[misc]  # scikit-learn is untyped, so its classes are Any
    def fit(self, x, y):
        return self

    def predict_proba(self, rows):
        return BINARY.predict_proba(rows)

    def predict(self, rows):
        return BINARY.predict(rows)


def test_fitted_is_what_can_predict():
    expected = Bare().predict(ROWS)
    loaded = reloaded(explained(Bare()))
    np.testing.assert_allclose(loaded.predict(ROWS), expected)
    agrees(explained(BareClassifier()), BINARY.predict(ROWS), BINARY.predict_proba(ROWS))
    for model in (LogisticRegression(), RandomForestClassifier(), LinearRegression()):
        with pytest.raises(ParameterError, match="model must be fitted"):
            explained(model)


@pytest.mark.parametrize("package", ["lightgbm", "xgboost", "catboost"])
def test_boosters_that_are_not_fitted(package):
    module = pytest.importorskip(package)
    prefix = {"lightgbm": "LGBM", "xgboost": "XGB", "catboost": "CatBoost"}[package]
    for kind in ("Classifier", "Regressor"):
        with pytest.raises(ParameterError, match="model must be fitted"):
            explained(getattr(module, prefix + kind)())


class Failing:
    """Raises an error of its own."""

    def __init__(self, where):
        self.where = where

    def predict(self, rows):
        if self.where == "predict":
            raise KeyError("no such thing\nand a second line")
        return np.zeros(len(rows), dtype=int)

    def predict_proba(self, rows):
        raise ZeroDivisionError("a division\nin the model")


@pytest.mark.parametrize(("where", "words"), [
    ("predict_proba", "its predict_proba raised ZeroDivisionError: a division. That is the model"),
    ("predict", "its predict raised KeyError: 'no such thing"),
])  # fmt: skip
def test_a_failure_inside_a_model_is_told_as_the_models(where, words):
    model = Failing(where)
    with pytest.raises(ParameterError) as caught:
        explained(model, **({"model_task": "regression"} if where == "predict" else {}))
    assert words in str(caught.value)
    assert "second line" not in str(caught.value).replace("\\n", "\n").partition("\n")[0]
    assert "order" not in str(caught.value)


def test_shapes_that_are_none_are_named():
    with pytest.raises(ModelError, match=r"of shape \(2,\) for 15 rows"):
        explained(lambda rows: np.zeros(2))
    with pytest.raises(ParameterError, match=r"model must answer numbers .* texts"):
        explained(LogisticLabels())


class LogisticLabels:
    """Labels without scores or classes."""

    def predict(self, rows):
        return np.where(rows[:, 0] > 0, "yes", "no")


def test_a_frame_reaches_an_object_as_a_frame():
    import pandas as pd

    frame = pd.DataFrame(X, columns=["a", "b", "c"])

    class Columns:
        def predict_proba(self, rows):
            likely = 1 / (1 + np.exp(-rows["a"] + rows["c"]))
            return pd.DataFrame({"no": 1 - likely, "yes": likely})

        def predict(self, rows):
            return pd.Series(rows["a"] > rows["c"])

    found = TabularExplainer(Columns(), frame[:15])
    assert found.predictor.model.labels == (False, True)
    expected = Columns().predict_proba(frame).to_numpy()
    np.testing.assert_allclose(found.explain_local(frame).outputs, expected)
