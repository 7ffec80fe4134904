"""The forms a model travels in: which takes what, and how it comes back."""

import sys

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from scoring import ArtifactError, ArtifactUnsupported, ArtifactUntrusted
from scoring.background import whole
from scoring.forms import edges, onnx_export, order, pickled, skops
from scoring.predictor import adapt
from scoring.schema import FeatureSchema
from tests.forms.fitted import VALUES, X, Y, carried, fitted, taken
from tests.saved import rows, scaled

FAMILIES = {
    "logistic regression": (scaled(LogisticRegression()), "onnx", 1e-12),
    "its margin": (scaled(LogisticRegression()), "onnx", 1e-12),
    "perceptrons": (scaled(MLPClassifier((8, 8), max_iter=20, tol=1)), "onnx", 1e-12),
    "naive Bayes": (GaussianNB(), "onnx", 1e-12),
    "calibrated SVC": (scaled(CalibratedClassifierCV(SVC(), ensemble=False)), "onnx", 1e-5),
    "linear SVC, margin": (LinearSVC(), "onnx", 1e-12),
    "ridge classifier, margin": (RidgeClassifier(), "onnx", 1e-12),
    "SVC, margin": (SVC(), "onnx", 1e-5),
    "boosting": (GradientBoostingClassifier(n_estimators=5), "onnx", 1e-5),
    "boosting, margin": (GradientBoostingClassifier(n_estimators=5), "onnx", 1e-5),
    "a tree": (DecisionTreeClassifier(max_depth=4), "onnx", 1e-5),
    "stacked": (StackingClassifier([("tree", DecisionTreeClassifier(max_depth=3))]), "onnx", 1e-5),
    "linear regression": (LinearRegression(), "onnx", 1e-12),
    "a forest of values": (RandomForestRegressor(10, random_state=0), "onnx", 1e-5),
    "extra trees of values": (ExtraTreesRegressor(5, random_state=0), "onnx", 1e-5),
    "boosted values": (GradientBoostingRegressor(n_estimators=5), "onnx", 1e-5),
    "SVR": (scaled(SVR()), "onnx", 1e-5),
    "a Gaussian process": (GaussianProcessRegressor(alpha=0.1), "onnx", 1e-9),
    "histogram boosting": (HistGradientBoostingClassifier(max_iter=5), "skops", 0),
    "histogram boosting, margin": (HistGradientBoostingClassifier(max_iter=5), "skops", 0),
    "histogram boosted values": (HistGradientBoostingRegressor(max_iter=5), "skops", 0),
    "kernel ridge": (KernelRidge(kernel="rbf"), "skops", 1e-12),
    "a vote": (VotingClassifier([("tree", DecisionTreeClassifier())], voting="soft"), "skops", 0),
    "outliers": (IsolationForest(n_estimators=3, random_state=0), "skops", 0),
    "splines": (make_pipeline(SplineTransformer(), Ridge()), "pickle", 0),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_takes_the_safest_form_that_reproduces_it(name):
    model, form, tolerance = FAMILIES[name]
    predictor, result = carried(model, space="margin" if "margin" in name else None)
    facts = result.facts
    assert facts["form"] == form
    assert facts["parity"]["label_differences"] == 0
    assert max(facts["parity"]["max_error"].values()) <= tolerance
    assert facts["parity"]["held_out_rows"] > 1000
    assert facts["parity"]["edge_rows"] > 50
    tried = {"onnx": [], "skops": ["onnx"], "pickle": ["onnx", "skops"]}[form]
    assert [why["form"] for why in facts["refused"]] == tried
    assert all(len(why["reason"]) > 10 for why in facts["refused"])

    order.check_form(facts, list(result.files), pinned=True)
    copy = taken(predictor, result)
    assert predictor.space in copy.model.spaces
    assert copy.model.labels == predictor.model.labels
    table = predictor.schema.encode(rows(50, seed=9)[0])
    assert copy.predictions(table).shape == predictor.predictions(table).shape
    for space in copy.model.spaces:
        original = predictor.model.outputs(table, space)
        error = np.abs(copy.model.outputs(table, space) - original).max()
        assert error <= np.ptp(original) * max(tolerance, 1e-12)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_boosting_libraries_travel_as_skops(library, kind):
    module = pytest.importorskip(library)
    options = {"lightgbm": {"verbose": -1, "min_child_samples": 3}, "xgboost": {"max_depth": 3}}
    prefix = {"lightgbm": "LGBM", "xgboost": "XGB"}[library]
    model = getattr(module, prefix + kind)(n_estimators=5, **options[library])
    predictor, result = carried(model, Y if kind == "Classifier" else VALUES)
    assert result.facts["form"] == "skops"
    assert max(result.facts["parity"]["max_error"].values()) == 0
    assert taken(predictor, result).model.spaces == predictor.model.spaces


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [3, 7], [1.0, 2.0]], ids=str)
def test_labels_come_back_as_what_they_are(labels):
    predictor, result = carried(scaled(LogisticRegression()), np.asarray(labels)[Y])
    copy = taken(predictor, result)
    table = predictor.schema.encode(X)
    assert copy.model.labels == tuple(labels)
    said = copy.predictions(table).tolist()
    assert said == predictor.predictions(table).tolist()
    assert {type(label) for label in said} == {type(labels[0])}


def test_three_classes_and_two_targets():
    for y in (np.digitize(VALUES, [-50, 50]), np.column_stack([VALUES, 5 - 2 * VALUES])):
        model = scaled(LogisticRegression() if y.ndim == 1 else Ridge())
        predictor, result = carried(model, y)
        copy = taken(predictor, result)
        table = predictor.schema.encode(X)
        np.testing.assert_allclose(copy.outputs(table), predictor.outputs(table), atol=1e-9)
        np.testing.assert_allclose(copy.predictions(table), predictor.predictions(table), atol=1e-9)


def test_mixed_tables_go_as_columns_with_their_gaps(mixed):
    x, y, model = mixed
    predictor, background = fitted(model, y, x=x)
    result = order.carry(predictor, background, background.table.codes[0])
    assert result.facts["form"] == "onnx"
    assert result.facts["inputs"] == "float columns"
    assert result.facts["parity"]["edge_rows_refused_by_model"] == 0
    table = edges.edge_rows(predictor.schema, background)
    assert np.isnan(table.codes).any()
    copied = taken(predictor, result).outputs(table)
    np.testing.assert_allclose(copied, predictor.outputs(table), atol=1e-6)


def test_missing_values_go_down_the_branch_that_scikit_learn_sends_them(monkeypatch):
    model = DecisionTreeRegressor(max_depth=4, random_state=0)
    _, result = carried(model, VALUES)
    assert result.facts["form"] == "onnx"
    monkeypatch.setattr(onnx_export, "_route_missing", lambda *_: None)
    _, result = carried(model, VALUES)
    assert result.facts["form"] == "skops"  # the edge rows with gaps found it out


def test_a_bare_function_asks_for_the_estimator():
    schema = FeatureSchema.infer(X)
    predictor = adapt(lambda x: x[:, 0], schema)
    with pytest.raises(ArtifactUnsupported, match="estimator itself"):
        order.carry(predictor, whole(schema.encode(X)), X[0])


def test_a_model_that_nothing_carries_says_why():
    class Local(LinearRegression):  # type: ignore[misc]  # scikit-learn is untyped, so its classes are Any
        """Cannot be pickled: its class is nowhere to be found."""

    with pytest.raises(ArtifactUnsupported, match=r"onnx: .*skops: .*pickle: "):
        carried(Local(), VALUES)


# --- Libraries that are not there -----------------------------------------------------------------


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    data = skops.write(HistGradientBoostingClassifier(max_iter=1).fit(X, Y))
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ArtifactUnsupported, match=r"pip install 'shapserve\[sklearn\]'"):
        skops.read(data)
    monkeypatch.undo()
    lightgbm = pytest.importorskip("lightgbm")
    data = skops.write(lightgbm.LGBMClassifier(n_estimators=1, verbose=-1).fit(X, Y))
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    monkeypatch.setitem(sys.modules, "lightgbm.sklearn", None)
    with pytest.raises(ArtifactUnsupported, match=r"shapserve\[lightgbm\]"):
        skops.read(data)


def test_without_a_converter_the_next_form_is_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    monkeypatch.setitem(sys.modules, "skl2onnx.common", None)
    _, result = carried(LinearRegression(), VALUES)
    assert result.facts["form"] == "skops"
    assert "skl2onnx" in result.facts["refused"][0]["reason"]
    monkeypatch.setitem(sys.modules, "skops.io", None)
    _, result = carried(LinearRegression(), VALUES)
    assert result.facts["form"] == "pickle"
    assert "not installed" in result.facts["refused"][1]["reason"]


def test_a_pickle_of_a_class_that_is_not_here_says_so():
    with pytest.raises(ArtifactUnsupported, match="No module named"):
        pickled.read(b"\x80\x04cnowhere\nThing\n)\x81.")
    with pytest.raises(ArtifactError):
        pickled.read(b"\x80\x04")


def test_k_nearest_neighbours_with_a_search_tree_are_pickled():
    """The search tree's indices are nobody's to check, so skops does not carry it."""
    model = KNeighborsClassifier(algorithm="kd_tree").fit(X, Y)
    with pytest.raises(ArtifactUntrusted, match="KDTree"):
        skops.read(skops.write(model))
    assert type(pickled.read(pickled.write(model))) is type(model)
