"""URIs that nothing is fetched from."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from service.fetch.addresses import check_address
from service.fetch.refused import CannotFetch
from service.fetch.uri import parse

METADATA = [
    "169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25eth0]",
    "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]", "metadata.google.internal", "METADATA.google.internal.",
    "100.100.100.200", "168.63.129.16", "[fd20:ce::254]", "instance-data", "0.0.0.0",  # noqa: S104 nobody listens there
    "224.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", METADATA)
def test_metadata_and_link_local_hosts(host):
    with pytest.raises(CannotFetch, match="metadata"):
        parse(f"http://{host}:80/latest/")


@pytest.mark.parametrize(
    "uri",
    [
        "zip::http://example.org/a.zip",
        "simplecache::s3://bucket/model",
        "s3://bucket/a.zip::file:///x",
        "http://[fd00::1]/zip::file",
        "::",
    ],
)
def test_chained(uri):
    with pytest.raises(CannotFetch, match="chained"):
        parse(uri)


@pytest.mark.parametrize(
    ("uri", "rule"),
    [
        ("ftp://example.org/model", "must start with"),
        ("memory://model", "must start with"),
        ("/model", "must start with"),
        ("github://a:b@c/model", "must start with"),
        ("http://name:zq-secret@example.org/model", "credentials"),
        ("az://container@account/model", "credentials"),
        ("http:///model", "host"),
        ("http://[a/model", "well formed"),
        ("http://example.org:99999/model", "well formed"),
        ("http://example.org/mo del", "spaces"),
        ("http://example.org\\@169.254.169.254/", "backslashes"),
        ("http://example.org/\nmodel", "spaces"),
        ("http://example.org/model#part", "nothing but"),
        ("s3://bucket/model?versionId=1", "nothing but"),
        ("s3://bucket:80/model", "nothing but"),
        ("s3:///model", "s3://BUCKET/PATH"),
        ("gs://..%2f/model", "gs://BUCKET/PATH"),
        ("file://host/model", "file:///PATH"),
    ],
)
def test_what_is_no_place(uri, rule):
    with pytest.raises(CannotFetch, match=rule) as caught:
        parse(uri)
    assert "zq-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "address", "archive"),
    [
        ("file:///a/b%20c", "/a/b c", None),
        ("s3://bucket/model", "bucket/model", None),
        ("gs://bucket/model.tar.gz", "bucket/model.tar.gz", ".tar.gz"),
        ("az://container/model.ZIP", "container/model.ZIP", ".zip"),
        ("http://10.0.0.7:9000/a", "http://10.0.0.7:9000/a", None),
        ("https://[2001:db8::1]/a.tar?sig=x", "https://[2001:db8::1]/a.tar?sig=x", ".tar"),
    ],
)
def test_what_is_one(uri, address, archive):
    parsed = parse(uri)
    assert (parsed.address, parsed.archive) == (address, archive)


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "192.168.1.1", "fd00::1", "::1"])
def test_private_networks_may_have_stores(address):
    check_address(ip_address(address))


@pytest.mark.parametrize("found", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"])
def test_a_name_that_stands_for_a_metadata_address(get, monkeypatch, found):
    """Also when it stood for another one a moment ago: what is looked up is what is used."""
    family = socket.AF_INET6 if ":" in found else socket.AF_INET
    place = (found, 80, 0, 0) if ":" in found else (found, 80)
    answer = [(family, socket.SOCK_STREAM, 6, "", place)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(CannotFetch, match="metadata address"):
        get("http://models.example.org/model")


@pytest.mark.parametrize("host", ["2852039166", "0xa9.0xfe.0xa9.0xfe", "169.16689662"])
def test_an_address_in_disguise(get, host):
    with pytest.raises(CannotFetch, match=r"metadata address|InvalidUrl"):
        get(f"http://{host}/model")
