"""A guarded server as operators run it: keys made, exchanged and used; the log as it comes out."""

import json
import signal
import time

import pytest

from tests.service.commands import command, refused, serving

pytestmark = pytest.mark.slow


def made(*arguments):
    """A key and its line, as the command prints them."""
    with command("key", *arguments) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    key, line, *_ = out.split()
    return key, line


def test_keys_from_the_command_are_exchanged_without_a_restart(numeric, tmp_path):
    (old, old_line), (new, new_line) = made("--name", "bank"), made("--name", "bank")
    admin, admin_line = made("--name", "operator", "--role", "admin")
    file = tmp_path / "keys"
    file.write_text(f"{old_line}\n{admin_line}\n")
    arguments = ("--artifact", numeric, "--api-keys-file", file)
    with serving(*arguments, SHAPSERVE_LOG_REQUESTS="1") as (client, process):

        def status(key):
            return client.get("/schema", headers={"x-api-key": key}).status_code

        assert (status(old), status(new)) == (200, 401)
        file.write_text(f"{new_line}\n{admin_line}\n")
        ends = time.monotonic() + 30
        while status(new) != 200:
            assert time.monotonic() < ends
            time.sleep(0.1)
        assert status(old) == 401
        headers = {"authorization": f"Bearer {admin}", "x-request-id": "reload-1"}
        answer = client.post("/admin/models/iris/reload", headers=headers)
        assert answer.status_code == 200, answer.text
        assert "server" not in answer.headers
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    told = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    readable = [line for line in err.splitlines() if not line.startswith("{")]
    assert [t["status"] for t in told[:2]] == [200, 401]
    assert {t["caller"] for t in told if t["status"] == 200} == {"bank", "operator"}
    assert [t["route"] for t in told if t["request_id"] == "reload-1"] == [
        "/admin/models/{name}/reload"
    ]
    assert any("API keys were read again" in line for line in readable)
    assert any("model iris was loaded again" in line for line in readable)
    for key in (old, new, admin):
        assert key not in err


def test_a_file_of_keys_that_cannot_be_used_ends_the_start(numeric, tmp_path):
    file = tmp_path / "keys"
    for content, word in (("", "there is no key"), ("zq-secret", "line 1 must be")):
        file.write_text(content)
        told = refused("serve", "--artifact", numeric, "--api-keys-file", file)
        assert word in told
        assert "zq" not in told
    told = refused("serve", "--artifact", numeric, SHAPSERVE_API_KEYS="zq:zq")
    assert told.startswith("shapserve: SHAPSERVE_API_KEYS: line 1 must be")
    assert "zq" not in told
