"""What browsers are told, what can be switched off, and HTTPS."""

import base64
import hashlib
import re
import shutil
import ssl
import subprocess

import click
import httpx
import pytest
from pydantic import ValidationError

from service.cli.options import read_settings
from service.settings import Settings
from tests.service.commands import command, refused
from tests.service.fakes import ROWS
from tests.service.serving import SENTINEL, is_error

ORIGIN = "https://app.example:8443"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/score"),
        ("GET", "/score"),
        ("GET", "/nowhere"),
        ("GET", "/metrics"),
        ("GET", "/health/live"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
    ],
)
def test_every_answer_protects_itself(client, method, path):
    headers = client.request(method, path, json=ROWS if method == "POST" else None).headers
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("cache-control") == ["no-store"]
    [policy] = headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "server" not in headers or headers["server"] == "uvicorn"  # which `serve` leaves out


def test_the_docs_may_load_what_they_need_and_no_more(client):
    answer = client.get("/docs")
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    [script] = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = policy["script-src"].split()
    assert f"'sha256-{digest}'" in allowed
    assert "'unsafe-inline'" not in allowed
    for kind, tag in (("script-src", "script src"), ("style-src", "link .*?href")):
        for place in re.findall(rf"""<{tag}=["'](https://[^/]+)/\S+?\.(?:js|css)""", answer.text):
            assert place in policy[kind].split()
    assert policy["connect-src"] == "'self'"
    assert "url: 'openapi.json'" in answer.text


def test_the_docs_can_be_left_out(serve):
    client = serve(Settings(no_docs=True))
    for path in ("/docs", "/openapi.json", "/redoc"):
        is_error(client.get(path), 404, "not_found")
    assert client.post("/score", json=ROWS).status_code == 200


PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,x-api-key",
}


def test_other_origins_are_told_nothing_by_default(client):
    answer = client.post("/score", json=ROWS, headers={"origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    answer = client.options("/score", headers=PREFLIGHT)
    assert (answer.status_code, answer.headers["allow"]) == (204, "OPTIONS, POST")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_origins_that_are_named_may_ask_and_others_may_not(serve):
    lines = ("a:score:" + "0" * 64,)
    client = serve(Settings(cors_origin=("https://other.example", ORIGIN), api_keys=lines))
    answer = client.options("/score", headers=PREFLIGHT)
    assert answer.status_code == 200, "it has no key to bring"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers
    refusal = client.post("/score", json=ROWS, headers={"origin": ORIGIN})
    is_error(refusal, 401, "unauthorized")
    assert refusal.headers["access-control-allow-origin"] == ORIGIN, "so that the page can read it"
    for origin in ("https://evil.example", "https://app.example", f"{ORIGIN}.evil.example", "null"):
        answer = client.options("/score", headers=PREFLIGHT | {"origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        plain = client.get("/health/live", headers={"origin": origin})
        assert "access-control-allow-origin" not in plain.headers


@pytest.mark.parametrize(
    "origin", ["app.example", "https://app.example/", "https://a b", "ftp://a"]
)
def test_origins_that_are_none(origin):
    with pytest.raises(ValidationError, match="scheme://host"):
        Settings(cors_origin=(origin,))


def test_flags_and_numbers_come_from_the_command_line_and_the_environment(monkeypatch):
    assert read_settings(Settings, {"no_docs": True}).no_docs
    assert not read_settings(Settings, {"no_docs": None}).no_docs
    monkeypatch.setenv("SHAPSERVE_NO_DOCS", "true")
    monkeypatch.setenv("SHAPSERVE_LOG_REQUESTS", "0.25")
    monkeypatch.setenv("SHAPSERVE_CORS_ORIGIN", f"{ORIGIN} https://b.example")
    settings = read_settings(Settings, {"no_docs": None})
    assert settings.no_docs
    assert settings.log_requests == 0.25
    assert settings.cors_origin == (ORIGIN, "https://b.example")
    with pytest.raises(click.ClickException, match="together"):
        read_settings(Settings, {"tls_cert": "a"})
    with pytest.raises(click.ClickException, match="--log-requests"):
        read_settings(Settings, {"log_requests": "2"})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for this machine, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate, and is not installed here")
    directory = tmp_path_factory.mktemp("tls")
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return cert, key


@pytest.mark.slow
def test_https(numeric, certificate):
    cert, key = certificate
    process = command(
        *("serve", "--port", "0", "--artifact", numeric, "--tls-cert", cert, "--tls-key", key)
    )
    assert process.stderr is not None
    try:
        told = process.stderr.readline()
        url = re.search(r"ready on (https://\S+)", told)
        assert url, told
        trusted = ssl.create_default_context(cafile=cert)
        with httpx.Client(base_url=url[1], verify=trusted, trust_env=False) as client:
            assert client.get("/health/ready").status_code == 200
            # The whole body is sent although it is refused at once; nothing resets the connection.
            is_error(client.post("/score", content=b" " * 50_000_000), 413, "body_too_large")
            assert client.get("/health/ready").status_code == 200
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_certificate_that_cannot_be_used(numeric, certificate, tmp_path):
    cert, key = certificate
    broken = tmp_path / "broken.pem"
    broken.write_text(SENTINEL)
    for pair in ((broken, key), (cert, broken), (cert, tmp_path / "nowhere"), (key, cert)):
        arguments = ("--tls-cert", pair[0], "--tls-key", pair[1])
        told = refused("serve", "--artifact", numeric, *arguments)
        assert "--tls-cert and --tls-key" in told
        assert SENTINEL not in told
