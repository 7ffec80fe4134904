"""The forms a model travels in: which takes what, and how a copy is held against its original."""

import os
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
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

from scoring.background import whole
from scoring.errors import ArtifactError, ArtifactUnsupported, ArtifactUntrusted, ParameterError
from scoring.forms import edges, onnx_export, order, pickled, skops
from scoring.forms.estimators import check_estimator, sklearn_trees
from scoring.forms.onnx import OnnxModel, usable_cpus
from scoring.forms.parity import TOLERANCE, Parity, Scale
from scoring.forms.refused import FormRefused, Unsound
from scoring.forms.trees import check_branches
from scoring.predictor import adapt
from scoring.probe import with_allowances
from scoring.schema import FeatureSchema
from scoring.table import Table
from tests.saved import rows, scaled

X, Y = rows(120)
VALUES = X[:, 0] * 3 + np.sin(X[:, 1]) * 100


def fitted(model, y=None, space=None, x=X):
    """A model with its face and the background of its rows, as a scoring explainer has them."""
    if y is None:
        y = VALUES if getattr(model, "_estimator_type", "") == "regressor" else Y
    schema = FeatureSchema.infer(x)
    predictor = adapt(model.fit(x, y), schema, space)
    with_gaps = replace(
        schema, features=tuple(replace(f, allows_missing=True) for f in schema.features)
    )
    table = with_gaps.encode(x)
    schema = with_allowances(schema, predictor, table)
    return adapt(model, schema, space, probe=table.take(slice(0, 3))), whole(
        table.take(slice(0, 40))
    )


def carried(model, y=None, space=None):
    predictor, background = fitted(model, y, space)
    return predictor, order.carry(predictor, background, background.table.codes[0])


def taken(predictor, result):
    """The predictor with the copy that its form gives back."""
    return replace(predictor, model=order.take(result.facts, result.files, predictor.schema))


def calibrated():
    return CalibratedClassifierCV(SVC(), ensemble=False)


FAMILIES = {
    "logistic regression": (scaled(LogisticRegression()), "onnx", 1e-12),
    "its margin": (scaled(LogisticRegression()), "onnx", 1e-12),
    "perceptrons": (scaled(MLPClassifier((8, 8), max_iter=20, tol=1)), "onnx", 1e-12),
    "naive Bayes": (GaussianNB(), "onnx", 1e-12),
    "calibrated SVC": (scaled(calibrated()), "onnx", 1e-5),
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
    class Local(LinearRegression):  # type: ignore[misc]  # scikit-learn has no types
        """Cannot be pickled: its class is nowhere to be found."""

    with pytest.raises(ArtifactUnsupported, match=r"onnx: .*skops: .*pickle: "):
        carried(Local(), VALUES)


# --- Parity ---------------------------------------------------------------------------------------


def parity_of(model, y=None, n_rows=200):
    predictor, background = fitted(model, y)
    held_out = edges.held_out_rows(background, background.table.codes[0], n_rows)
    return predictor, Parity.of(
        predictor.model, [predictor.space], held_out, edges.edge_rows(predictor.schema, background)
    )


class Altered:
    """A copy that is wrong in a way of one's choice."""

    def __init__(self, model, outputs=lambda o, _: o, labels=lambda p, _: p):
        self.model, self.spaces, self.labels = model, model.spaces, model.labels
        self.change_outputs, self.change_labels = outputs, labels

    def outputs(self, table, space):
        return self.change_outputs(self.model.outputs(table, space), table)

    def predict(self, table):
        return self.change_labels(self.model.predict(table), table)


def test_a_copy_may_differ_by_the_tolerance_and_no_more():
    predictor, parity = parity_of(LinearRegression(), VALUES)
    spread = np.ptp(parity.asked[0][1].outputs["value"])
    for share, passes in ((0.5 * TOLERANCE, True), (2 * TOLERANCE, False)):
        copy = Altered(predictor.model, lambda o, _, share=share: o + share * spread)
        if passes:
            assert parity.check(copy)["max_error"]["value"] == pytest.approx(share, rel=0.01)
        else:
            with pytest.raises(FormRefused, match="largest error is 2e-05"):
                parity.check(copy)


def test_the_scale_is_the_spread_and_not_the_size():
    outputs = np.array([[1e6], [1e6 + 1]])
    assert Scale.of(outputs, "value").error(outputs, outputs + 1e-3) == pytest.approx(1e-3)
    both = np.array([[0.0, 0.0], [0.5, 1e-9]])
    assert Scale.of(both, "probability").error(both, both + 1e-6) == pytest.approx(2e-6)
    assert Scale.of(both, "value").error(both, both + 1e-6) == pytest.approx(1e3)
    far = np.array([[1e9, 0.0]])
    nearly = np.array([[1e9 + 1, 0.0]])
    assert Scale.of(both, "value").error(far, nearly) == pytest.approx(1e-9)


@pytest.mark.parametrize(
    ("original", "copied", "error"),
    [(np.nan, np.nan, 0), (np.inf, np.inf, 0), (np.nan, 0.0, np.inf), (0.0, np.nan, np.inf),
     (np.inf, -np.inf, np.inf), (1.0, np.inf, np.inf)],
)  # fmt: skip
def test_what_is_not_finite_has_to_be_the_same(original, copied, error):
    scale = Scale.of(np.array([[0.0], [1.0]]), "value")
    assert scale.error(np.array([[original]]), np.array([[copied]])) == error


def test_one_label_is_enough_to_refuse():
    predictor, parity = parity_of(scaled(LogisticRegression()))
    parity.check(predictor.model)
    for y in (Y, Y.astype(float)):
        predictor, parity = parity_of(scaled(LogisticRegression()), y)

        def flip_last(labels, _):
            return np.concatenate([labels[:-1], 1 - labels[-1:]])

        with pytest.raises(FormRefused, match="labels differ"):
            parity.check(Altered(predictor.model, labels=flip_last))


def test_a_copy_that_is_wrong_only_at_an_edge_is_refused():
    predictor, parity = parity_of(HistGradientBoostingRegressor(max_iter=3), VALUES)
    parity.check(predictor.model)

    def forget_gaps(outputs, table):
        return outputs + np.isnan(table.codes[:, :1])

    with pytest.raises(FormRefused):
        parity.check(Altered(predictor.model, forget_gaps))


def test_rows_that_the_model_refuses_are_left_out():
    spline = make_pipeline(SplineTransformer(extrapolation="error"), Ridge())
    predictor, parity = parity_of(spline, VALUES)
    report = parity.check(predictor.model)
    assert report["edge_rows_refused_by_model"] > 0
    assert report["edge_rows"] > 0


def test_a_copy_that_raises_is_refused():
    predictor, parity = parity_of(LinearRegression(), VALUES)

    def fail(*_):
        raise RuntimeError("no kernel for that")

    with pytest.raises(FormRefused, match="no kernel for that"):
        parity.check(Altered(predictor.model, fail))


# --- Edge rows ------------------------------------------------------------------------------------


def test_edge_rows_reach_every_edge(mixed):
    x, y, model = mixed
    predictor, background = fitted(model, y, x=x)
    schema, table = predictor.schema, edges.edge_rows(predictor.schema, background)
    for j, feature in enumerate(schema.features):
        column = table.codes[:, j]
        if feature.is_category:
            wanted = set(range(len(feature.categories) + feature.allows_unseen))
            assert wanted <= set(column)
            assert (len(table.categories[j]) > len(feature.categories)) or not feature.allows_unseen
        elif feature.kind == "boolean":
            assert {0.0, 1.0} <= set(column)
        else:
            assert {feature.minimum, feature.maximum} <= set(column)
            assert np.nanmin(column) < feature.minimum
            assert np.nanmax(column) > feature.maximum
        assert np.isnan(column).any() or not feature.allows_missing
        if feature.kind == "integer":
            assert (column[~np.isnan(column)] % 1 == 0).all()
    assert {f.name for f in schema.features if f.allows_missing} == {"age", "balance", "income",
                                                                    "region", "plan", "channel"} - {
        f.name for f in schema.features if f.kind == "integer"}  # fmt: skip


def test_threshold_rows_stand_on_both_sides_of_every_split():
    predictor, background = fitted(RandomForestRegressor(5, random_state=0), VALUES)
    estimator = predictor.model.estimator
    table = edges.threshold_rows(estimator, predictor.schema, background)
    assert table is not None
    trees = list(sklearn_trees(estimator))
    assert len(trees) == 5
    for tree in trees:
        for j, threshold in zip(tree.feature, tree.threshold, strict=True):
            if j >= 0:
                near = set(table.codes[:, j])
                single = np.float32(threshold)
                wanted = {threshold, np.nextafter(threshold, np.inf), np.nextafter(threshold, -9e9)}
                wanted |= {float(np.nextafter(single, np.float32(far))) for far in (-9e9, 9e9)}
                assert wanted <= near


def test_a_copy_is_held_against_the_thresholds_too():
    predictor, background = fitted(DecisionTreeRegressor(random_state=0), VALUES)
    sample = background.table.codes[0]
    facts = order.carry(predictor, background, sample).facts
    edge_rows = edges.edge_rows(predictor.schema, background)
    thresholds = edges.threshold_rows(predictor.model.estimator, predictor.schema, background)
    assert thresholds is not None
    assert facts["parity"]["edge_rows"] == edge_rows.n_rows + thresholds.n_rows


def test_threshold_rows_tell_a_double_from_a_single_comparison():
    """What scikit-learn compares in single precision, a copy must too."""
    predictor, background = fitted(RandomForestRegressor(5, random_state=0), VALUES)
    table = edges.threshold_rows(predictor.model.estimator, predictor.schema, background)
    assert table is not None
    parity = Parity.of(predictor.model, ["value"], table)
    reasons = {}
    for name, candidate in _all_candidates(predictor.model, "value"):
        try:
            parity.check(candidate)
        except FormRefused as error:
            reasons[name] = str(error)
        else:
            reasons[name] = ""
    assert reasons["float matrix"] == ""

    def in_double(_, asked):
        trees = predictor.model.estimator.estimators_
        return np.mean([_walk(tree.tree_, asked.codes) for tree in trees], axis=0)[:, np.newaxis]

    with pytest.raises(FormRefused):
        parity.check(Altered(predictor.model, in_double))


def _all_candidates(model, space):
    try:
        yield from onnx_export.candidates(model, space)
    except FormRefused:
        return


def _walk(tree, x):
    """Predictions of a tree that compares in double precision."""
    node = np.zeros(len(x), dtype=int)
    for _ in range(tree.max_depth):
        left = x[np.arange(len(x)), np.maximum(tree.feature[node], 0)] <= tree.threshold[node]
        child = np.where(left, tree.children_left[node], tree.children_right[node])
        node = np.where(tree.feature[node] >= 0, child, node)
    return tree.value[node, 0, 0]


def test_held_out_rows_are_mixed_and_always_the_same():
    _, background = fitted(LinearRegression(), VALUES)
    one = edges.held_out_rows(background, background.table.codes[0])
    two = edges.held_out_rows(background, background.table.codes[0])
    np.testing.assert_array_equal(one.codes, two.codes)
    known = {tuple(row) for row in background.table.codes}
    assert sum(tuple(row) not in known for row in one.codes) > 900
    for j in range(4):
        assert set(one.codes[:, j]) <= set(background.table.codes[:, j])


# --- ONNX files of one's own ----------------------------------------------------------------------


def to_onnx(model, **options):
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType

    return skl2onnx.convert_sklearn(
        model, initial_types=[("x", FloatTensorType([None, 4]))], **options
    )


@pytest.mark.parametrize("zipmap", [True, False, "columns"])
def test_a_classifiers_own_onnx_file_is_a_model(tmp_path, zipmap):
    model = scaled(LogisticRegression()).fit(X, np.where(Y, "yes", "no"))
    path = tmp_path / "own.onnx"
    path.write_bytes(to_onnx(model, options={id(model): {"zipmap": zipmap}}).SerializeToString())
    if zipmap == "columns":
        with pytest.raises(ArtifactUnsupported, match="2 tensors of numbers"):
            OnnxModel.open(path, labels=["no", "yes"])
        return
    own = OnnxModel.open(path)
    assert own.labels == ("no", "yes")
    assert own.spaces == ("probability",)
    table = FeatureSchema.infer(X).encode(X)
    np.testing.assert_allclose(own.outputs(table, "probability"), model.predict_proba(X), atol=1e-6)
    assert own.predict(table).tolist() == model.predict(X).tolist()
    predictor = adapt(own, FeatureSchema.infer(X), probe=table)
    result = order.carry(predictor, whole(table), X[0])
    assert result.facts["form"] == "onnx"
    assert taken(predictor, result).model.labels == own.labels


def test_a_regressions_own_onnx_file_is_a_model(tmp_path):
    model = Ridge().fit(X, VALUES)
    (tmp_path / "own.onnx").write_bytes(to_onnx(model).SerializeToString())
    own = OnnxModel.open(tmp_path / "own.onnx")
    table = FeatureSchema.infer(X).encode(X)
    assert (own.spaces, own.labels) == (("value",), ())
    np.testing.assert_allclose(own.predict(table), model.predict(X), rtol=1e-5)


def network(n_outputs):
    """A graph as a neural network library exports it: scores only, no labels."""
    import onnx

    weights = np.random.default_rng(0).normal(size=(4, n_outputs)).astype(np.float32)
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("MatMul", ["x", "w"], ["logits"]),
            onnx.helper.make_node(
                "Softmax" if n_outputs > 1 else "Sigmoid", ["logits"], ["scores"]
            ),
        ],
        "network",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["n", n_outputs])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return model.SerializeToString(), weights


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_a_network_without_labels_takes_those_it_is_given(tmp_path, n_outputs):
    data, weights = network(n_outputs)
    (tmp_path / "net.onnx").write_bytes(data)
    labels = ["no", "yes"] if n_outputs == 1 else ["a", "b", "c"]
    own = OnnxModel.open(tmp_path / "net.onnx", output_space="probability", labels=labels)
    table = FeatureSchema.infer(X).encode(X)
    scores = own.outputs(table, "probability")
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert own.predict(table).tolist() == [labels[k] for k in scores.argmax(axis=1)]
    if n_outputs == 1:
        p = 1 / (1 + np.exp(-X @ weights[:, 0]))
        np.testing.assert_allclose(scores[:, 1], p, atol=1e-6)
    with pytest.raises(ParameterError, match=r"labels=\[\.\.\.\]"):
        OnnxModel.open(tmp_path / "net.onnx", output_space="probability")


def test_an_onnx_file_for_other_rows_says_so(tmp_path):
    from scoring.errors import ModelError

    (tmp_path / "net.onnx").write_bytes(network(1)[0])
    own = OnnxModel.open(tmp_path / "net.onnx")
    with pytest.raises(ModelError, match="does not take the rows"):
        own.outputs(FeatureSchema.infer(X[:, :3]).encode(X[:, :3]), "value")
    with pytest.raises(ModelError, match="numbers, not categories"):
        own.outputs(Table(X, (("a",), (), (), ())), "value")


def test_a_file_that_is_not_onnx_is_refused(tmp_path):
    (tmp_path / "own.onnx").write_bytes(b"not a model")
    with pytest.raises(ArtifactError, match=r"own\.onnx"):
        OnnxModel.open(tmp_path / "own.onnx")


def test_sessions_take_no_more_processors_than_the_process_may_use(monkeypatch):
    import onnxruntime

    seen = []
    session = onnxruntime.InferenceSession

    def watched(data, options, **rest):
        seen.append(options.intra_op_num_threads)
        return session(data, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", watched)
    OnnxModel({"value": network(1)[0]})
    assert seen == [usable_cpus()]
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert usable_cpus() == 1


# --- skops ----------------------------------------------------------------------------------------


def test_the_trusted_list_names_no_other_functions_than_one_validator():
    import importlib
    import types

    functions = []
    for name in skops.TRUSTED:
        module, _, attribute = name.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except ImportError:
            continue
        if isinstance(found, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
            functions.append(name)
    assert functions == ["sklearn.utils.validation.check_array"]


def test_every_trusted_name_exists():
    import importlib

    for name in skops.TRUSTED:
        module, _, attribute = name.rpartition(".")
        pytest.importorskip(module.partition(".")[0])
        assert hasattr(importlib.import_module(module), attribute), name


def test_a_function_of_ones_own_is_refused():
    from sklearn.preprocessing import FunctionTransformer

    skops.read(skops.write(make_pipeline(FunctionTransformer(np.arctan), Ridge()).fit(X, VALUES)))
    own = make_pipeline(FunctionTransformer(os.path.join), Ridge())
    with pytest.raises(ArtifactUntrusted, match="join"):
        skops.read(skops.write(own))


def test_equal_models_are_equal_bytes():
    first, second = (
        skops.write(HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(X, Y))
        for _ in range(2)
    )
    assert first == second


def test_categories_of_lightgbm_are_checked_and_kept():
    lightgbm = pytest.importorskip("lightgbm")
    from scoring.forms.lightgbm_text import check_lightgbm

    rng = np.random.default_rng(0)
    x = np.column_stack([X, rng.integers(0, 30, len(X))])
    y = Y ^ (x[:, 4] % 3 == 0)
    options = {"min_data_per_group": 1, "cat_smooth": 0.1, "min_child_samples": 2, "verbose": -1}
    model = lightgbm.LGBMClassifier(n_estimators=5, max_cat_to_onehot=1, **options)
    text = model.fit(x, y, categorical_feature=[4]).booster_.model_to_string()
    assert "num_cat=1" in text
    check_lightgbm(text)
    words = text[text.index("cat_boundaries=") :].split("\n", 1)[0]
    with pytest.raises(Unsound):
        check_lightgbm(text.replace(words, "cat_boundaries=" + "9" * (len(words) - 15), 1))


# --- Trees ----------------------------------------------------------------------------------------


def test_branches_end():
    good = np.array([1, 3]), np.array([2, 4])
    check_branches(5, np.array([0, 1]), good)
    check_branches(1, np.zeros(0, int), (np.zeros(0, int), np.zeros(0, int)))
    shared = np.array([1, 2]), np.array([2, 3])  # two ways to one node, and still an end
    check_branches(4, np.array([0, 1]), shared)
    for left, right in (([1, 0], [2, 4]), ([1, 1], [2, 4]), ([1, 9], [2, 4]), ([1, -1], [2, 4])):
        with pytest.raises(Unsound):
            check_branches(5, np.array([0, 1]), (np.array(left), np.array(right)))


def test_trees_too_deep_for_a_stack_are_refused():
    n = 20_001
    inner = np.arange(0, n - 2, 2)
    with pytest.raises(Unsound, match="deeper"):
        check_branches(n, inner, (inner + 1, inner + 2))


def test_trees_are_found_wherever_they_hang():
    from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier

    tree = DecisionTreeClassifier(max_depth=2)
    nests = [
        tree,
        make_pipeline(SplineTransformer(), tree),
        CalibratedClassifierCV(tree, cv=2),
        BaggingClassifier(tree, n_estimators=2),
        AdaBoostClassifier(tree, n_estimators=2),
        StackingClassifier([("a", scaled(tree))], cv=2),
        VotingClassifier([("a", tree), ("b", scaled(tree))]),
    ]
    for nest in map(clone, nests):
        nest.fit(X, Y)
        check_estimator(nest)
        tree_ = next(sklearn_trees(nest))
        state = tree_.__getstate__()
        state["nodes"]["left_child"][0] = 0
        tree_.__setstate__(state)
        with pytest.raises(Unsound):
            check_estimator(nest)


def test_an_ensembles_trees_may_not_test_features_that_it_lacks():
    forest = RandomForestRegressor(2).fit(X, VALUES)
    forest.n_features_in_ = 2
    with pytest.raises(Unsound, match="4 features where its model has 2"):
        check_estimator(forest)
    histogram = HistGradientBoostingRegressor(max_iter=2).fit(X, VALUES)
    check_estimator(histogram)
    histogram.n_features_in_ = 1
    with pytest.raises(Unsound):
        check_estimator(histogram)


def test_a_support_vector_machines_arrays_fit_each_other():
    for model in (SVC(), SVR()):
        model.fit(X, Y)
        check_estimator(model)
        model._dual_coef_ = model._dual_coef_[:, :-1]
        with pytest.raises(Unsound, match="support vector"):
            check_estimator(model)


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
