"""A torch network: shap's approximation for it, and the definition over it.

Needs torch, which has an environment of its own: `make deep`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scoring import (
    ArtifactUnsupported,
    KernelScoringExplainer,
    ModelError,
    ParameterError,
    TabularExplainer,
    load,
    save,
)
from scoring.artifact import read_manifest
from scoring.distillation.probe import mixed_rows
from scoring.explainers import deep_shap
from tests import oracles, saved

torch = pytest.importorskip("torch", reason="an extra: make deep has it")
nn = torch.nn


def network(*, linear=False, outputs=2, last=()):
    torch.manual_seed(0)
    bend = [] if linear else [nn.ReLU()]
    return nn.Sequential(nn.Linear(4, 8), *bend, nn.Dropout(0.5), nn.Linear(8, outputs), *last)


def softmax():
    return network(last=[nn.Softmax(dim=1)])


def changed(module, forward):
    """The same module with a `forward` around its own."""
    own = module.forward
    module.forward = lambda x: forward(own, x)
    return module


def rows(n=40):
    return np.random.default_rng(0).normal(size=(n, 4)).round(2)


def says(module, dtype=np.float32):
    """The network as the oracle asks it; not by our own class."""

    def f(masked):
        module.eval()
        with torch.no_grad():
            return module(torch.as_tensor(masked.astype(dtype))).numpy().astype(float)

    return f


def distance(values, expected):
    return np.sqrt(((values - expected) ** 2).mean() / (expected**2).mean())


# --- shap's approximation -----------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_network_without_bends_is_explained_exactly(outputs):
    module, x = network(linear=True, outputs=outputs), rows()
    explainer = TabularExplainer(module, x[:30])
    found = explainer.explain_local(x[-3:])
    assert explainer.method == "deep (DeepLIFT, approximate: 0% off on a probe)"
    expected = oracles.shapley_rows(says(module), x[-3:], x[:30])
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    assert found.output_space == "value"


def test_with_bends_it_adds_up_and_is_near():
    module, x = network(), rows()
    explainer = TabularExplainer(module, x[:30])
    found = explainer.explain_local(x[-5:])
    error = distance(found.values, oracles.shapley_rows(says(module), x[-5:], x[:30]))
    print(f"relative RMS distance from the definition: {error:.1%}")  # noqa: T201 the number to know
    assert found.additivity_gap.max() < 1e-5
    assert 0.01 < error < 0.3
    assert explainer.explain_global(x).n_rows == 40


def test_how_far_it_is_from_the_definition_is_measured_and_told():
    module, x = network(), rows(20)
    explainer = TabularExplainer(module, x)
    assert isinstance(explainer.view.full, deep_shap.DeepShap)  # for the type checker
    probe = mixed_rows(explainer.view.initialization, deep_shap.PROBED, 0).codes
    expected = oracles.shapley_rows(says(module), probe, x)
    error = distance(explainer.explain_local(probe).values, expected)
    assert explainer.view.full.distance == pytest.approx(error, rel=1e-4)
    assert f"{error:.0%} off" in explainer.method
    assert explainer.explain_local(x).method == explainer.method


def test_what_adds_up_and_is_far_off_is_left_to_the_definition(monkeypatch):
    module, x = softmax(), rows(20)
    expected = oracles.shapley_rows(says(module), x[:5], x)
    explainer = TabularExplainer(module, x)
    assert explainer.method == "exact enumeration"
    np.testing.assert_allclose(explainer.explain_local(x[:5]).values, expected, atol=1e-6)
    with pytest.raises(ParameterError, match="method must fit the model"):
        TabularExplainer(module, x, method="deep")
    monkeypatch.setattr(deep_shap, "FARTHEST", np.inf)
    shaps = TabularExplainer(module, x, method="deep").explain_local(x[:5])
    assert shaps.additivity_gap.max() < 1e-5  # so it is not this that tells
    assert distance(shaps.values, expected) > 1


def test_what_does_not_add_up_is_left_to_the_definition(monkeypatch):
    x = rows()
    monkeypatch.setattr(deep_shap, "FARTHEST", np.inf)  # it is the sum that tells
    # a bend that is no layer, which shap takes for straight
    module = changed(network(linear=True), lambda own, x: own(torch.relu(x)))
    explainer = TabularExplainer(module, x[:20])
    assert explainer.method == "exact enumeration"
    assert explainer.explain_local(x).additivity_gap.max() < 1e-6


def test_a_large_background_is_thinned_and_says_so():
    x = rows(1000)
    explainer = TabularExplainer(network(), x)
    assert str(explainer.background) == "200 rows at equal distances for 1000 rows"
    np.testing.assert_array_equal(explainer.background.table.codes[[0, -1]], x[[0, -1]])
    few = TabularExplainer(network(), explainer.background.table.codes)
    assert str(few.background) == "all rows (200)"
    found = [each.explain_local(x[:3]) for each in (explainer, few)]
    np.testing.assert_array_equal(found[0].values, found[1].values)


def test_numbers_that_are_categories_are_not_taken_for_their_places():
    import pandas as pd

    x = pd.DataFrame(rows(), columns=list("abcd"))
    # Of these the number is the place, so that no probe can tell; of one never seen it is not.
    x["d"] = pd.Categorical(np.tile([0, 1, 2, 3], 10))
    module = network(linear=True)
    explainer = TabularExplainer(module, x)
    assert explainer.method == "exact enumeration"
    numbers, stranger = x.astype(float).to_numpy(), x[:1].assign(d=pd.Categorical([9]))
    asked = stranger.astype(float).to_numpy()
    expected = oracles.shapley_rows(says(module), asked, numbers)
    np.testing.assert_allclose(explainer.explain_local(stranger).values, expected, atol=1e-5)


def test_deep_is_for_networks_only():
    with pytest.raises(ParameterError, match="method must fit the model"):
        TabularExplainer(lambda x: x[:, 0], rows(), method="deep")


@pytest.mark.parametrize(("last", "method"), [([], "deep"), ([nn.Softmax(dim=1)], "kernel")])
def test_many_features_are_measured_by_a_sample_of_coalitions(last, method):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(14, 8), nn.Linear(8, 3), *last)
    explainer = TabularExplainer(module, np.random.default_rng(0).normal(size=(30, 14)))
    assert explainer.method.startswith(method)
    assert last or "0% off" in explainer.method


# --- the definition over it ---------------------------------------------------------------------


@pytest.mark.parametrize("space", ["probability", "value"])
def test_the_kernel_path_is_the_definition(space):
    module, x = softmax(), rows()
    explainer = TabularExplainer(
        module, x[:20], method="kernel", output_space=space, classes=["no", "yes"]
    )
    expected = oracles.shapley_rows(says(module), x[-3:], x[:20])
    for each in (explainer, KernelScoringExplainer(explainer)):
        found = each.explain_local(x[-3:])
        np.testing.assert_allclose(found.values, expected, atol=1e-6)
        assert found.output_names == ("no", "yes")
        assert found.output_space == space


def test_a_scoring_explainer_asks_by_the_definition():
    module, x = network(), rows()
    explainer = TabularExplainer(module, x[:20])
    assert explainer.method.startswith("deep")
    expected = oracles.shapley_rows(says(module), x[-3:], x[:20])
    found = KernelScoringExplainer(explainer).explain_local(x[-3:])
    assert found.method == "exact enumeration"
    np.testing.assert_allclose(found.values, expected, atol=1e-6)


# --- the network itself -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["deep", "kernel"])
def test_it_is_asked_as_in_evaluation_and_left_as_it_was(method):
    module, x = network(), rows()
    expected = says(module)(x)
    still = TabularExplainer(module, x[:10], method=method).explain_local(x)
    module.train()
    module[0].eval()  # a part that is frozen
    before = [part.training for part in module.modules()]
    explainer = TabularExplainer(module, x[:10], method=method)
    found = explainer.explain_local(x)
    assert [part.training for part in module.modules()] == before
    np.testing.assert_allclose(found.outputs, expected, atol=1e-6)
    np.testing.assert_allclose(found.values, still.values, atol=1e-6)


def test_it_is_asked_in_its_own_precision():
    module, x = network().double(), rows()
    explainer = TabularExplainer(module, x[:20], method="kernel")
    expected = oracles.shapley_rows(says(module, np.float64), x[-3:], x[:20])
    np.testing.assert_allclose(explainer.explain_local(x[-3:]).values, expected, atol=1e-13)
    assert TabularExplainer(module, x[:20]).method.startswith("deep")


def test_a_predict_of_its_own_makes_no_estimator_of_it():
    x, module = rows(), nn.Linear(4, 2)
    module.predict = lambda tensor: module(tensor).argmax(dim=1)
    found = TabularExplainer(module, x, model_task="regression").explain_local(x[:3])
    space = TabularExplainer(module, x, model_task="classification").predictor.space
    assert (found.output_space, space) == ("value", "probability")
    np.testing.assert_allclose(found.outputs, says(module)(x[:3]), atol=1e-6)


@pytest.mark.parametrize(("outputs", "last"), [(1, nn.Sigmoid()), (2, nn.Softmax(dim=1))])
def test_named_classes_are_what_it_predicts(outputs, last):
    module, x = network(outputs=outputs, last=[last]), rows()
    explainer = TabularExplainer(module, x, output_space="probability", classes=["no", "yes"])
    yes = says(module)(x)[:, -1] > 0.5
    assert 0 < yes.sum() < len(x)
    table = explainer.view.initialization
    assert explainer.predictor.predictions(table).tolist() == np.where(yes, "yes", "no").tolist()


def test_it_must_answer_one_tensor():
    module = changed(nn.Linear(4, 1), lambda own, x: (own(x), x))
    with pytest.raises(ModelError, match="answered a tuple; it must answer one tensor"):
        TabularExplainer(module, rows())


# --- saving it ----------------------------------------------------------------------------------

WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a number": (lambda: network(outputs=1), {}),
    "numbers": (network, {}),
    "doubles": (lambda: network().double(), {}),
    "margins": (lambda: network(outputs=3), {"output_space": "margin"}),
    "classes": (softmax, {"output_space": "probability", "classes": ["no", "yes"]}),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_travels_as_onnx_and_answers_the_same(way, tmp_path):
    make, options = WAYS[way]
    x, module = rows(), make().train()
    module[0].eval()
    explainer = KernelScoringExplainer(TabularExplainer(module, x[:20], **options))
    artifact = save(explainer, tmp_path / "artifact")
    assert module.training
    assert not module[0].training
    told = read_manifest(artifact)["model"]
    assert (told["form"], told["parity"]["label_differences"]) == ("onnx", 0)
    copy = load(artifact)
    before, after = explainer.explain_local(x), copy.explain_local(x)
    np.testing.assert_allclose(after.values, before.values, atol=1e-6)
    np.testing.assert_allclose(after.outputs, before.outputs, atol=1e-6)
    assert (after.output_space, after.output_names) == (before.output_space, before.output_names)
    said, again = explainer.predict(x), copy.predict(x)
    if way == "classes":
        assert set(said) == {"no", "yes"}
        np.testing.assert_array_equal(again, said)
    else:
        np.testing.assert_allclose(again, said, atol=1e-6)


def test_it_is_served_without_torch(tmp_path):
    x = rows()
    make, options = WAYS["classes"]
    explainer = KernelScoringExplainer(TabularExplainer(make(), x[:20], **options))
    artifact = save(explainer, tmp_path / "artifact")
    code = """if True:
        import sys
        from pathlib import Path
        from service.scorer import load_scorers
        (scorer,) = load_scorers([(None, Path(sys.argv[1]), None)]).values()
        assert not {"torch", "shap"} & set(sys.modules)
        print(scorer.outputs["classes"])
    """
    assert "{'label': 'no', 'name': 'no'}" in saved.python(code, artifact)


def test_what_cannot_be_saved_says_how_it_can_travel(tmp_path):
    # the exporter does not see what NumPy does, and writes down one answer
    module = changed(network(), lambda own, x: own(torch.as_tensor(np.sort(x.detach().numpy()))))
    explainer = TabularExplainer(module, rows())
    with pytest.raises(ArtifactUnsupported, match=r"does not become ONNX.*OnnxModel\.open"):
        save(KernelScoringExplainer(explainer), tmp_path / "artifact")


def test_two_classes_are_saved_with_both_probabilities_only(tmp_path):
    module, names = network(outputs=1, last=[nn.Sigmoid()]), ["no", "yes"]
    explainer = TabularExplainer(module, rows(), output_space="probability", classes=names)
    with pytest.raises(ArtifactUnsupported, match="answers one probability for two classes"):
        save(KernelScoringExplainer(explainer), tmp_path / "artifact")
