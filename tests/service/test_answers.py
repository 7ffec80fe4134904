"""Every way to be answered says the same as the guide's layout of everything, and is documented."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scoring import KernelScoringExplainer, TabularExplainer, save
from service.documents import RowsDocument, ScoreDocument
from service.scorer import load_scorers
from service.settings import Source
from tests.service.serving import is_error, served, unexpected

DATA = load_wine()
X, Y = DATA.data, DATA.target
CLASSES = ["red", "white", "rose"]
BODY = X[::11].tolist()  # 17 rows of all classes
N_ROWS, N_FEATURES = len(BODY), X.shape[1]
TEXTS = {"feature_0": {"increases": "strong", "decreases": "light"}}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A forest, a sampled linear model, and a regression."""
    root = tmp_path_factory.mktemp("answers")
    forest = RandomForestClassifier(8, max_depth=4, random_state=0).fit(X, Y)
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    amount = RandomForestRegressor(8, max_depth=4, random_state=0).fit(X, Y + X[:, 0])
    full = TabularExplainer(forest, X, classes=CLASSES, n_background=20)
    save(KernelScoringExplainer(full, interactions=True, reason_codes=TEXTS), root / "forest")
    full = TabularExplainer(linear, X, classes=CLASSES, n_background=5)
    sampled = KernelScoringExplainer(full, method="kernel", n_coalitions=200, strict=False)
    save(sampled, root / "sampled")
    save(KernelScoringExplainer(TabularExplainer(amount, X)), root / "amount")
    names = ("forest", "sampled", "amount")
    with served(load_scorers(Source(name, root / name, None) for name in names)) as client:
        yield client


def rows():
    return [{f"feature_{j}": value for j, value in enumerate(row)} for row in BODY]


def ask(client, model, data=None, **options):
    body = {"data": rows() if data is None else data, "options": options}
    answer = client.post(f"/models/{model}/score", json=body)
    assert answer.status_code == 200, answer.text
    document = RowsDocument if options.get("layout") == "rows" else ScoreDocument
    document.model_validate_json(answer.content, strict=True)
    return answer.json()


def in_rows(answer, name="local_importance_values"):
    """Values of a classifier (n_rows, n_listed, n_shown)."""
    return np.moveaxis(np.array(answer[name]), 0, -1)


@pytest.mark.parametrize("model", ["forest", "sampled"])
def test_an_envelope_and_a_query_ask_alike(client, model):
    query = {"outputs": '["rose", "red"]', "top_k": 3, "explain": '{"classes": ["red"]}'}
    answer = client.post(f"/models/{model}/score", json=rows(), params=query)
    envelope = {"outputs": ["rose", "red"], "top_k": 3, "explain": {"classes": ["red"]}}
    assert answer.json() == ask(client, model, **envelope)
    assert ask(client, model) == client.post(f"/models/{model}/score", json=rows()).json()


@pytest.mark.parametrize("model", ["forest", "sampled"])
def test_outputs_by_name(client, model):
    every, some = ask(client, model), ask(client, model, outputs=["rose", "red"])
    assert some["classes"] == ["rose", "red"]
    for name in ("local_importance_values", "base_values"):
        assert some[name] == [every[name][2], every[name][0]]
    if model == "sampled":
        assert some["standard_errors"] == [every["standard_errors"][k] for k in (2, 0)]
    assert some["probabilities"] == every["probabilities"]
    assert ask(client, model, outputs="rose")["classes"] == ["rose"]


@pytest.mark.parametrize("model", ["forest", "sampled"])
def test_the_predicted_class_of_each_row(client, model):
    every, own = ask(client, model), ask(client, model, outputs="predicted")
    predicted = every["predictions"]
    assert len(set(predicted)) == 3
    assert own["explained_classes"] == [CLASSES[k] for k in predicted]
    expected = in_rows(every)[np.arange(N_ROWS), :, predicted]
    assert np.shape(own["local_importance_values"]) == (1, N_ROWS, N_FEATURES)
    np.testing.assert_array_equal(in_rows(own)[..., 0], expected)
    base = np.array(own["base_values"])[predicted]
    told = np.array(own["probabilities"])[np.arange(N_ROWS), predicted]
    np.testing.assert_allclose(base + expected.sum(axis=1), told, atol=1e-9)
    assert max(own["additivity_gap"]) < 1e-9


@pytest.mark.parametrize("model", ["forest", "sampled"])
@pytest.mark.parametrize("outputs", ["all", "predicted", ["white"]])
def test_the_strongest_features_and_the_rest_add_up(client, model, outputs):
    every = ask(client, model, outputs=outputs)
    top = ask(client, model, outputs=outputs, top_k=4)
    values, all_values = in_rows(top), in_rows(every)
    assert values.shape[1] == 4
    assert top["features"] == every["features"]
    place = {name: j for j, name in enumerate(top["features"])}
    for k, row in itertools.product(range(values.shape[2]), range(N_ROWS)):
        listed = [place[name] for name in top["top_features"][k][row]]
        strength = np.abs(all_values[row, :, k])
        assert strength[listed].tolist() == sorted(strength, reverse=True)[:4]
        np.testing.assert_array_equal(values[row, :, k], all_values[row, listed, k])
    total = values.sum(axis=1) + np.array(top["remainder"])
    np.testing.assert_allclose(total, all_values.sum(axis=1), atol=1e-12)
    assert max(top["additivity_gap"]) < 1e-9
    assert ask(client, model, top_k=1000)["remainder"] == [[0.0] * 3] * N_ROWS


@pytest.mark.parametrize("model", ["forest", "sampled"])
@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("outputs", ["all", "predicted"])
def test_the_rows_layout_has_the_same_numbers(client, model, top_k, outputs):
    guide = ask(client, model, outputs=outputs, top_k=top_k)
    answer = ask(client, model, outputs=outputs, top_k=top_k, layout="rows")
    assert answer["features"] == guide["features"]
    for i, row in enumerate(answer["rows"]):
        assert row["index"] == guide["index"][i]
        assert row["prediction"] == guide["predictions"][i]
        assert list(row["probabilities"].values()) == guide["probabilities"][i]
        assert row["additivity_gap"] == guide["additivity_gap"][i]
        own = [guide["explained_classes"][i]] if outputs == "predicted" else CLASSES
        assert list(row["explanation"]) == own
        for k, part in enumerate(row["explanation"].values()):
            names = guide["features"] if top_k is None else guide["top_features"][k][i]
            assert list(part["values"]) == names
            assert list(part["values"].values()) == guide["local_importance_values"][k][i]
            if model == "sampled":
                assert list(part["standard_errors"].values()) == guide["standard_errors"][k][i]
            total = part["base_value"] + sum(part["values"].values()) + part.get("remainder", 0)
            assert np.isclose(total, part["output"], atol=1e-9)
            assert part["output"] == pytest.approx(row["probabilities"][own[k]])
    if model == "forest":
        assert [row["reason_codes"] for row in answer["rows"]] == guide["reason_codes"]
        assert answer["standard_errors"] == guide["standard_errors"] == 0


FILTERS = [
    ({"classes": ["red"]}, lambda predicted, chances: predicted == 0),
    ({"classes": ["red", "rose"]}, lambda predicted, chances: predicted != 1),
    ({"class": "white", "above": 0.5}, lambda predicted, chances: chances[:, 1] > 0.5),
    (
        {"class": "white", "below": 0.9, "above": 0.1},
        lambda p, c: (c[:, 1] < 0.9) & (c[:, 1] > 0.1),
    ),
    (
        {"classes": ["white"], "class": "white", "below": 0.99},
        lambda p, c: (p == 1) & (c[:, 1] < 0.99),
    ),
]


@pytest.mark.parametrize("model", ["forest", "sampled"])
@pytest.mark.parametrize("case", range(len(FILTERS)))
def test_only_some_rows_are_explained(client, model, case):
    explain, rule = FILTERS[case]
    every, some = ask(client, model), ask(client, model, explain=explain)
    expected = rule(np.array(every["predictions"]), np.array(every["probabilities"]))
    places = np.flatnonzero(expected).tolist()
    assert 0 < len(places) < N_ROWS
    assert some["explained_rows"] == places
    assert some["predictions"] == every["predictions"]
    np.testing.assert_allclose(in_rows(some), in_rows(every)[places], atol=1e-12)
    by_row = ask(client, model, explain=explain, layout="rows")["rows"]
    assert [row["explanation"] is not None for row in by_row] == expected.tolist()
    assert len(by_row) == N_ROWS
    if model == "forest":
        assert some["reason_codes"] == [every["reason_codes"][i] for i in places]


@pytest.mark.parametrize("model", ["forest", "sampled", "amount"])
@pytest.mark.parametrize("layout", ["guide", "rows"])
def test_predictions_only(client, model, layout):
    every, some = (
        ask(client, model, layout=layout),
        ask(client, model, layout=layout, explain=False),
    )
    assert some["coalitions_used"] == 0
    if layout == "rows":
        assert all(row["explanation"] is None for row in some["rows"])
        predictions = [[row["prediction"] for row in each["rows"]] for each in (some, every)]
        assert predictions[0] == predictions[1]
        return
    assert some["explained_rows"] == some["additivity_gap"] == []
    assert some["predictions"] == every["predictions"]
    np.testing.assert_allclose(
        np.array(some["probabilities"], float), np.array(every["probabilities"], float)
    )


def test_options_go_together(client):
    everything = {"outputs": "predicted", "top_k": 2, "explain": {"classes": ["rose"]}}
    for layout in ("guide", "rows"):
        answer = ask(client, "forest", layout=layout, interactions=True, **everything)
        assert answer["features"]


def test_a_regression_has_its_own_axes(client):
    answer = ask(client, "amount", top_k=3)
    assert np.shape(answer["local_importance_values"]) == (N_ROWS, 3)
    assert np.shape(answer["top_features"]) == (N_ROWS, 3)
    [part] = ask(client, "amount", layout="rows")["rows"][0]["explanation"].values()
    assert len(part["values"]) == N_FEATURES
    assert ask(client, "amount", layout="rows")["rows"][0]["probabilities"] is None


def test_interactions_sum_to_the_values(client):
    answer = ask(client, "forest", data=rows()[:3], interactions=True)
    pairs = np.array(answer["interaction_values"])
    assert pairs.shape == (3, 3, N_FEATURES, N_FEATURES)
    np.testing.assert_allclose(pairs, pairs.transpose(0, 1, 3, 2), atol=1e-12)
    np.testing.assert_allclose(pairs.sum(axis=3), answer["local_importance_values"], atol=1e-9)
    own = ask(client, "forest", data=rows()[:3], interactions=True, outputs="predicted")
    for i, predicted in enumerate(own["predictions"]):
        assert own["interaction_values"][0][i] == answer["interaction_values"][predicted][i]
    by_row = ask(client, "forest", data=rows()[:3], interactions=True, layout="rows")["rows"]
    for k, i in itertools.product(range(3), range(3)):
        part = by_row[i]["explanation"][CLASSES[k]]
        assert part["interaction_values"] == answer["interaction_values"][k][i]


def test_interactions_that_there_are_not(client):
    for model in ("sampled", "amount"):
        body = {"data": rows(), "options": {"interactions": True}}
        refused = client.post(f"/models/{model}/score", json=body)
        assert "interactions" in is_error(refused, 422, "invalid_option")["message"].lower()


def test_interactions_of_many_rows_are_refused(client):
    body = {"data": rows() * 400, "options": {"interactions": True}}
    is_error(client.post("/models/forest/score", json=body), 413, "too_many_rows")


BAD = [
    ({"outputs": "zq-none"}, "outputs must be all, predicted, or different names among red"),
    ({"outputs": ["red", "red"]}, "outputs must be"),
    ({"outputs": []}, "outputs must be"),
    ({"outputs": [1]}, "outputs must be"),
    ({"top_k": 0}, "top_k must be a whole number of at least 1"),
    ({"top_k": 1.5}, "top_k must be"),
    ({"top_k": True}, "top_k must be"),
    ({"top_k": "zq"}, "top_k must be"),
    ({"layout": "zq"}, "layout must be one of guide, rows"),
    ({"layout": ["rows"]}, "layout must be one of"),
    ({"explain": "zq"}, "explain must be true, false, or an object"),
    ({"explain": {}}, "explain must be true, false, or an object"),
    ({"explain": {"zq": 1}}, "explain must hold classes, class, above and below only"),
    ({"explain": {"classes": ["zq"]}}, "explain must have a list of classes among red"),
    ({"explain": {"class": "zq", "above": 0.5}}, "explain must have a class among red"),
    ({"explain": {"class": "red"}}, "explain must have above or below beside a class"),
    ({"explain": {"above": 0.5}}, "explain must have a class among red"),
    ({"explain": {"class": "red", "above": 2}}, "explain must have above and below from 0 to 1"),
    ({"explain": {"class": "red", "above": "zq"}}, "must have above and below from 0 to 1"),
    ({"interactions": "zq"}, "interactions must be true or false"),
    ({"baseline": "zq"}, "baseline must not be given: this model has no named backgrounds"),
    ({"output_space": 3}, "output_space must be one of probability"),
    ({"deadline_ms": True}, "deadline_ms must be a number above 0"),
    ({"zq": 1}, "the envelope's options may hold output_space, deadline_ms,"),
]


@pytest.mark.parametrize("case", range(len(BAD)))
def test_a_bad_option_is_refused_with_its_rule_and_without_its_value(client, case):
    options, rule = BAD[case]
    refused = client.post("/models/forest/score", json={"data": rows(), "options": options})
    message = is_error(refused, 422, "invalid_option")["message"]
    assert rule.lower() in message.lower()
    assert "zq" not in refused.text
    if not {"zq", "layout"} & options.keys():
        query = {n: v if isinstance(v, str) else json.dumps(v) for n, v in options.items()}
        refused = client.post("/models/forest/score", json=rows(), params=query)
        assert rule.lower() in is_error(refused, 422, "invalid_option")["message"].lower()
    assert unexpected(client) == 0


def test_all_that_is_wrong_is_told_at_once(client):
    options = {"top_k": 0, "layout": "zq", "explain": {"zq": 1, "classes": 3}, "zq": 1}
    body = {"data": rows(), "options": options}
    query = {"top_k": "5", "deadline_ms": "zq", "other": "zq"}
    refused = client.post("/models/forest/score", json=body, params=query)
    message = is_error(refused, 422, "invalid_option")["message"]
    told = ["the query may", "options may", "both set top_k", "deadline_ms must", "layout must"]
    told += ["explain must hold classes", "must have a list of classes"]
    assert all(each in message[0].lower() + message[1:] for each in told)


def test_a_regression_predicts_no_class(client):
    body = {"data": rows(), "options": {"outputs": "predicted", "explain": {"classes": ["a"]}}}
    message = is_error(client.post("/models/amount/score", json=body), 422, "invalid_option")
    assert "outputs must not be predicted" in message["message"].replace("Outputs", "outputs")
    assert "predicts no classes" in message["message"]


@pytest.mark.parametrize(
    "body",
    [
        '{"data": [], "data": [], "options": {}}',
        '{"data": [], "options": {"top_k": 1, "top_k": 2}}',
        '{"data": [], "options": {"explain": {"class": "red", "class": "rose"}}}',
        '{"data": [], "options": 3}',
        '{"data": [], "options": {}, "zq": 1}',
        '{"data": [], "option": {"top_k": 1}}',
    ],
)
def test_a_broken_envelope_is_refused(client, body):
    headers = {"content-type": "application/json"}
    refused = client.post("/models/forest/score", content=body, headers=headers)
    [violation] = is_error(refused, 422, "schema_violations")["violations"]
    assert violation["rule"].startswith("an envelope has data and options")


def test_null_options_are_options_that_are_not_given(client):
    assert ask(client, "forest", top_k=None, outputs=None, explain=None) == ask(client, "forest")
