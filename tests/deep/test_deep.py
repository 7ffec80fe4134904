"""A torch network: shap's approximation for it, and the definition over it.

Needs torch, which has an environment of its own: `make test-deep`.
"""

from __future__ import annotations

import numpy as np
import pytest

from scoring.artifact import save
from scoring.errors import ArtifactUnsupported, ParameterError
from scoring.explainers import TabularExplainer
from scoring.scoring_explainers import KernelScoringExplainer
from tests import oracles

torch = pytest.importorskip("torch", reason="an extra: make test-deep has it")


def network(*, linear=False, outputs=2):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(4, 8)]
    layers += [] if linear else [torch.nn.ReLU()]
    layers += [torch.nn.Dropout(0.5), torch.nn.Linear(8, outputs)]
    return torch.nn.Sequential(*layers)


def rows(n=40):
    return np.random.default_rng(0).normal(size=(n, 4)).round(2)


def says(module):
    def f(masked):
        module.eval()
        with torch.no_grad():
            return module(torch.as_tensor(masked.astype(np.float32))).numpy().astype(float)

    return f


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_network_without_bends_is_explained_exactly(outputs):
    module, x = network(linear=True, outputs=outputs), rows()
    explainer = TabularExplainer(module, x[:30])
    found = explainer.explain_local(x[-3:])
    assert explainer.method == "deep (DeepLIFT, approximate)"
    expected = oracles.shapley_rows(says(module), x[-3:], x[:30])
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    assert found.output_space == "value"


def test_with_bends_it_adds_up_and_is_near():
    module, x = network(), rows()
    explainer = TabularExplainer(module, x[:30])
    found = explainer.explain_local(x[-5:])
    expected = oracles.shapley_rows(says(module), x[-5:], x[:30])
    error = np.sqrt(((found.values - expected) ** 2).mean() / (expected**2).mean())
    print(f"relative RMS distance from the definition: {error:.1%}")  # noqa: T201 the number to know
    assert found.additivity_gap.max() < 1e-5
    assert 1e-4 < error < 0.5
    assert explainer.explain_global(x).n_rows == 40


@pytest.mark.parametrize("space", ["probability", "value"])
def test_the_kernel_path_is_the_definition(space):
    module = torch.nn.Sequential(network(), torch.nn.Softmax(dim=1))
    x = rows()
    explainer = TabularExplainer(
        module, x[:20], method="kernel", output_space=space, classes=["no", "yes"]
    )
    expected = oracles.shapley_rows(says(module), x[-3:], x[:20])
    for each in (explainer, KernelScoringExplainer(explainer)):
        found = each.explain_local(x[-3:])
        np.testing.assert_allclose(found.values, expected, atol=1e-6)
        assert found.output_names == ("no", "yes")
        assert found.output_space == space


def test_it_is_left_as_it_was_and_is_asked_as_in_evaluation():
    module, x = network(), rows()
    module.train()
    before = TabularExplainer(module, x[:10], method="kernel").explain_local(x).outputs
    assert module.training
    np.testing.assert_allclose(before, says(module)(x), atol=1e-6)


def test_a_scoring_explainer_of_it_says_how_it_can_travel(tmp_path):
    explainer = TabularExplainer(network(), rows())
    with pytest.raises(ArtifactUnsupported, match=r"OnnxModel\.open"):
        save(KernelScoringExplainer(explainer), tmp_path / "artifact")


def test_deep_is_for_networks_only():
    with pytest.raises(ParameterError, match="method must fit the model"):
        TabularExplainer(lambda x: x[:, 0], rows(), method="deep")
