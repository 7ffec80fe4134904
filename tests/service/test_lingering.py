"""An answer reaches its client although the client is still sending; over real sockets."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

import httpx
import pytest

from service.lingering import Lingering, Rest
from service.settings import Settings
from tests.service.fakes import ROWS, fake_scorer
from tests.service.serving import JSON, is_error, served, unexpected

SECONDS = 60
MUCH = 50 * 10**6
BODY = b" " * MUCH
PATIENT = Lingering(seconds=10 * SECONDS, idle_seconds=10 * SECONDS)


@pytest.fixture(scope="module")
def server():
    with served({"houses": fake_scorer()}, Settings(max_body_bytes=2**20)) as client:
        yield client
        assert unexpected(client) == 0


def connect(client):
    address = client.base_url.host, client.base_url.port
    return socket.create_connection(address, timeout=SECONDS)


def head(*headers, path="/score"):
    lines = [f"POST {path} HTTP/1.1", "Host: x", *headers, "", ""]
    return "\r\n".join(lines).encode()


def chunked(body, size=65_536):
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


TYPE = "Content-Type: application/json"
LENGTH = f"Content-Length: {MUCH}"
SENT = {
    "declared": head(TYPE, LENGTH) + BODY,
    "declared, and the last": head(TYPE, LENGTH, "Connection: close") + BODY,
    "chunked": head(TYPE, "Transfer-Encoding: chunked") + chunked(BODY),
    "HTTP/1.0": head(TYPE, LENGTH).replace(b"HTTP/1.1", b"HTTP/1.0") + BODY,
}


@pytest.mark.parametrize("case", SENT)
def test_a_client_that_sends_all_before_it_reads(server, case):
    with connect(server) as blind:
        blind.sendall(SENT[case])
        answer = blind.makefile("rb").read()  # to its end: the server closes
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer


@pytest.mark.parametrize("declared", [True, False])
def test_clients_of_python(server, declared):
    url, pieces = f"{server.base_url}/score", [BODY[: 2**16]] * (MUCH // 2**16)

    def content() -> Any:
        return BODY if declared else iter(pieces)

    is_error(
        httpx.post(url, content=content(), headers=JSON, trust_env=False), 413, "body_too_large"
    )
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(url, data=content(), headers=JSON)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as told:
        opener.open(urllib.request.Request(url, content(), JSON), timeout=SECONDS)  # noqa: S310 ours
    assert told.value.code == 413
    assert b"body_too_large" in told.value.read()


SMALLER = 5 * 10**6
REFUSED = {
    401: (Settings(api_keys=("a:score:" + "0" * 64,)), "/score", ()),
    404: (Settings(), "/nowhere", ()),
    405: (Settings(), "/schema", ()),
    415: (Settings(), "/score", ("Content-Encoding: br",)),
    501: (Settings(), "/v2/repository/models/houses/load", ()),
}


@pytest.mark.parametrize("status", REFUSED)
def test_a_connection_is_used_again_where_the_answer_does_not_close_it(status):
    settings, path, more = REFUSED[status]
    request = head(TYPE, f"Content-Length: {SMALLER}", *more, path=path) + BODY[:SMALLER]
    with served({"houses": fake_scorer()}, settings) as client, connect(client) as blind:
        for _ in range(2):
            blind.sendall(request + b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            told = b""
            while not told.endswith(b'{"status":"live"}'):
                told += blind.recv(2**16)
            assert told.startswith(b"HTTP/1.1 %d " % status)
            assert told.count(b"HTTP/1.1 ") == 2


def test_a_head_that_comes_with_the_end_of_a_body_has_its_time(serve):
    client = serve(Settings(body_seconds=0.3))
    with connect(client) as slow:
        slow.sendall(head(TYPE, "Content-Length: 100", path="/nowhere"))
        assert slow.recv(2**16).startswith(b"HTTP/1.1 404 ")
        slow.sendall(b" " * 100 + b"GET /health/live HTTP/1.1\r\nHo")
        assert slow.makefile("rb").read().startswith(b"HTTP/1.1 408 ")


def test_a_body_that_came_too_late(serve):
    client = serve(Settings(body_seconds=0.2))
    with connect(client) as slow:
        slow.sendall(head(TYPE, f"Content-Length: {SMALLER}"))
        time.sleep(0.4)
        slow.sendall(BODY[:SMALLER])
        answer = slow.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"slow_body" in answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Much: " + BODY[:SMALLER] + b"\r\n\r\n", 431),
        (b"nothing of HTTP\r\n\r\n" + BODY[:SMALLER], 400),
        (head("Transfer-Encoding: chunked") + b"no length\r\n" + BODY[:SMALLER], 400),
    ],
    ids=["head", "noise", "chunks"],
)
def test_what_is_no_request_is_told_so(server, sent, status):
    with connect(server) as blind:
        blind.sendall(sent)
        assert blind.makefile("rb").read().startswith(b"HTTP/1.1 %d " % status)


def sent_until_cut_off(connection, piece):
    """How much a client can send that does not stop."""
    sent, ends = 0, time.monotonic() + SECONDS
    try:
        while time.monotonic() < ends:
            sent += connection.send(piece)
    except OSError:
        return sent
    raise AssertionError("nobody ended it")


@pytest.mark.parametrize("framing", ["Content-Length: 999999999999", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["/score", "/nowhere"])  # the first closes, the second does not
def test_the_rest_is_bounded_in_bytes(framing, path):
    bounds = Lingering(2**21, PATIENT.seconds, PATIENT.idle_seconds)
    with (
        served({"houses": fake_scorer()}, Settings(max_body_bytes=2**16), bounds) as client,
        connect(client) as endless,
    ):
        endless.sendall(head(TYPE, framing, path=path))
        sent = sent_until_cut_off(endless, b"%x\r\n%s\r\n" % (2**16, BODY[: 2**16]))
    assert sent > 2**21
    assert sent < 2**21 + 2**25, "what fits into the buffers of the system comes on top"


@pytest.mark.parametrize("path", ["/score", "/nowhere"])
def test_the_rest_is_bounded_in_time(path):
    bounds = Lingering(2**40, 0.2, PATIENT.idle_seconds)
    with served({"houses": fake_scorer()}, Settings(), bounds) as client, connect(client) as slow:
        slow.sendall(head(TYPE, "Content-Length: 999999999999", path=path))
        assert slow.recv(2**16).startswith(b"HTTP/1.1 4")
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert sent_until_cut_off(slow, b" ") > 0


class Clock:
    """As much of a loop as has a time, which passes by hand."""

    def __init__(self):
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self):
        return self.now

    def call_later(self, delay, callback):
        self.timers.append(Timer(self, self.now + delay, callback))
        return self.timers[-1]

    def wait(self, seconds):
        self.now += seconds
        for timer in [t for t in self.timers if t.due <= self.now]:
            timer.cancel()
            timer.callback()


class Timer(NamedTuple):
    clock: Clock
    due: float
    callback: Callable[[], object]

    def cancel(self):
        self.clock.timers = [timer for timer in self.clock.timers if timer is not self]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ended(clock):
    return []


@pytest.fixture
def rest(clock, ended):
    return Rest(clock, Lingering(100, 30, 5), lambda: ended.append(clock.now))


def test_the_rest_ends_when_nothing_comes(clock, rest, ended):
    clock.wait(4)
    rest.count(1)
    clock.wait(4)
    assert not ended
    clock.wait(1)
    assert ended == [9]


def test_the_rest_ends_however_steadily_it_comes(clock, rest, ended):
    for _ in range(29):
        clock.wait(1)
        rest.count(1)
    assert not ended
    clock.wait(1)
    assert ended == [30]


def test_the_rest_ends_when_it_is_too_much(clock, rest, ended):
    rest.count(100)
    assert not ended
    rest.count(1)
    assert ended == [0]
    assert clock.timers == []


def test_a_rest_that_has_come_waits_for_nothing(clock, rest, ended):
    rest.stop()
    clock.wait(100)
    assert not ended


@pytest.mark.parametrize("path", ["/score", "/nowhere"])
def test_the_end_of_the_server_does_not_wait_for_the_rest(path):
    with ExitStack() as both:
        settings = Settings(max_body_bytes=2**20)
        client = both.enter_context(served({"houses": fake_scorer()}, settings, PATIENT))
        slow = connect(client)
        slow.sendall(head(TYPE, LENGTH, path=path))
        assert slow.recv(2**16).startswith(b"HTTP/1.1 4")
        began = time.monotonic()
    assert time.monotonic() - began < SECONDS
    slow.close()


def test_a_client_that_waits_for_leave_to_send_is_told_no(server):
    with connect(server) as polite:
        polite.sendall(head(TYPE, LENGTH, "Expect: 100-continue"))
        assert polite.makefile("rb").read().startswith(b"HTTP/1.1 413 ")
    with connect(server) as polite:
        body = json.dumps(ROWS).encode()
        polite.sendall(head(TYPE, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert polite.recv(2**16).startswith(b"HTTP/1.1 100 ")
        polite.sendall(body)
        assert polite.recv(2**16).startswith(b"HTTP/1.1 200 ")
