"""ONNX files that reach out of themselves or run in circles."""

import os

import numpy as np
import pytest

from scoring import ArtifactCorrupt, ArtifactUntrusted, load, save
from tests import saved
from tests.saved import manifest_of, sign


@pytest.fixture(scope="module")
def boosted(tmp_path_factory):
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=2)
    carried = saved.in_a_file(saved.explainer(model))
    made = save(carried, tmp_path_factory.mktemp("artifacts") / "boosted")
    assert manifest_of(made)["model"]["form"] == "onnx"
    return made


def tree_attribute(model, name):
    node = next(n for n in model.graph.node if n.op_type.startswith("TreeEnsemble"))
    return next(a for a in node.attribute if a.name == name)


def external(model):
    tensor = model.graph.initializer.add()
    tensor.CopyFrom(model.graph.initializer[0] if len(model.graph.initializer) > 1 else
                    __import__("onnx").numpy_helper.from_array(np.zeros(2), "zeros"))  # fmt: skip
    tensor.name = "outside"
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def external_in_attribute(model):
    attribute = model.graph.node[0].attribute.add()
    attribute.name, attribute.type = "value", 4
    attribute.t.data_location = 1


def custom_node(model):
    model.graph.node.add(op_type="Steal", domain="com.microsoft")


def custom_in_branch(model):
    attribute = model.graph.node[0].attribute.add()
    attribute.name, attribute.type = "then_branch", 5
    attribute.g.node.add(op_type="Steal", domain="evil")


def custom_in_function(model):
    model.functions.add(name="f", domain="ai.onnx").node.add(op_type="Steal", domain="evil")


def cycle(model):
    ids = tree_attribute(model, "nodes_truenodeids").ints
    ids[ids[1]] = 1


def out_of_range(model):
    tree_attribute(model, "nodes_truenodeids").ints[0] = 10**6


def shorter(model):
    del tree_attribute(model, "nodes_truenodeids").ints[-1]


def doubled(model):
    tree_attribute(model, "nodes_nodeids").ints[1] = 0


def empty(model):
    del model.graph.node[:]


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (external, "data outside"),
        (external_in_attribute, "data outside"),
        (custom_node, "domain 'com.microsoft'"),
        (custom_in_branch, "domain 'evil'"),
        (custom_in_function, "domain 'evil'"),
        (cycle, "cycle"),
        (out_of_range, "children outside"),
        (shorter, "different lengths"),
        (doubled, "share an id"),
        (empty, "not an ONNX model"),
    ],
)
def test_an_onnx_model_that_reaches_out_or_runs_in_circles_is_refused(
    boosted, tmp_path, monkeypatch, edit, problem
):
    import onnx
    import onnxruntime

    damaged = saved.copy(boosted, tmp_path / "damaged")
    model = onnx.load_model_from_string((damaged / "model.onnx").read_bytes())
    edit(model)
    (damaged / "model.onnx").write_bytes(model.SerializeToString())
    sign(damaged)
    monkeypatch.setattr(onnxruntime, "InferenceSession", os.abort)  # refused before it is asked
    with pytest.raises((ArtifactCorrupt, ArtifactUntrusted), match=rf"model\.onnx.*{problem}"):
        load(damaged)


def test_the_runtimes_own_format_is_not_read(boosted, tmp_path):
    import onnx

    damaged = saved.copy(boosted, tmp_path / "damaged")
    model = onnx.load_model_from_string((damaged / "model.onnx").read_bytes())
    model.producer_name = "ORTM"
    data = model.SerializeToString()
    assert data[4:8] == b"ORTM"
    (damaged / "model.onnx").write_bytes(data)
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match=r"model\.onnx"):
        load(damaged)
    (damaged / "model.onnx").write_bytes(b"\x08\x0aORTM" + os.urandom(100))
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match=r"model\.onnx"):
        load(damaged)
