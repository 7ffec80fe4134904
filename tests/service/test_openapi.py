"""The OpenAPI document: it tells everything that may be answered, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import jsonschema_rs
import pytest

from service.auth import PROBES
from service.keys import ROLES, new_key
from service.options import KNOWN
from service.settings import Settings
from tests.service.commands import serving
from tests.service.dialects import OUTPUTS, asked_for, in_tensors
from tests.service.documented import Document
from tests.service.fakes import ROWS
from tests.service.serving import is_error, unexpected

N_OPERATIONS = 31
N_CASES = 1_200

CONFIG = """
seed = 1
continue-on-failure = true

[generation]
max-examples = 25

# What fits a model is told by GET /schema: the document holds for every model.
[checks.positive_data_acceptance]
enabled = false

[parameters]
"path.name" = ["churn", "iris", "nothing"]
"path.version" = ["2026.11", "1", "nothing"]
"path.id" = {ids}
"""

# Without keys, administration is off whatever the method.
ADMIN_OFF = """
[[operations]]
include-path-regex = '^/admin/'
checks.unsupported_method.enabled = false
"""

WITH_KEY = """
[[operations]]
include-path-regex = '{path}'
headers = {{ Authorization = "Bearer {key}" }}
"""
PATHS = {"score": "^/(?!admin|metrics)", "metrics": "^/metrics", "admin": "^/admin"}


def operations(client):
    """Paths, methods and what the document tells of them."""
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_operation_tells_what_surrounds_it(client):
    found = list(operations(client))
    assert len(found) == N_OPERATIONS
    for path, _, operation in found:
        answers = operation["responses"]
        watched = path in {"/", "/health", "/ping", "/version", "/metrics"} or "/health/" in path
        assert {"200", "500"} <= answers.keys() or {"204", "500"} <= answers.keys()
        assert watched or {"413", "415", "429", "503"} <= answers.keys(), path
        assert (path in PROBES) != ({"401", "403"} <= answers.keys()), path
        assert all("X-Request-ID" in answer["headers"] for answer in answers.values())
        content = answers["500"]["content"]["application/json"]["schema"]["$ref"]
        first = {"v2": "V2", "invocations": "Mlflow"}.get(path.split("/")[1], "")
        assert content.endswith(f"/{first}ErrorDocument")
    assert "HTTPValidationError" not in client.get("/openapi.json").text


def test_the_document_asks_for_keys_where_the_server_does(client, serve):
    assert not any("security" in operation for *_, operation in operations(client))
    key, line = new_key("soak", "score")
    guarded = serve(Settings(api_keys=(line,)))
    guarded.headers["X-API-Key"] = key
    for path, _, operation in operations(guarded):
        assert ("security" in operation) == (path not in PROBES)
    document = guarded.get("/openapi.json").json()
    assert document["components"]["securitySchemes"].keys() == {"bearer", "api key"}


def test_a_version_is_a_part_of_the_path_and_no_option(client):
    for path, _, operation in operations(client):
        given = {each["name"]: each["in"] for each in operation.get("parameters", [])}
        assert given.get("version", "path") == "path", path
    for query in ("of=nothing", "version=nothing"):
        assert client.get(f"/v2/models/houses?{query}").json()["versions"] == ["7"]
    assert client.get("/v2/models/houses/versions/nothing").status_code == 404


def test_refusals_are_as_documented(serve):
    document = Document(serve())
    keys = [new_key(role, role) for role in ROLES]
    client = serve(Settings(api_keys=tuple(line for _, line in keys), max_body_bytes=2_000))
    admin = {"Authorization": f"Bearer {keys[2][0]}"}
    score = {"Authorization": f"Bearer {keys[0][0]}"}
    paths = ("/score", "/invocations", "/v1/models/{name}:predict", "/v2/models/{name}/infer")
    for path in paths:
        url = path.replace("{name}", "houses")
        for status, headers, content in (
            (401, {}, b""),
            (403, admin, b""),
            (413, score, b" " * 3_000),
            (415, {**score, "Content-Encoding": "br"}, b""),
        ):
            answer = client.post(url, content=content, headers=headers)
            assert answer.status_code == status
            document.check(answer, path)


def test_answers_of_every_kind_are_as_documented(client):
    document, arrow = Document(client), {"Accept": "application/vnd.apache.arrow.stream"}
    later = {"Prefer": "respond-async"}
    for query in ("", "layout=rows", "outputs=predicted&top_k=2", "explain=false", "top_k=null"):
        for headers in ({}, arrow, later, later | arrow):
            answer = client.post(f"/score?{query}", json=ROWS, headers=headers)
            assert answer.is_success
            document.check(answer, "/score")
            if answer.status_code == 202:
                fetched = client.get(answer.headers["Location"])
                document.check(fetched, "/explanations/{id}")
    for binary in (False, True):
        asked = in_tensors(ROWS) | asked_for(*OUTPUTS, binary_data=binary)
        answer = client.post("/v2/models/houses/versions/7/infer", json=asked)
        assert answer.is_success
        document.check(answer, "/v2/models/{name}/versions/{version}/infer")


def test_null_for_an_option_is_documented(client):
    """Else a client made from the document would not take what the server takes."""
    nothing = dict.fromkeys(KNOWN)
    assert client.post("/score", json={"data": ROWS, "options": nothing}).is_success
    post = client.get("/openapi.json").json()["paths"]["/score"]["post"]
    body = post["requestBody"]["content"]["application/json"]["schema"]
    jsonschema_rs.validate(body, {"data": ROWS, "options": nothing})
    [envelope] = [kind for kind in body["anyOf"] if kind["title"] == "envelope"]
    jsonschema_rs.validate(envelope, {"data": ROWS, "options": nothing})


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/explanations/x", "DELETE, GET, HEAD, OPTIONS"),
        ("/score", "OPTIONS, POST"),
        ("/health/live", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_there_is_not_tells_all_that_there_are(client, path, methods):
    answer = client.put(path)
    is_error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == methods


def ask(directory: Path, client: httpx.Client, config: str) -> dict:
    """Let Schemathesis ask for everything; return its report."""
    (directory / "schemathesis.toml").write_text(config)
    (directory / "openapi.json").write_text(client.get("/openapi.json").text)
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", "schemathesis.toml"),
            *("run", "openapi.json", "--url", str(client.base_url), "--no-color"),
            *("--report", "json", "--report-json-path", "report.json"),
        ],
        cwd=directory,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    report: dict = json.loads((directory / "report.json").read_text())
    return report


def explained_later(client, rows, layout):
    """The id of an explanation that can be fetched."""
    answer = client.post(
        "/score", params={"layout": layout}, json=rows, headers={"Prefer": "respond-async"}
    )
    return answer.headers["Location"].rpartition("/")[2]


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("with_keys", [False, True], ids=["open", "with keys"])
def test_every_answer_is_as_documented(files, numeric, tmp_path, with_keys):
    made = {role: new_key("soak", role) for role in ROLES} if with_keys else {}
    arguments = ["--artifact", f"churn={files / 'artifact'}", "--artifact", f"iris={numeric}"]
    for _, line in made.values():
        arguments += ["--api-keys", line]
    with serving(*arguments) as (client, _):
        if with_keys:
            client.headers["Authorization"] = f"Bearer {made['score'][0]}"
        rows = client.get("/schema").json()["sample"]
        ids = [explained_later(client, rows, layout) for layout in ("guide", "rows") * 5]
        config = CONFIG.format(ids=json.dumps(ids))
        config += "" if with_keys else ADMIN_OFF
        for role, (key, _) in made.items():
            config += WITH_KEY.format(path=PATHS[role], key=key)
        report = ask(tmp_path, client, config)
        if with_keys:
            client.headers["Authorization"] = f"Bearer {made['metrics'][0]}"
        assert unexpected(client) == 0
    assert report["operations"]["tested"] == N_OPERATIONS
    assert report["test_cases"]["generated"] >= N_CASES
