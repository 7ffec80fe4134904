"""Traces: a span of each request with its stages, under the client's own, without values."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from service import app as app_module
from service.tracing import Tracing, tracing_of
from tests.service.fakes import RAISE, ROWS, fake_scorer
from tests.service.serving import SENTINEL, served

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def traced(monkeypatch):
    """A client of a server that keeps its spans, and the spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(app_module, "tracing_of", lambda: Tracing(provider))
    with served({"houses": fake_scorer()}) as client:
        yield client, exporter


def families(exporter, n=1):
    """Spans of `n` requests, each with its stages by name; made once the answer is out."""
    ends, spans = time.monotonic() + 30, exporter.get_finished_spans()
    while len(roots := [span for span in spans if span.kind is SpanKind.SERVER]) < n:
        assert time.monotonic() < ends
        time.sleep(0.001)
        spans = exporter.get_finished_spans()
    assert len(roots) == n
    return [
        (
            root,
            {
                span.name: span
                for span in spans
                if span.parent and span.parent.span_id == root.context.span_id
            },
        )
        for root in roots
    ]


def test_a_request_is_a_span_with_its_stages(traced):
    client, exporter = traced
    headers = {"x-request-id": "job-1"}
    assert client.post("/score", json=ROWS, headers=headers).status_code == 200
    [(root, stages)] = families(exporter)
    assert root.name == "POST /score"
    assert root.parent is None
    assert {"parse", "explain", "encode"} <= set(stages)
    for span in stages.values():
        assert span.context.trace_id == root.context.trace_id
        assert root.start_time <= span.start_time <= span.end_time <= root.end_time
    assert stages["parse"].end_time <= stages["explain"].start_time
    told = dict(root.attributes)
    assert told.pop("http.request.body.size") > 100
    assert told.pop("http.response.body.size") > 500
    assert told == {
        "http.request.method": "POST",
        "http.route": "/score",
        "http.response.status_code": 200,
        "shapserve.request_id": "job-1",
        "shapserve.model": "houses",
        "shapserve.rows": 3,
    }


def test_it_hangs_under_the_clients_own_span(traced):
    client, exporter = traced
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
    client.post("/score", json=ROWS, headers=headers)
    [(root, stages)] = families(exporter)
    assert format(root.context.trace_id, "032x") == TRACE
    assert root.parent is not None
    assert format(root.parent.span_id, "016x") == PARENT
    assert root.context.trace_state["vendor"] == "1"
    assert stages


def test_a_client_that_wants_no_trace_gets_none(traced):
    client, exporter = traced
    client.post("/score", json=ROWS, headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    client.get("/health/live")
    [(root, _)] = families(exporter)
    assert root.name == "GET /health/live"


@pytest.mark.parametrize("broken", ["", "zz", f"00-{'0' * 32}-{PARENT}-01", "\xe9", "0" * 9000])
def test_a_broken_context_is_passed_over(traced, broken):
    client, exporter = traced
    headers = {"traceparent": broken.encode("latin-1"), "tracestate": b"\xff,,==" * 50}
    assert client.post("/score", json=ROWS, headers=headers).status_code == 200
    [(root, _)] = families(exporter)
    assert root.parent is None


def test_no_value_gets_into_a_span(traced):
    client, exporter = traced
    client.post(f"/score?{SENTINEL}=1", json=ROWS)
    client.post(f"/models/{SENTINEL}/score", json=ROWS, headers={"user-agent": SENTINEL})
    client.post("/score", json=[ROWS[0] | {"city": SENTINEL}])
    client.post("/score", json=[ROWS[0] | {"age": RAISE}])
    statuses = [(r.attributes["http.response.status_code"], r) for r, _ in families(exporter, 4)]
    text = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert SENTINEL not in text
    assert str(abs(RAISE)) not in text
    assert [status for status, _ in statuses] == [422, 404, 200, 500]
    assert [r.status.status_code is StatusCode.ERROR for _, r in statuses] == [False] * 3 + [True]
    assert statuses[0][1].attributes["error.type"] == "invalid_option"


ASK = """
import sys
from starlette.testclient import TestClient
from service.app import create_app
from service.settings import Settings
from tests.service.fakes import ROWS, fake_scorer

with TestClient(create_app(Settings(), {"houses": fake_scorer()})) as client:
    assert client.post("/score", json=ROWS).status_code == 200
print(*sys.modules)
"""


def asked(monkeypatch, **environment):
    """Answer one request in a process of its own."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=True, timeout=120
    )


@pytest.mark.slow
def test_without_an_endpoint_nothing_is_imported(monkeypatch):
    loaded = asked(monkeypatch).stdout.split()
    assert "service.tracing" in loaded
    assert not [m for m in loaded if m.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]


@pytest.mark.slow
def test_spans_reach_a_collector(monkeypatch):
    got = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{server.server_port}"
            told = asked(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, NO_PROXY="127.0.0.1")
        finally:
            server.shutdown()
            thread.join(30)
    assert "Traceback" not in told.stderr
    paths = {path for path, _ in got}
    assert paths == {"/v1/traces"}, "neither FastAPI's metrics nor its logs are sent"
    sent = b"".join(body for _, body in got)
    for text in (b"POST /score", b"explain", b"shapserve"):
        assert text in sent


def test_the_extra_that_is_missing_is_told_and_nothing_else_happens(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert tracing_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) is None
    assert "shapserve[otel]" in caplog.text
    assert tracing_of({}) is None
    switched_off = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}
    assert tracing_of(switched_off) is None


def test_the_log_names_the_trace(traced, monkeypatch):
    client, exporter = traced
    lines = []
    monkeypatch.setattr("service.logs.requests.handle", lambda line: lines.append(line.fields))
    monkeypatch.setattr("service.logs.requests.isEnabledFor", lambda level: True)
    client.post("/score", json=ROWS, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    families(exporter)
    client.get("/health/live")
    assert lines[0]["trace_id"] == TRACE
    assert json.dumps(lines[0])
