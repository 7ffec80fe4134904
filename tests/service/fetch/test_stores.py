"""Stores of S3, Google and Azure: their own libraries ask servers that answer as those do."""

from __future__ import annotations

import json
from base64 import b64encode
from urllib.parse import unquote

import fsspec
import pytest

from scoring import artifact_sha256
from service.fetch.refused import CannotFetch
from tests.service.fetch.conftest import contents
from tests.service.fetch.web import Web, served

MODIFIED = "Tue, 24 Nov 2026 10:00:00 GMT"


class Google(Web):
    """Its JSON interface: what there is of an object, and its bytes."""

    def answer(self, path):
        place, _, query = unquote(path).partition("?")
        name = place.partition("/o/")[2]
        content = self.content.get(f"/bucket/{name}")
        if content is None or "alt=media" in query or place.startswith("/download/"):
            return content
        told = {
            "name": name,
            "bucket": "bucket",
            "size": str(len(content)),
            "updated": "2026-11-24T10:00:00.000Z",
        }
        return json.dumps(told | {"mediaLink": f"{self.url}/download{place}"}).encode()


@pytest.fixture
def s3(source, monkeypatch):
    with served() as server:
        server.content = contents(source, "/bucket/model/")
        server.headers = {"ETag": '"zq"', "Last-Modified": MODIFIED}
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "zq-key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "zq-secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield server


@pytest.fixture
def gs(source, monkeypatch):
    with served(Google) as server:
        server.content = contents(source, "/bucket/model/")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        yield server


@pytest.fixture
def az(source, monkeypatch):
    with served() as server:
        server.content = contents(source, "/account/bucket/model/")
        server.headers = {
            "ETag": '"zq"',
            "Last-Modified": MODIFIED,
            "x-ms-blob-type": "BlockBlob",
            "x-ms-creation-time": MODIFIED,
            "x-ms-request-id": "1",
        }
        key = b64encode(b"zq-secret").decode()
        place = f"BlobEndpoint={server.url}/account"
        told = f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={key};{place};"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", told)
        yield server


@pytest.mark.parametrize("store", ["s3", "gs", "az"])
def test_a_store_has_it(store, get, digest, request):
    server = request.getfixturevalue(store)
    assert artifact_sha256(get(f"{store}://bucket/model")) == digest
    assert server.asked


@pytest.mark.parametrize("store", ["s3", "gs", "az"])
def test_a_store_has_it_not(store, get, request):
    request.getfixturevalue(store)
    with pytest.raises(
        CannotFetch, match=r"manifest\.json cannot be read: it is not there"
    ) as told:
        get(f"{store}://bucket/nowhere")
    assert "zq-" not in str(told.value)
