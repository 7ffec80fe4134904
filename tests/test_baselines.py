"""One artifact, several backgrounds: each the same as an explainer against its rows alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB

from scoring import (
    ArtifactCorrupt,
    FidelityError,
    KernelScoringExplainer,
    LinearExplainableModel,
    MimicExplainer,
    ParameterError,
    TabularExplainer,
    baselines,
    load,
    save,
)
from scoring.artifact import read_manifest
from scoring.distillation import measure
from tests import oracles
from tests.saved import change_array, manifest_of, rows, sign
from tests.tables import small

X, LABELS = load_wine(return_X_y=True)
X = ((X - X.mean(axis=0)) / X.std(axis=0))[:, :5]
APPROVED, OTHERS = X[:25], X[60:90]
GIVEN = {"approved": APPROVED, "others": OTHERS}
MODELS = {
    "tree": (RandomForestClassifier(4, random_state=0).fit(X, LABELS), "predict_proba"),
    "link": (LogisticRegression().fit(X, LABELS > 0), "predict_proba"),
    "linear": (LinearRegression().fit(X, LABELS), "predict"),
    "kernel": (GaussianNB().fit(X, LABELS), "predict_proba"),
}


def explainer_of(model, given=GIVEN, **options):
    return KernelScoringExplainer(TabularExplainer(model, X[:50]), baselines=given, **options)


def truth(model, ask, background):
    def f(masked):
        return np.asarray(getattr(model, ask)(masked)).reshape(len(masked), -1)

    return oracles.shapley_rows(f, X[100:102], background)


@pytest.fixture(scope="module", params=MODELS)
def made(request, tmp_path_factory):
    """A model with the name of its output, its explainer, and the same read back."""
    model, ask = MODELS[request.param]
    explainer = explainer_of(model)
    saved = save(explainer, tmp_path_factory.mktemp("baselines") / request.param)
    return model, ask, explainer, load(saved)


@pytest.mark.parametrize("name", GIVEN)
def test_values_are_those_of_the_definition_before_and_after_saving(made, name):
    model, ask, *both = made
    expected = truth(model, ask, GIVEN[name])
    outputs = np.reshape(getattr(model, ask)(X[100:102]), (2, -1))
    for explainer in both:
        assert explainer.baselines == ("approved", "others")
        found = explainer.against(name).explain_local(X[100:102])
        np.testing.assert_allclose(found.values, expected, atol=1e-9)
        np.testing.assert_allclose(found.outputs, outputs, atol=1e-9)
        assert found.additivity_gap.max() < 1e-9
        assert (found.baseline, found.background_error) == (name, 0.0)
        scored = explainer.against(name).score(explainer.predictor.schema.encode(X[100:102]))
        np.testing.assert_allclose(scored.explanation.values, expected, atol=1e-9)
        assert (scored.predictions == explainer.predict(X[100:102])).all()


def test_the_first_background_stays_what_it_is(made):
    model, ask, *both = made
    expected = truth(model, ask, X[:50])
    for explainer in both:
        found = explainer.explain_local(X[100:102])
        np.testing.assert_allclose(found.values, expected, atol=1e-9)
        assert found.baseline is None


def test_every_baseline_is_there_in_every_output_space(tmp_path):
    model, _ = MODELS["link"]
    explainer = explainer_of(model, output_spaces=("margin",))
    expected = truth(model, "decision_function", APPROVED)
    loaded = load(save(explainer, tmp_path / "artifact"))
    for each in (explainer, loaded):
        one = each.against("approved").in_space("margin")
        other = each.in_space("margin").against("approved")
        for found in (one, other):
            told = found.explain_local(X[100:102])
            np.testing.assert_allclose(told.values, expected, atol=1e-9)
            assert (told.output_space, told.baseline) == ("margin", "approved")
        assert each.against("approved").output_spaces == ("probability", "margin")
    said = read_manifest(tmp_path / "artifact")
    assert set(said["baselines"]) == set(said["output_spaces"]["margin"]["baselines"]) == set(GIVEN)
    assert said["baselines"]["approved"]["background"] == "all rows (25)"


def test_a_game_served_as_the_model_is_so_against_every_background(made):
    *_, loaded = made
    own = [each.own_model for each in (loaded, loaded.against("others"))]
    assert (own[0] is None) == (own[1] is None)
    if own[1] is not None:
        assert own[1].exact is loaded.against("others").exact


def test_model_coalitions_and_operator_are_stored_once(tmp_path):
    model, _ = MODELS["kernel"]
    with_some = manifest_of(save(explainer_of(model), tmp_path / "some"))["files"]
    without = manifest_of(save(explainer_of(model, None), tmp_path / "none"))["files"]
    more = {name.removeprefix("arrays/named_backgrounds.") for name in with_some.keys() - without}
    each = {"background.table.codes.npy", "background.weights.npy", "base_values.npy"}
    assert more == {f"{k}.{name}" for k in (0, 1) for name in each}
    forest = manifest_of(save(explainer_of(MODELS["tree"][0]), tmp_path / "tree"))["files"]
    assert not [name for name in forest if "named" in name and "forest" in name]


def test_a_summary_of_many_rows_tells_what_it_costs(monkeypatch):
    monkeypatch.setattr(measure, "MEASURED_CALLS", 20_000)
    model = MODELS["kernel"][0]
    given = {"many": np.tile(X, (2, 1)) + np.random.default_rng(0).normal(0, 0.1, (356, 5))}
    full = TabularExplainer(model, X[:50], n_background=10)
    explainer = KernelScoringExplainer(full, baselines=given)
    assert len(explainer.against("many").background.weights) == 10
    error = explainer.against("many").explain_local(X[:1]).background_error
    assert error is not None
    assert 0 < error < 1


def test_sampled_values_share_the_design_and_have_errors_of_their_own(tmp_path):
    x, y = load_wine(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    model = GaussianNB().fit(x, y)
    full = TabularExplainer(model, x[:30])
    made = KernelScoringExplainer(
        full, n_coalitions=120, tolerance=0.6, baselines={"last": x[-30:]}
    )
    explainer = load(save(made, tmp_path / "artifact"))
    last = explainer.against("last")
    assert last.design is explainer.design
    assert last.operator is explainer.operator
    assert explainer.sub_designs is not None
    assert last.sub_designs is not None
    assert last.sub_designs.factor != explainer.sub_designs.factor
    assert last.sub_designs.members.tobytes() == explainer.sub_designs.members.tobytes()
    found = last.explain_local(x[50:54])
    alone = KernelScoringExplainer(TabularExplainer(model, x[-30:]), n_coalitions=4000)
    low, high = found.intervals(0.999)
    exact = alone.explain_local(x[50:54]).values
    assert ((low <= exact) & (exact <= high)).mean() > 0.9
    assert last.report["relative_rms_error"] > 0


def test_a_shared_design_that_misses_the_tolerance_names_the_baseline(monkeypatch):
    measured = iter([0.01, 0.5])
    monkeypatch.setattr("scoring.distillation.distil.relative_rms", lambda *_: next(measured))
    model = MODELS["kernel"][0]
    with pytest.raises(FidelityError, match=r"against baseline 'approved' is 0\.5"):
        explainer_of(model, {"approved": APPROVED}, tolerance=0.05)


def test_pipelines_of_raw_features_and_groups():
    x, y = small(60)
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    numbers = ["age", "income", "balance"]
    prepare = ColumnTransformer(
        [("n", SimpleImputer(), numbers), ("t", OneHotEncoder(), ["region", "plan"])]
    )
    model = make_pipeline(prepare, LogisticRegression(max_iter=5000)).fit(x, y)
    cohort = x[x["plan"] == "pro"]
    full = TabularExplainer(model, x, groups={"money": ["income", "balance"]})
    explainer = KernelScoringExplainer(full, baselines={"pro": cohort})
    alone = KernelScoringExplainer(
        TabularExplainer(model, cohort, groups={"money": ["income", "balance"]})
    )
    found, expected = (each.explain_local(x[:3]) for each in (explainer.against("pro"), alone))
    assert found.features == expected.features
    np.testing.assert_allclose(found.values, expected.values, atol=1e-9)


def test_a_surrogate_against_a_baseline(tmp_path):
    mimic = MimicExplainer(MODELS["link"][0], X, LinearExplainableModel)
    explainer = load(save(KernelScoringExplainer(mimic, baselines=GIVEN), tmp_path / "artifact"))
    found = explainer.against("approved").explain_local(X[:3])
    surrogate = explainer.surrogate
    assert surrogate is not None
    mean = surrogate.outputs(surrogate.schema.encode(APPROVED)).mean(axis=0)
    np.testing.assert_allclose(found.base_values, mean, atol=1e-9)
    assert found.method.endswith("of a surrogate")
    assert found.fidelity == explainer.explain_local(X[:3]).fidelity


def test_an_explainer_against_one_baseline_can_be_saved_by_itself(made, tmp_path):
    *_, loaded = made
    alone = load(save(loaded.against("others"), tmp_path / "artifact"))
    assert (alone.baselines, alone.baseline) == ((), "others")
    expected = loaded.against("others").explain(X[:3])
    np.testing.assert_allclose(alone.explain(X[:3]), expected, atol=1e-9)


def test_the_frozen_artifact_has_none():
    old = load(Path(__file__).parent / "artifacts" / "v1")
    assert (old.baselines, old.baseline, old.reference) == ((), None, None)
    with pytest.raises(ParameterError, match="there are none here"):
        old.against("approved")


def test_a_baseline_that_is_not_there_is_answered_with_those_that_are(made):
    *_, loaded = made
    with pytest.raises(ParameterError, match="baseline must be one of approved, others"):
        loaded.against("refused")


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ([APPROVED], "names with rows"),
        ({"two words": APPROVED}, "must have names of up to 64"),
        ({"": APPROVED}, "must have names of up to 64"),
        ({"é": APPROVED}, "must have names of up to 64"),
        ({"x" * 65: APPROVED}, "must have names of up to 64"),
        ({f"n{k}": APPROVED for k in range(17)}, "must be 16 at the most"),
        ({"approved": APPROVED[:0]}, "'approved' does not"),
        ({"approved": APPROVED[:, :3]}, "'approved' does not"),
        ({"approved": pd.DataFrame(APPROVED).replace(APPROVED[0, 0], np.nan)}, "'approved' does"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_baselines_that_cannot_be(given, rule):
    with pytest.raises(ParameterError, match=f"baselines {rule}|baselines .*{rule}"):
        explainer_of(MODELS["link"][0], given)


def test_a_report_that_does_not_tell_the_costs_is_not_saved(tmp_path):
    explainer = explainer_of(MODELS["linear"][0])
    first, *rest = explainer.named_backgrounds
    named = (replace(first, report={"background_error": {}}), *rest)
    state = {**vars(explainer), "named_backgrounds": named}
    with pytest.raises(ArtifactCorrupt, match="what the background costs"):
        save(type(explainer).restore(state), tmp_path / "artifact")


# --- What was tampered with -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("named_backgrounds.0.background.weights", lambda w: w * 2),
        ("named_backgrounds.0.background.table.codes", lambda c: c[:, :2]),
        ("named_backgrounds.1.background.table.codes", lambda c: c * np.nan + np.inf),
        ("named_backgrounds.0.base_values", lambda b: b + 0.1),
        ("named_backgrounds.0.base_values", lambda b: b[:1]),
    ],
)
@pytest.mark.parametrize("name", ["kernel", "link"])
def test_numbers_of_a_baseline_are_checked_like_the_first(name, array, change, tmp_path):
    artifact = save(explainer_of(MODELS[name][0]), tmp_path / "artifact")
    change_array(artifact, array, change)
    with pytest.raises(ArtifactCorrupt):
        load(artifact)


def test_a_manifest_that_tells_other_baselines_is_refused(tmp_path):
    artifact = save(explainer_of(MODELS["link"][0]), tmp_path / "artifact")
    told = manifest_of(artifact)["baselines"]
    sign(artifact, baselines={"approved": told["approved"], "accepted": told["others"]})
    with pytest.raises(ArtifactCorrupt, match="other baselines"):
        load(artifact)


@pytest.mark.parametrize(
    "change",
    [
        lambda named: (named[0], named[0]),
        lambda named: (replace(named[0], name="two words"),),
        lambda named: tuple(replace(named[0], name=f"n{k}") for k in range(baselines.MOST + 1)),
        lambda named: (replace(named[0], exact=None),),
    ],
)
def test_named_backgrounds_that_cannot_be_are_not_saved(change, tmp_path):
    explainer = explainer_of(MODELS["link"][0])
    state = {**vars(explainer), "named_backgrounds": change(explainer.named_backgrounds)}
    with pytest.raises(ArtifactCorrupt):
        save(type(explainer).restore(state), tmp_path / "artifact")


def test_spaces_with_other_baselines_are_not_saved(tmp_path):
    explainer = explainer_of(MODELS["link"][0], output_spaces=("margin",))
    other = explainer.others[0]
    fewer = replace(other, named_backgrounds=other.named_backgrounds[:1])
    state = {**vars(explainer), "others": (fewer,)}
    with pytest.raises(ArtifactCorrupt, match="output spaces have other baselines"):
        save(type(explainer).restore(state), tmp_path / "artifact")


def test_a_game_that_is_asked_by_masked_rows():
    x, y = rows(40)
    model = GaussianProcessClassifier().fit(x, y)
    explainer = KernelScoringExplainer(
        TabularExplainer(model, x[:8]), baselines={"few": x[20:26]}, reference_rows=0
    )
    assert explainer.reference is None
    found = explainer.against("few").explain_local(x[30:31])
    expected = oracles.shapley_rows(model.predict_proba, x[30:31], x[20:26])
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
