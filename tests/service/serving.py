"""The application under uvicorn in a thread, on a free loopback port."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import httpx
import uvicorn

from service.app import create_app
from service.connection import punctual
from service.lingering import Lingering
from service.scorer import Scorer
from service.settings import Settings

DEFAULT = Lingering()
JSON = {"content-type": "application/json"}
SENTINEL = "zq-secret-7731"
"""Whatever a client sends that is refused holds this; no answer may."""


@contextmanager
def served(
    scorers: Mapping[str, Scorer],
    settings: Settings | None = None,
    lingering: Lingering = DEFAULT,
) -> Iterator[httpx.Client]:
    """Serve until the block ends, and give a client."""
    settings = settings or Settings()
    config = uvicorn.Config(
        create_app(settings, scorers),
        http=punctual(settings.body_seconds, lingering),
        port=0,
        log_config=None,
        access_log=False,
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False
        ) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def post(
    client: httpx.Client, body: Any, headers: Mapping[str, str] = MappingProxyType(JSON)
) -> httpx.Response:
    """Send a body to `/score`; what is not yet text is written as JSON."""
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return client.post("/score", content=content, headers=headers)


def metric(client: httpx.Client, name: str) -> float:
    """Read one sample of /metrics, summed over its labels."""
    text = client.get("/metrics").text
    found = re.findall(rf"^{re.escape(name)}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    assert found or "_total" in name, f"{name} is not among the metrics"
    return sum(map(float, found))


def unexpected(client: httpx.Client) -> float:
    """How often the server met an exception that nobody foresaw."""
    return metric(client, "shapserve_unexpected_exceptions_total")


def is_error(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert the one shape of a refusal; return its error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]
    error: dict[str, Any] = body["error"]
    assert set(error) == {"code", "message", "violations", "total_violations"}
    assert error["code"] == code
    assert all(set(v) == {"row", "column", "rule"} for v in error["violations"])
    assert len(error["violations"]) == min(100, error["total_violations"])
    return error
