"""ONNX files of one's own, and how they are run."""

import os

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from scoring import ArtifactError, ArtifactUnsupported, OnnxModel, ParameterError
from scoring.background import whole
from scoring.forms import order
from scoring.machine import usable_cpus
from scoring.predictor import adapt
from scoring.schema import FeatureSchema
from scoring.table import Table
from tests.forms.fitted import VALUES, X, Y, taken
from tests.saved import scaled


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
    from scoring import ModelError

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
