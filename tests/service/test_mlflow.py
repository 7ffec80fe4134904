"""`/invocations` and its neighbours, as MLflow's scoring server answers; over real HTTP."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from service.protocols.documents import MlflowErrorDocument, PredictionsDocument
from tests.service import dialects
from tests.service.fakes import ROWS, SCHEMA, in_split, tiny_scorer
from tests.service.serving import JSON, SENTINEL, served, unexpected

BODIES = dialects.in_invocations(ROWS)


def invoke(client, body, **query):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/invocations", content=content, headers=JSON, params=query)


def refused(answer, status, code):
    """Assert our body with MLflow's keys beside it; return our error."""
    assert answer.status_code == status, answer.text
    assert SENTINEL not in answer.text
    body = answer.json()
    assert set(body) == {"error_code", "message", "error", "request_id"}
    assert body["error"]["code"] == code
    assert answer.headers["content-length"] == str(len(answer.content))
    MlflowErrorDocument.model_validate(body, strict=True)
    return body


@pytest.mark.parametrize("body", BODIES, ids=[f"{i} {next(iter(b))}" for i, b in enumerate(BODIES)])
def test_every_form_of_rows(client, body):
    scored = client.post("/score", json=ROWS).json()
    answer = invoke(client, body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"predictions": scored["predictions"]}
    PredictionsDocument.model_validate(answer.json(), strict=True)
    explained = invoke(client, body | {"params": {"explain": True}}).json()
    assert explained == scored
    assert next(iter(explained)) == "predictions"


def test_what_the_params_and_the_query_may_say(client):
    space = {"output_space": "probability", "deadline_ms": 1000.0}
    for params in (space, space | {"explain": False}, space | {"explain": None}, {}, None):
        assert set(invoke(client, BODIES[0] | {"params": params}).json()) == {"predictions"}
    assert "base_values" in invoke(client, BODIES[0], explain="true").json()
    assert set(invoke(client, BODIES[0], explain="false").json()) == {"predictions"}


@pytest.mark.parametrize(
    "params",
    [
        {"explain": SENTINEL},
        {"explain": 7},
        {SENTINEL: 1},
        {"output_space": SENTINEL},
        {"output_space": [SENTINEL]},
        {"deadline_ms": -1},
        {"deadline_ms": {"a": SENTINEL}},
        [SENTINEL],
        SENTINEL,
    ],
    ids=range(9),
)
def test_params_that_break_a_rule(small, params):
    body = refused(invoke(small, BODIES[0] | {"params": params}), 422, "invalid_option")
    assert body["error_code"] == "INVALID_PARAMETER_VALUE"
    assert body["message"] == body["error"]["message"]


def test_params_must_not_repeat_a_name(small):
    text = json.dumps(BODIES[0])[:-1] + ', "params": {"explain": true, "explain": false}}'
    refused(invoke(small, text.encode()), 422, "invalid_option")


def test_params_nested_too_deeply(small):
    for depth in range(200, 1000, 20):
        text = json.dumps(BODIES[0])[:-1] + f', "params": {{"x": {"[" * depth}{"]" * depth}}}}}'
        assert invoke(small, text.encode()).status_code in {400, 422}


RULES = {
    "a list": (ROWS, "the body must be an object that holds"),
    "nothing": ({}, "the body must hold exactly one of"),
    "two kinds": (BODIES[0] | BODIES[1], "the body must hold exactly one of"),
    "an unknown key": (BODIES[0] | {SENTINEL: 1}, "the body must be an object that holds"),
    "a scalar": ({"inputs": SENTINEL}, "the rows must be a list of lists"),
    "an empty list": ({"instances": []}, "there must be at least one row"),
    "no columns": ({"dataframe_split": {"data": []}}, "dataframe_split must be an object"),
    "split as a list": ({"dataframe_split": ROWS}, "dataframe_split must be an object"),
    "more than split": (
        {"dataframe_split": in_split(ROWS) | {SENTINEL: 1}},
        "split orientation has columns, index and data, each once",
    ),
    "a short row": ({"instances": [[SENTINEL]]}, "must be a list of 5 values"),
    "both kinds of rows": ({"instances": [[1] * 5, ROWS[0]]}, "must be a list of 5 values"),
    "both, turned": ({"instances": [ROWS[0], [1] * 5]}, "must be an object of columns and values"),
    "ragged columns": (
        {"inputs": {name: [SENTINEL] * (1 + (name == "age")) for name in SCHEMA.names}},
        "must have the same rows as the first column",
    ),
}


@pytest.mark.parametrize("case", RULES)
def test_a_wrong_structure_is_named(small, case):
    content, rule = RULES[case]
    body = refused(invoke(small, content), 422, "schema_violations")
    assert any(v["rule"].startswith(rule) for v in body["error"]["violations"])
    assert "First of" in body["message"]


def test_a_wrong_cell_is_named(small):
    rows = [ROWS[0], ROWS[1] | {"age": SENTINEL}]
    for content in dialects.in_invocations(rows):
        body = refused(invoke(small, content), 422, "schema_violations")
        [violation] = body["error"]["violations"]
        assert violation == {"row": 1, "column": "age", "rule": "must be a number, not text"}
        assert body["message"].endswith(
            "First of 1: row 1, column age: must be a number, not text."
        )


def test_limits_and_broken_bodies(small):
    assert refused(invoke(small, b"{"), 400, "broken_json")["error_code"] == "BAD_REQUEST"
    refused(invoke(small, b" " * 20_001), 413, "body_too_large")
    for body in dialects.in_invocations(ROWS[:1] * 6):
        refused(invoke(small, body), 413, "too_many_rows")
    answer = small.post("/invocations", content=b"x", headers={"content-type": SENTINEL})
    refused(answer, 415, "unsupported_media_type")
    refused(small.get("/invocations"), 405, "method_not_allowed")


def test_columns_called_columns_and_data_are_columns():
    with served({"tiny": tiny_scorer()}) as client:
        for rows in (
            {"dataframe_split": {"columns": ["data"], "data": [[0.5], [1.5]]}},
            {"inputs": [[0.5], [1.5]]},
            {"inputs": {"data": [0.5, 1.5]}},
            {"instances": [{"data": 0.5}, {"data": 1.5}]},
        ):
            assert invoke(client, rows).json() == {"predictions": [1, 1]}
        assert unexpected(client) == 0


@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_ping(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, "\n")


def test_version_is_the_servers_own(client):
    answer = client.get("/version")
    assert answer.status_code == 200
    assert answer.text == client.get("/openapi.json").json()["info"]["version"]


def test_csv(client):
    rows = [ROWS[0] | {"plan": None}, ROWS[2]]
    text = pd.DataFrame(rows).to_csv(index=False)
    kind = {"content-type": "text/csv; charset=utf-8"}
    scored = client.post("/score", json=rows).json()
    answer = client.post("/invocations", content=text, headers=kind)
    assert answer.json() == {"predictions": scored["predictions"]}
    answer = client.post("/invocations", content=text, headers=kind, params={"explain": "true"})
    assert answer.json() == scored
    for broken in (text.replace("age", SENTINEL), text + f"{SENTINEL},1,True,Ghent,plus"):
        answer = client.post("/invocations", content=broken, headers=kind)
        refused(answer, 422, "schema_violations")
    answer = client.post("/invocations", content=b"\xff", headers=kind)
    refused(answer, 400, "unreadable_body")


def test_predictions_are_there_in_every_layout(client):
    scored = client.post("/score", json=ROWS, params={"layout": "rows"}).json()
    params = {"explain": True, "layout": "rows"}
    answer = invoke(client, BODIES[0] | {"params": params}).json()
    assert answer == {"predictions": ["yes"] * 3, **scored}


def test_some_rows_are_explained(client):
    chosen = {"class": "moves", "above": 0.55}
    scored = client.post("/score", json={"data": ROWS, "options": {"explain": chosen}}).json()
    assert scored["explained_rows"] == [1]
    assert invoke(client, BODIES[0] | {"params": {"explain": chosen}}).json() == scored
