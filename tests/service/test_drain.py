"""SIGTERM to a real process with real connections."""

import http.client
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.service.fakes import ROWS
from tests.service.serving import JSON, is_error, post
from tests.service.slow_server import slow_serving

pytestmark = pytest.mark.slow

SECONDS = 60


def drain(seconds, grace="10"):
    return {"SHAPSERVE_DRAIN_SECONDS": seconds, "SHAPSERVE_GRACE_SECONDS": grace}


def connection(client):
    """One connection of one's own, kept alive."""
    own = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=SECONDS)
    own.connect()
    return own


def ask(own, path="/score"):
    body = json.dumps(ROWS) if path == "/score" else None
    own.request("POST" if body else "GET", path, body, JSON)
    answer = own.getresponse()
    answer.read()
    return answer.status, answer.getheader("connection")


def until_not_ready(client):
    ends = time.monotonic() + SECONDS
    while client.get("/health/ready").status_code == 200:
        assert time.monotonic() < ends


def test_it_goes_on_answering_while_readiness_fails():
    with slow_serving(0.0, drain("6")) as (
        client,
        server,
    ):
        kept, idle = connection(client), connection(client)
        assert ask(kept) == (200, None)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        until_not_ready(client)
        answer = client.get("/health/ready")
        is_error(answer, 503, "shutting_down")
        assert "retry-after" in answer.headers
        assert client.get("/health/live").status_code == 200
        assert ask(kept) == (200, "close")  # the connection from before, and its last answer
        assert ask(idle) == (200, "close")  # one that had carried nothing yet
        assert ask(connection(client)) == (200, "close")  # a new one
        assert time.monotonic() - began < 6
        assert server.wait(SECONDS) == 0
        assert 5.9 < time.monotonic() - began < 30
        with pytest.raises(httpx.ConnectError):
            client.get("/health/live")


def test_what_is_accepted_is_finished_and_what_comes_later_is_refused():
    with (
        slow_serving(3.0, drain("0.5", "20")) as (
            client,
            server,
        ),
        ThreadPoolExecutor(1) as pool,
    ):
        late = [connection(client) for _ in range(2)]
        running = pool.submit(post, client, ROWS)
        time.sleep(0.5)
        server.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        assert ask(late[0]) == (503, "close")
        assert ask(late[1], "/health/live")[0] == 200
        assert not running.done()
        assert running.result(SECONDS).status_code == 200
        assert server.wait(SECONDS) == 0


def test_it_ends_within_its_grace_whatever_is_under_way():
    with (
        slow_serving(60.0, drain("0", "6")) as (
            client,
            server,
        ),
        ThreadPoolExecutor(1) as pool,
    ):
        running = pool.submit(post, client, ROWS)
        time.sleep(0.5)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(SECONDS) is not None
        assert 6 < time.monotonic() - began < 11  # and not twice that
        assert isinstance(running.exception(SECONDS), httpx.HTTPError) or (
            running.result().status_code >= 500
        )


def test_a_second_signal_does_not_wait():
    with slow_serving(0.0, drain("100")) as (client, server):
        server.send_signal(signal.SIGTERM)
        until_not_ready(client)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        server.wait(SECONDS)
        assert time.monotonic() - began < 30
