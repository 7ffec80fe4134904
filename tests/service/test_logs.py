"""The log: one line of JSON about each request, which no client can break or put values into."""

import io
import json
import subprocess
import sys
from datetime import datetime

import pytest

from service.settings import Settings
from tests.service.fakes import RAISE, ROWS
from tests.service.logged import logging_to
from tests.service.serving import JSON, SENTINEL

ALWAYS = {
    "time",
    "level",
    "message",
    "request_id",
    "method",
    "route",
    "status",
    "ms",
    "stages_ms",
    "bytes_in",
    "bytes_out",
}


def lines_of(calls, **settings):
    """The lines that requests leave in the log."""
    stream = io.StringIO()
    with logging_to(stream, Settings(**settings)) as client:
        for method, path, kwargs in calls:
            client.request(method, path, **kwargs)
    return stream.getvalue().splitlines()


def about_requests(lines):
    return [told for line in lines if "route" in (told := json.loads(line))]


def test_a_request_is_one_line_with_what_happened():
    body = json.dumps(ROWS).encode()
    headers = JSON | {"x-request-id": "job-1"}
    [line] = lines_of([("POST", "/score", {"content": body, "headers": headers})])
    told = json.loads(line)
    assert set(told) == ALWAYS | {"model", "rows"}
    assert datetime.fromisoformat(told["time"]).tzinfo is not None
    expected = {
        "level": "info",
        "message": "request",
        "request_id": "job-1",
        "method": "POST",
        "route": "/score",
        "status": 200,
        "bytes_in": len(body),
        "model": "houses",
        "rows": 3,
    }
    assert {name: told[name] for name in expected} == expected
    assert told["bytes_out"] > 500
    assert {"parse", "explain", "encode"} <= set(told["stages_ms"])
    assert 0 < sum(told["stages_ms"].values()) <= told["ms"]


def test_bytes_are_those_of_the_answer():
    stream = io.StringIO()
    with logging_to(stream, Settings()) as client:
        size = len(client.post("/score", json=ROWS).content)
    assert json.loads(stream.getvalue())["bytes_out"] == size


def test_a_refusal_tells_its_code_and_its_model():
    calls = [
        ("POST", "/score", {"content": b"{", "headers": JSON}),
        ("POST", "/score", {"json": []}),
        ("POST", "/models/nothing/score", {"json": ROWS}),
        ("GET", "/nowhere", {}),
        ("GET", "/score", {}),
    ]
    told = about_requests(lines_of(calls))
    assert [(t["code"], t["status"], t.get("model")) for t in told] == [
        ("broken_json", 400, "houses"),
        ("schema_violations", 422, "houses"),
        ("unknown_model", 404, None),
        ("not_found", 404, None),
        ("method_not_allowed", 405, None),
    ]


EVIL = f'{SENTINEL}\n{{"status":200}}\r\u2028'
ESCAPED = f"{SENTINEL}%0A%22%7D%0D%E2%80%A8"


@pytest.mark.parametrize("form", ["json", "text"])
def test_nothing_of_a_client_gets_into_a_line(form):
    calls = [
        ("GET", f"/{ESCAPED}", {}),
        ("GET", f"/models/{ESCAPED}/schema", {}),
        ("POST", f"/models/{ESCAPED}/score?{SENTINEL}={ESCAPED}", {"json": ROWS}),
        ("POST", f"/score?{SENTINEL}={ESCAPED}", {"json": ROWS}),
        ("PROPFIND", "/score", {}),
        ("POST", "/score", {"json": [ROWS[0] | {"city": EVIL, EVIL: 1}]}),
        ("POST", "/score", {"json": [ROWS[0] | {"age": RAISE, "city": EVIL}]}),
        ("POST", "/score", {"content": SENTINEL, "headers": {"content-type": SENTINEL}}),
        ("GET", "/schema", {"headers": {"x-request-id": f"a {SENTINEL}"}}),
        ("GET", "/schema", {"headers": {"user-agent": SENTINEL, "traceparent": SENTINEL}}),
    ]
    # What has no method that HTTP knows is no request, and leaves no line.
    lines = lines_of([(f"X{SENTINEL}", "/score", {}), *calls], log_format=form)
    assert SENTINEL not in "".join(lines)
    assert str(abs(RAISE)) not in "".join(lines)
    if form == "json":
        told = about_requests(lines)
        assert len(told) == len(calls)
        assert len(lines) == len(calls) + 1, "the bug has a line of its own"
        assert all(t["route"] in {"other", "/score", "/schema"} | TEMPLATES for t in told)
        assert {t["method"] for t in told} <= {"GET", "POST", "other"}
        optional = {"model", "rows", "code"}
        assert all(set(t) - optional == ALWAYS for t in told)


TEMPLATES = {"/models/{name}/schema", "/models/{name}/score"}


def test_a_bug_is_one_line_of_json_with_its_traceback():
    lines = lines_of([("POST", "/score", {"json": [ROWS[0] | {"age": RAISE}]})])
    bug, request = map(json.loads, lines)
    assert bug["level"] == "error"
    assert bug["request_id"] == request["request_id"]
    assert "fakes.py" in bug["message"]
    assert (request["level"], request["status"]) == ("warning", 500)
    assert request["code"] == "internal_error"


def test_text_is_a_line_as_well():
    [line] = lines_of([("POST", "/score", {"json": ROWS})], log_format="text")
    assert "INFO shapserve.requests: request request_id=" in line
    assert " method=POST route=/score status=200 " in line


def test_some_requests_only():
    calls: list[tuple[str, str, dict]] = [("GET", "/health/live", {})] * 40
    bug = [("POST", "/score", {"json": [ROWS[0] | {"age": RAISE}]})]
    assert about_requests(lines_of(calls + bug, log_requests=0)) == []
    told = about_requests(lines_of(calls + bug, log_requests=0.5))
    assert 5 < sum(t["status"] == 200 for t in told) < 35  # 10 standard deviations wide
    assert [t["status"] for t in told][-1] == 500
    assert about_requests(lines_of(calls, log_level="warning")) == []


def test_what_the_server_says_of_itself_is_readable(capsys):
    code = (
        "import logging; from service import logs; from service.settings import Settings\n"
        "logs.configure(Settings())\n"
        "logging.getLogger('shapserve').info('ready on %s', 'http://x')"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert told.stdout == ""
    assert told.stderr.endswith("INFO shapserve: ready on http://x\n")
    assert len(told.stderr.splitlines()) == 1
