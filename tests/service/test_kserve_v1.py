"""KServe's V1 protocol over real HTTP."""

from __future__ import annotations

import json

import pytest

from service.protocols.documents import (
    AliveDocument,
    ExplanationsDocument,
    ModelsDocument,
    PredictionsDocument,
    ReadyModelDocument,
)
from tests.service.dialects import in_lists
from tests.service.fakes import ROWS, fake_scorer, tiny_scorer
from tests.service.serving import JSON, SENTINEL, is_error, served, unexpected

FORMS = {"lists": in_lists(ROWS), "objects": ROWS}


@pytest.fixture(scope="module")
def two():
    with served({"houses": fake_scorer(), "tiny": tiny_scorer()}) as client:
        yield client
        assert unexpected(client) == 0


def ask(client, verb, body, model="houses", **query):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"/v1/models/{model}:{verb}"
    return client.post(path, content=content, headers=JSON, params=query)


@pytest.mark.parametrize("form", FORMS)
def test_predictions_and_explanations_are_those_of_score(two, form):
    scored = two.post("/score", json=ROWS).json()
    predicted = ask(two, "predict", {"instances": FORMS[form]}).json()
    assert predicted == {"predictions": scored["predictions"]}
    PredictionsDocument.model_validate(predicted, strict=True)
    explained = ask(two, "explain", {"instances": FORMS[form]}).json()
    assert explained == {"explanations": scored}
    ExplanationsDocument.model_validate(explained, strict=True)


def test_each_model_under_its_name(two):
    assert ask(two, "predict", {"instances": [[0.5]]}, "tiny").json() == {"predictions": [1]}
    models = two.get("/v1/models").json()
    assert models == {"models": ["houses", "tiny"]}
    ModelsDocument.model_validate(models, strict=True)
    ready = two.get("/v1/models/tiny").json()
    assert ready == {"name": "tiny", "ready": True}
    ReadyModelDocument.model_validate(ready, strict=True)
    alive = two.get("/").json()
    assert alive == {"status": "alive"}
    AliveDocument.model_validate(alive, strict=True)


def test_the_query_has_options(two):
    body = {"instances": ROWS}
    explained = ask(two, "explain", body, output_space="probability", deadline_ms=1000)
    assert explained.json()["explanations"]["output_space"] == "probability"
    for verb, options in (
        ("explain", {"output_space": SENTINEL}),
        ("explain", {"explain": "false"}),
        ("predict", {"explain": "true"}),
        ("predict", {SENTINEL: 1}),
    ):
        refused = ask(two, verb, body, **options)
        is_error(refused, 422, "invalid_option")
        assert SENTINEL not in refused.text


@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_refusals(small, verb):
    is_error(ask(small, verb, b"["), 400, "broken_json")
    is_error(ask(small, verb, {"instances": ROWS[:1] * 6}), 413, "too_many_rows")
    is_error(ask(small, verb, b" " * 20_001), 413, "body_too_large")
    is_error(ask(small, verb, {"instances": ROWS}, SENTINEL), 404, "unknown_model")
    path = f"/v1/models/houses:{verb}"
    is_error(small.post(path, content=b"x"), 415, "unsupported_media_type")
    for body in (
        {},
        [SENTINEL],
        {"instances": SENTINEL},
        {"instances": {SENTINEL: 1}},
        {"instances": ROWS, SENTINEL: 1},
        {"instances": [[SENTINEL]]},
        {"instances": [SENTINEL]},
    ):
        answer = ask(small, verb, body)
        is_error(answer, 422, "schema_violations")
        assert SENTINEL not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/v1/models/{SENTINEL}", 404, "unknown_model"),
        ("POST", "/v1/models/houses", 405, "method_not_allowed"),
        ("POST", f"/v1/models/houses:{SENTINEL}", 404, "not_found"),
        ("GET", "/v1/models/houses:predict", 405, "method_not_allowed"),
        ("GET", "/v1", 404, "not_found"),
    ],
)
def test_wrong_paths_and_methods(small, method, path, status, code):
    answer = small.request(method, path)
    is_error(answer, status, code)
    assert SENTINEL not in answer.text
