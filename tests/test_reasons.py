"""Reason codes: what goes with a row's strongest features, from distillation to the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scoring import KernelScoringExplainer, ParameterError, TabularExplainer, load, save, verify
from scoring.artifact import read_manifest
from scoring.distillation import measure
from scoring.forms.refused import Unsound
from scoring.reasons import ReasonCodes, reason_codes_of
from service.scorer import Scorer
from tests.saved import rows
from tests.service.serving import served

FEATURES, OUTPUTS = ("age", "debt", "income"), ("refused", "approved")
TEXTS = {
    "debt": {"decreases": "Too much debt", "increases": "Little debt"},
    "income": {"decreases": "Income too low"},
}


def test_the_strongest_features_with_a_text_for_their_direction():
    values = np.zeros((4, 3, 2))
    values[:, :, 1] = [[9.0, -2, -1], [9.0, 2, 1], [0.0, 0, 0], [np.nan, -3, -4]]
    codes = reason_codes_of(ReasonCodes(TEXTS), FEATURES, OUTPUTS)
    told = codes.of(values, FEATURES, OUTPUTS)
    assert [[(r["feature"], r["direction"], r["value"]) for r in row] for row in told] == [
        [("debt", "decreases", -2.0), ("income", "decreases", -1.0)],
        [("debt", "increases", 2.0)],
        [],
        [("income", "decreases", -4.0), ("debt", "decreases", -3.0)],
    ]
    assert told[0][1]["text"] == "Income too low"
    one = ReasonCodes(TEXTS, "approved", top=1).of(values, FEATURES, OUTPUTS)
    assert [len(row) for row in one] == [1, 1, 0, 1]
    other = ReasonCodes(TEXTS, "refused").of(-values[..., ::-1], FEATURES, OUTPUTS)
    assert other[1][0]["text"] == "Too much debt"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"height": {"increases": "tall"}}, "'height' is no feature"),
        (["age"], "must be texts per feature"),
        ({"age": {"up": "old"}}, "'age' must have texts for increases or decreases"),
        ({"age": {}}, "'age' must have texts"),
        ({"age": "old"}, "'age' must have texts"),
        ({"age": {"increases": ""}}, "the text of 'age' increases must have 1 to 500"),
        ({"age": {"increases": "x" * 501}}, "must have 1 to 500 characters"),
        ({"age": {"increases": 3}}, "must have 1 to 500 characters"),
        (ReasonCodes(TEXTS, "maybe"), "the output must be one of refused, approved"),
        (ReasonCodes(TEXTS, top=0), "top must be at least 1"),
    ],
)
def test_wrong_reasons_are_named(given, message):
    with pytest.raises(ParameterError, match=message):
        reason_codes_of(given, FEATURES, OUTPUTS)


def test_all_that_is_wrong_is_told_at_once():
    wrong = ReasonCodes({"height": {"up": "tall"}}, "maybe", 0)
    with pytest.raises(ParameterError) as caught:
        reason_codes_of(wrong, FEATURES, OUTPUTS)
    assert str(caught.value).count(";") == 4


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    from sklearn.linear_model import LogisticRegression

    x, y = rows()
    explainer = TabularExplainer(
        LogisticRegression().fit(x, y),
        x[:20],
        features=["a", "b", "c", "d"],
        classes=["no", "yes"],
        groups={"both": ["b", "c"]},
    )
    texts = {"a": {"decreases": "a is low"}, "both": {"increases": "good", "decreases": "bad"}}
    scoring = KernelScoringExplainer(explainer, reason_codes=texts, name="loans")
    return scoring, save(scoring, tmp_path_factory.mktemp("reasons") / "artifact"), x


def test_they_travel_in_the_artifact(distilled):
    scoring, path, x = distilled
    loaded = load(path)
    here, there = (e.explain_local(x[:9]).reason_codes or [] for e in (scoring, loaded))
    assert [[(r["feature"], r["text"]) for r in row] for row in here] == [
        [(r["feature"], r["text"]) for r in row] for row in there
    ]
    assert any(here)
    said = read_manifest(path)
    assert said["reason_codes"]["output"] == "yes"
    assert said["groups"] == {"both": ["b", "c"]}
    assert loaded.features == ("a", "both", "d")
    values = loaded.explain_local(x[:9]).values[..., 1]
    for row, reasons in zip(values, there, strict=True):
        wanted = {"a", "both"} if row[0] < 0 else {"both"}
        assert {r["feature"] for r in reasons} == wanted


def test_what_is_not_reported_is_no_reason():
    from sklearn.linear_model import LogisticRegression

    x, y = rows()
    model = LogisticRegression().fit(x, y)
    texts = {f"feature_{j}": {"increases": "up", "decreases": "down"} for j in range(4)}
    explainer = TabularExplainer(model, x[:20], explain_subset=["feature_3", "feature_0"])
    with pytest.raises(ParameterError, match="'feature_1' is no feature that is explained"):
        KernelScoringExplainer(explainer, reason_codes=texts)
    some = {name: texts[name] for name in ("feature_0", "feature_3")}
    found = KernelScoringExplainer(explainer, reason_codes=some).explain_local(x[:3])
    assert found.reason_codes is not None  # for the type checker
    for row, told in enumerate(found.reason_codes):
        values = dict(zip(found.features, found.values[row, :, 1], strict=True))
        assert {reason["feature"]: reason["value"] for reason in told} == values


def test_they_come_back_over_http(distilled):
    scoring, path, x = distilled
    with served({"loans": Scorer("loans", load(path), "0" * 64)}) as client:
        frame = dict(zip("abcd", x[:3].T.tolist(), strict=True))
        answer = client.post("/score", json=frame)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        expected = scoring.explain_local(x[:3]).reason_codes or []
        assert [[r["text"] for r in row] for row in told["reason_codes"]] == [
            [r["text"] for r in row] for row in expected
        ]
        assert told["features"] == ["a", "both", "d"]
        assert np.shape(told["local_importance_values"]) == (2, 3, 3)


def test_a_subset_over_http_says_what_the_rest_adds_up_to(tmp_path, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setattr(measure, "MEASURED_CALLS", 2000)
    x, y = rows()
    model = LogisticRegression().fit(x, y)
    explainer = TabularExplainer(model, x[:20], explain_subset=["feature_3", "feature_0"])
    save(KernelScoringExplainer(explainer), tmp_path / "artifact")
    with served({"m": Scorer("m", load(tmp_path / "artifact"), "0" * 64)}) as client:
        body = {f"feature_{j}": x[:3, j].tolist() for j in range(4)}
        told = client.post("/score", json=body).json()
    assert told["features"] == ["feature_3", "feature_0"]
    values, rest = np.array(told["local_importance_values"]), np.array(told["remainder"])
    outputs = np.array(told["base_values"]) + values.sum(axis=2).T + rest
    np.testing.assert_allclose(outputs, model.predict_proba(x[:3]), atol=1e-6)
    assert max(told["additivity_gap"]) < 1e-6


def state_of(path):
    return dict(vars(load(path)))


def test_reasons_that_were_tampered_with_are_refused(distilled):
    state = state_of(distilled[1])
    verify.check_state(state)
    for wrong in ({"zzz": {"increases": "x"}}, {"a": {"up": "x"}}, {"a": {"increases": ""}}):
        changed = replace(state["reason_codes"], texts=wrong)
        with pytest.raises(Unsound, match="reason codes are none"):
            verify.check_state(state | {"reason_codes": changed})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda p: replace(p, membership=p.membership[:, :3]), "not about the schema's features"),
        (lambda p: replace(p, membership=p.membership | True), "overlap"),
        (lambda p: replace(p, membership=p.membership & False), "overlap, are empty"),
        (lambda p: replace(p, names=("a", "a", "d")), "share a name"),
    ],
)
def test_groups_that_were_tampered_with_are_refused(distilled, change, problem):
    state = state_of(distilled[1])
    with pytest.raises(Unsound, match=problem):
        verify.check_state(state | {"players": change(state["players"])})


@pytest.mark.parametrize("subset", [(), (0, 0), (-1,), (3,)])
def test_subsets_that_were_tampered_with_are_refused(distilled, subset):
    with pytest.raises(Unsound, match="reported features"):
        verify.check_state(state_of(distilled[1]) | {"subset": subset})
