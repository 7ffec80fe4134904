"""Extensions of the Open Inference Protocol: a few are answered, the others refused as such."""

from __future__ import annotations

import pytest

from service.protocols.documents import IndexedModelDocument, V2ErrorDocument
from tests.service.fakes import fake_scorer, tiny_scorer
from tests.service.serving import JSON, served, unexpected

MEMORY = ("memory/status", "memory/region/r/status")
KINDS = ("system", "cuda")
REFUSED = [
    *(("GET", f"/v2/models/houses{of}/stats") for of in ("", "/versions/7")),
    *(("GET", f"/v2/models/houses{of}/config") for of in ("", "/versions/7")),
    ("GET", "/v2/models/stats"),
    *(("POST", f"/v2/repository/models/{n}/{verb}") for n in "ab" for verb in ("load", "unload")),
    *((m, f"/v2{of}/trace/setting") for m in ("GET", "POST") for of in ("", "/models/houses")),
    *((method, "/v2/logging") for method in ("GET", "POST")),
    *(("GET", f"/v2/{kind}shared{place}") for kind in KINDS for place in MEMORY),
    *(("POST", f"/v2/{kind}sharedmemory/region/r/register") for kind in KINDS),
    *(("POST", f"/v2/{kind}sharedmemory/unregister") for kind in KINDS),
    *(("POST", f"/v2/{kind}sharedmemory/region/r/unregister") for kind in KINDS),
    ("POST", "/v2/models/houses/generate"),
    ("POST", "/v2/models/houses/versions/7/infer_stream"),
]  # fmt: skip


@pytest.fixture(scope="module")
def two():
    with served({"houses": fake_scorer(), "tiny": tiny_scorer()}) as client:
        yield client
        assert unexpected(client) == 0


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}'])
def test_the_repository_is_listed(two, body):
    listed = two.post("/v2/repository/index", content=body, headers=JSON if body else {}).json()
    for model in listed:
        IndexedModelDocument.model_validate(model, strict=True)
    assert [(m["name"], m["version"], m["state"]) for m in listed] == [
        ("houses", "7", "READY"),
        ("tiny", "7", "READY"),
    ]
    assert two.get("/v2/models").json() == two.get("/v1/models").json()
    assert two.get("/v2/models").json() == {"models": ["houses", "tiny"]}


def refused(answer, status, code):
    body = answer.json()
    V2ErrorDocument.model_validate(body, strict=True)
    assert (answer.status_code, body["details"]["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/json"
    return body["error"]


@pytest.mark.parametrize(("method", "path"), REFUSED, ids=lambda part: part)
def test_what_is_not_offered_is_said_in_the_protocols_own_form(two, method, path):
    content = b'{"any": "thing"}' if method == "POST" else None
    error = refused(two.request(method, path, content=content), 501, "not_implemented")
    assert error.endswith(".")


def test_a_model_that_is_not_there_is_told_first(two):
    for path in ("nobody/stats", "houses/versions/8/stats", "nobody/config"):
        refused(two.get(f"/v2/models/{path}"), 404, "unknown_model")


def test_a_model_may_be_called_stats():
    with served({"stats": tiny_scorer()}) as client:
        assert "inputs" in client.get("/v2/models/stats").json()
        refused(client.get("/v2/models/stats/stats"), 501, "not_implemented")
