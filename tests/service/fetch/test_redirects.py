"""Where the web may send on to."""

from __future__ import annotations

import pytest
from yarl import URL

from scoring import artifact_sha256
from service.fetch.refused import CannotFetch
from service.fetch.web import _is_same_place
from tests.service.fetch.web import served


def test_on_the_same_host(get, web, digest):
    for name in list(web.content):
        web.content[name.replace("/model", "/old", 1)] = name
    assert artifact_sha256(get(f"{web.url}/old")) == digest


@pytest.mark.parametrize(
    "to",
    [
        *("http://169.254.169.254/", "http://localhost:{port}/model/x", "//example.org/"),
        *("http://127.0.0.1:1/", "file:///etc/passwd"),
    ],
)
def test_elsewhere(get, web, to):
    web.content["/model/manifest.json"] = to.format(port=web.server_port)
    with pytest.raises(CannotFetch, match="sends on to another host"):
        get(f"{web.url}/model")
    assert web.asked == ["/model/manifest.json"]


def test_to_another_server_that_has_it(get, web):
    with served() as other:
        web.content = {name: f"{other.url}{name}" for name in web.content}
        with pytest.raises(CannotFetch, match="sends on"):
            get(f"{web.url}/model")
        assert other.asked == []


def test_without_end(get, web):
    web.content["/model/manifest.json"] = "/model/manifest.json"
    with pytest.raises(CannotFetch, match="cannot be read"):
        get(f"{web.url}/model")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://a/x", "https://a/y", True),
        ("https://a/x", "http://a/y", False),
        ("http://a:80/x", "http://a/y", True),
        ("http://a:81/x", "https://a/y", False),
        ("http://a/x", "http://b.a/y", False),
    ],
)
def test_what_the_same_place_is(one, other, same):
    assert _is_same_place(URL(one), URL(other)) is same
