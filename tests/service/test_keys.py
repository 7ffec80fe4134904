"""API keys: what opens what, over real HTTP, and how they are exchanged while it runs."""

import hashlib
import hmac
import io
import json
import logging
import os
import time

import pytest
from pydantic import ValidationError

from service import keys
from service.cli import run
from service.keys import KeyRing, KeysError, new_key, parse_keys, read_keys
from service.settings import Settings
from tests.service.fakes import ROWS, fake_scorer
from tests.service.logged import logging_to
from tests.service.serving import is_error, served

KEYS = {role: new_key(f"the-{role}", role) for role in keys.ROLES}
LINES = tuple(line for _, line in KEYS.values())
RELOAD = "/admin/models/houses/reload"


def bearer(role):
    return {"authorization": f"Bearer {KEYS[role][0]}"}


@pytest.fixture(scope="module")
def guarded():
    with served({"houses": fake_scorer()}, Settings(api_keys=LINES)) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("POST", "/score", "score"),
        ("POST", "/models/houses/score", "score"),
        ("POST", "/models/nothing/score", "score"),
        ("GET", "/schema", "score"),
        ("GET", "/models", "score"),
        ("GET", "/openapi.json", "score"),
        ("GET", "/docs", "score"),
        ("GET", "/nowhere", "score"),
        ("GET", "/metrics", "metrics"),
        ("GET", "/metrics/", "score"),
        ("POST", RELOAD, "admin"),
        ("POST", "/admin/nothing", "admin"),
    ],
)
def test_a_path_is_opened_by_one_role(guarded, method, path, role):
    body = json.dumps(ROWS).encode() if method == "POST" else None
    for each in keys.ROLES:
        headers = {"content-type": "application/json"} | bearer(each)
        answer = guarded.request(method, path, content=body, headers=headers)
        if each == role:
            assert answer.status_code not in {401, 403}, path
        else:
            is_error(answer, 403, "wrong_role")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_probes_need_no_key(guarded, path):
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": KEYS["score"][0]},
        {"authorization": f"Basic {KEYS['score'][0]}"},
        {"x-api-key": ""},
        {"x-api-key": KEYS["score"][0][:-1]},
        {"x-api-key": LINES[0]},
        {"x-api-key": LINES[0].rpartition(":")[2]},
        {"x-api-key": "\xe9" * 9},
    ],
)
@pytest.mark.parametrize("path", ["/score", "/metrics", RELOAD, "/nowhere"])
def test_no_key_or_a_wrong_one(guarded, path, headers):
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = guarded.post(path, content=b"{}", headers=raw)
    is_error(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for value in headers.values():
        assert len(value) < 9 or value not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        bearer("score"),
        {"authorization": f"bearer   {KEYS['score'][0]}"},
        {"x-api-key": KEYS["score"][0]},
        {"authorization": "Basic cHJveHk6cHJveHk=", "x-api-key": KEYS["score"][0]},
    ],
)
def test_either_header_will_do(guarded, headers):
    assert guarded.get("/schema", headers=headers).status_code == 200


def test_the_body_of_somebody_without_a_key_is_not_read(guarded):
    answer = guarded.post("/score", content=b"{" * 1000)
    is_error(answer, 401, "unauthorized")


def test_without_keys_the_service_is_open_and_administration_is_off(client):
    assert client.get("/metrics").status_code == 200
    assert client.get("/schema").status_code == 200
    is_error(client.post(RELOAD), 403, "admin_off")
    is_error(client.post("/admin/nothing"), 403, "admin_off")


def test_every_digest_is_compared_in_constant_time(monkeypatch):
    compared, really_compare = [], hmac.compare_digest

    def spy(a, b):
        compared.append(a)
        return really_compare(a, b)

    monkeypatch.setattr("service.keys.hmac.compare_digest", spy)
    ring = KeyRing(LINES)
    found = ring.find(KEYS["score"][0].encode())
    assert found is not None
    assert found.name == "the-score"
    assert ring.find(b"wrong") is None
    assert len(compared) == 2 * len(LINES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n# nothing\n",
        "a:score",
        "a:score:" + "0" * 63,
        "a:owner:" + "0" * 64,
        "a b:score:" + "0" * 64,
        ":score:" + "0" * 64,
        f"{LINES[0]}\n{LINES[0]}",
        f"{LINES[0]} {LINES[1]}",
    ],
)
def test_lines_that_are_none_are_refused_without_being_repeated(text):
    with pytest.raises(KeysError) as caught:
        parse_keys(text.split("\n"))
    assert LINES[0].rpartition(":")[2] not in str(caught.value)
    assert "0" * 60 not in str(caught.value)


def test_what_a_file_may_hold(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# of the bank\r\n\r\n  {LINES[0]}\r\n{LINES[1].upper()}", "utf-8")
    with pytest.raises(KeysError, match="line 4"):
        read_keys(file)  # a role in capitals
    file.write_text(f"# of the bank\r\n\r\n  {LINES[0]}\r\n{LINES[1]}", "utf-8")
    assert [key.name for key in read_keys(file)] == ["the-score", "the-metrics"]
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(KeysError, match="UTF-8"):
        read_keys(file)
    with pytest.raises(KeysError, match="cannot be read"):
        read_keys(tmp_path / "nowhere")


def test_settings_refuse_what_cannot_be_used(tmp_path):
    for wrong in ({"api_keys": ("a:b",)}, {"api_keys_file": tmp_path / "nowhere"}):
        with pytest.raises(ValidationError):
            Settings(**wrong)


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(keys, "_SECONDS_BETWEEN_LOOKS", 0.0)


def test_keys_are_exchanged_while_it_runs(tmp_path, no_pause, caplog):
    file = tmp_path / "keys"
    (old, old_line), (new, new_line) = new_key("bank", "score"), new_key("bank", "score")
    file.write_text(old_line)
    ring = KeyRing(file=file)

    def known(key):
        return ring.find(key.encode()) is not None

    assert (known(old), known(new)) == (True, False)
    file.write_text(f"{old_line}\n{new_line}\n")
    assert (known(old), known(new)) == (True, True)
    exchanged = tmp_path / "next"
    exchanged.write_text(new_line)
    exchanged.replace(file)
    assert (known(old), known(new)) == (False, True)
    with caplog.at_level(logging.WARNING, logger="shapserve"):
        for broken in ("", "nonsense", "nonsense"):
            file.write_text(broken)
            assert (known(old), known(new)) == (False, True)
        file.unlink()
        assert (known(old), known(new)) == (False, True)
    assert len(caplog.records) == 3, "each problem is told once"
    assert "stay as they are" in caplog.text
    file.write_text(old_line)
    assert (known(old), known(new)) == (True, False)


def test_a_secret_behind_links_is_exchanged_as_kubernetes_does_it(tmp_path, no_pause):
    (old, old_line), (new, new_line) = new_key("bank", "score"), new_key("bank", "score")
    for name, line in (("1", old_line), ("2", new_line)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys").write_text(line)
    (tmp_path / "data").symlink_to("1")
    (tmp_path / "keys").symlink_to("data/keys")
    ring = KeyRing(file=tmp_path / "keys")
    assert ring.find(old.encode())
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").replace(tmp_path / "data")
    assert ring.find(new.encode())
    assert not ring.find(old.encode())


def test_the_file_is_looked_at_once_a_second_at_most(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(LINES[0])
    ring = KeyRing(file=file)
    looks: list[object] = []
    monkeypatch.setattr(keys, "_stamp", looks.append)
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        ring.find(b"wrong")
    assert len(looks) <= 1


def test_keys_of_the_file_and_of_the_environment_are_both_valid(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(LINES[0])
    monkeypatch.setitem(os.environ, "SHAPSERVE_API_KEYS", f"{LINES[1]}, {LINES[2]}")
    settings = Settings(api_keys_file=file)
    ring = KeyRing(settings.api_keys, settings.api_keys_file)
    assert all(ring.find(key.encode()) for key, _ in KEYS.values())


def test_a_new_key_and_its_line(capsys):
    made = set()
    for _ in range(2):
        assert run(["key", "--name", "bank", "--role", "metrics"]) == 0
        key, line = capsys.readouterr().out.split()
        assert line == f"bank:metrics:{hashlib.sha256(key.encode()).hexdigest()}"
        assert len(key) >= 43
        made.add(key)
    assert len(made) == 2
    assert run(["key", "--name", "two words"]) != 0
    assert run(["key", "--name", "bank", "--role", "owner"]) != 0


def test_no_key_gets_into_the_log_or_the_metrics():
    stream = io.StringIO()
    with logging_to(stream, Settings(api_keys=LINES, log_level="debug")) as client:
        for role in keys.ROLES:
            client.post("/score", json=ROWS, headers=bearer(role))
        client.post("/score", json=ROWS, headers={"x-api-key": "zq-wrong"})
        text = client.get("/metrics", headers=bearer("metrics")).text
    told = stream.getvalue() + text
    assert '"caller":"the-score"' in told
    assert 'shapserve_refusals_total{code="wrong_role"} 2.0' in told
    assert 'shapserve_refusals_total{code="unauthorized"} 1.0' in told
    for key, line in KEYS.values():
        assert key not in told
        assert line.rpartition(":")[2] not in told
    assert "zq-wrong" not in told
