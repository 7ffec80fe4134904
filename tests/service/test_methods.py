"""HEAD wherever there is GET, and `Allow` telling the truth of every path."""

from __future__ import annotations

import pytest

from service.settings import Settings
from tests.service.serving import is_error, metric, unexpected

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NAMES = {"name": "houses", "version": "7", "id": "nothing"}
UNDOCUMENTED = (
    "/docs",
    "/openapi.json",
    "/v2/models/stats",
    "/v2/models/houses/config",
    "/v2/trace/setting",
    "/v2/systemsharedmemory/region/r/register",
)


def paths(client):
    documented = client.get("/openapi.json").json()["paths"]
    return [path.format(**NAMES) for path in documented if "admin" not in path] + [*UNDOCUMENTED]


def test_allow_tells_the_methods_that_there_are(client):
    tried = paths(client)
    assert len(tried) > 30
    for path in tried:
        options = client.options(path)
        assert (options.status_code, options.content) == (204, b""), path
        allowed = set(options.headers["allow"].split(", "))
        there = {m for m in METHODS if client.request(m, path).status_code != 405}
        assert allowed == there | {"OPTIONS"} | ({"HEAD"} if "GET" in there else set()), path
        assert (client.head(path).status_code == 405) == ("HEAD" not in allowed), path
        refusal = client.request("PATCH", path)
        assert refusal.status_code == 405
        assert refusal.headers["allow"] == options.headers["allow"]
    assert unexpected(client) == 0


def test_head_is_get_without_a_body(client):
    for path in ("/health/live", "/schema", "/v1/models", "/v2/models/houses", "/explanations/no"):
        got, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert got.content
        for name in ("content-length", "content-type"):
            assert head.headers[name] == got.headers[name]


def test_head_is_noted_as_what_it_is(serve):
    client = serve()
    client.head("/schema")
    client.get("/schema")  # on the same connection, which still holds
    assert metric(client, 'shapserve_requests_total{model="houses",route="/schema",status="200"}')


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD"])
def test_a_path_that_is_none(client, method):
    assert client.request(method, "/nowhere").status_code == 404


def test_keys_are_asked_for_whatever_the_method(serve):
    client = serve(Settings(api_keys=("a:score:" + "0" * 64,)))
    is_error(client.options("/score"), 401, "unauthorized")
    assert client.head("/schema").status_code == 401
    assert client.head("/health/ready").status_code == 200
    assert client.options("/ping").headers["allow"] == "GET, HEAD, OPTIONS"
