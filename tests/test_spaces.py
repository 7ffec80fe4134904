"""One artifact, several output spaces: each the same as an explainer of that space alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from scoring import (
    ArtifactCorrupt,
    KernelScoringExplainer,
    LinearExplainableModel,
    MimicExplainer,
    ParameterError,
    TabularExplainer,
    load,
    save,
)
from scoring.artifact import read_manifest
from scoring.distillation import measure
from tests import oracles

X, LABELS = load_wine(return_X_y=True)
X = ((X - X.mean(axis=0)) / X.std(axis=0))[:, :8]
MODELS = {
    "logistic": LogisticRegression().fit(X, LABELS > 0),
    "three classes": LogisticRegression().fit(X, LABELS),
    "boosting": LGBMClassifier(n_estimators=5, verbosity=-1).fit(X, LABELS),
    "machine": SVC(probability=True, random_state=0).fit(X, LABELS > 0),
    "margins that make no probability": SVC(random_state=0).fit(X, LABELS > 0),
}


def explainer_of(model, spaces, first=None, **options):
    full = TabularExplainer(model, X, n_background=4, output_space=first)
    return KernelScoringExplainer(full, output_spaces=spaces, **options)


@pytest.mark.parametrize("first", ["probability", "margin"])
@pytest.mark.parametrize("name", ["logistic", "three classes", "boosting"])
def test_every_space_is_as_if_it_were_alone(name, first, tmp_path):
    model = MODELS[name]
    both = explainer_of(model, ("probability", "margin"), first)
    save(both, tmp_path / "artifact")
    again = load(tmp_path / "artifact")
    assert again.output_spaces[0] == first
    assert set(again.output_spaces) == {"probability", "margin"}
    for space in both.output_spaces:
        alone = explainer_of(model, (), space).explain_local(X[:5])
        found = again.in_space(space).explain_local(X[:5])
        assert (found.output_space, found.method) == (space, alone.method)
        assert found.output_names == alone.output_names
        np.testing.assert_allclose(found.values, alone.values, atol=1e-12)
        np.testing.assert_allclose(found.outputs, alone.outputs, atol=1e-12)
        assert found.additivity_gap.max() < 1e-9
    predicted = again.in_space("margin").predict(X)
    assert (predicted == model.predict(X)).all()


def test_a_further_space_is_held_against_the_definition():
    model = MODELS["three classes"]
    both = explainer_of(model, ("margin",))
    margin = both.in_space("margin")
    expected = oracles.shapley_rows(model.decision_function, X[:3], X)
    np.testing.assert_allclose(margin.explain_local(X[:3]).values, expected, atol=1e-10)


def test_the_manifest_tells_every_space(tmp_path):
    save(explainer_of(MODELS["logistic"], ("margin",)), tmp_path / "artifact")
    said = json.loads((tmp_path / "artifact" / "manifest.json").read_text())
    assert said["output_space"] == "probability"
    assert said["output_spaces"]["margin"]["method"] == "exact linear"
    assert said["output_spaces"]["margin"]["fidelity"]["additivity_gap"] < 1e-9


@pytest.mark.parametrize(
    ("model", "first"),
    [
        (MODELS["three classes"], "probability"),
        (MODELS["three classes"], "margin"),
        (MODELS["machine"], "probability"),
    ],
)
def test_numbers_that_answer_in_all_spaces_are_the_model(model, first, monkeypatch, tmp_path):
    """Of two spaces one may be known by numbers that do not answer in the other."""
    monkeypatch.setattr(measure, "MEASURED_CALLS", 1000)
    both = explainer_of(model, ("probability", "margin"), first)
    said = read_manifest(save(both, tmp_path / "artifact"))
    assert said["model"]["form"] == "arrays"
    again = load(tmp_path / "artifact")
    for space, ask in (("probability", model.predict_proba), ("margin", model.decision_function)):
        told = again.in_space(space).explain_local(X[:5]).outputs
        np.testing.assert_allclose(told, np.reshape(ask(X[:5]), told.shape), atol=1e-9)


def test_what_spaces_share_is_written_once(tmp_path):
    save(explainer_of(MODELS["logistic"], ("margin",)), tmp_path / "artifact")
    names = [path.name for path in (tmp_path / "artifact" / "arrays").iterdir()]
    assert "background.table.codes.npy" in names
    assert "others.0.background.table.codes.npy" not in names


def test_a_space_that_was_not_distilled_is_named_with_those_that_were():
    both = explainer_of(MODELS["logistic"], ("margin",))
    with pytest.raises(ParameterError, match="output_space must be one of probability, margin"):
        both.in_space("value")


def test_spaces_are_those_of_the_model():
    with pytest.raises(ParameterError, match="output_spaces must be among those that the model"):
        explainer_of(MODELS["logistic"], ("value",))
    with pytest.raises(ParameterError, match="output_spaces must be a list"):
        explainer_of(MODELS["logistic"], "margin")
    forest = RandomForestRegressor(3, random_state=0).fit(X, LABELS)
    assert explainer_of(forest, ("value",)).output_spaces == ("value",)
    mimic = MimicExplainer(MODELS["logistic"], X, LinearExplainableModel)
    with pytest.raises(ParameterError, match="output_spaces must be left out for this explainer"):
        KernelScoringExplainer(mimic, output_spaces=("margin",))


def test_reason_codes_stay_where_their_output_is():
    model = LogisticRegression().fit(X, np.where(LABELS > 0, "yes", "no"))
    name = TabularExplainer(model, X).features[0]
    codes = {name: {"increases": "more", "decreases": "less"}}
    both = explainer_of(model, ("margin",), reason_codes=codes)
    assert both.in_space("margin").explain_local(X[:2]).reason_codes is not None
    assert both.explain_local(X[:2]).reason_codes is not None


def test_a_further_space_is_checked_like_the_first(tmp_path):
    both = explainer_of(MODELS["logistic"], ("margin",))
    state = {**vars(both)}
    other = both.others[0]
    broken = type(other)(**{**vars(other), "base_values": other.base_values + 1.0})
    damaged = type(both).restore({**state, "others": (broken,)})
    with pytest.raises(ArtifactCorrupt):
        save(damaged, tmp_path / "artifact")
