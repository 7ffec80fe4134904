"""Limits over real HTTP: what is refused, how, and that everything else goes on."""

import gzip
import json
import socket
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.codec.structure import check_structure
from service.errors import TooManyValues
from service.gunzip import Gunzip
from service.limits import OPEN_BYTES
from service.settings import Settings
from tests.service.fakes import ROWS, in_columns, in_split
from tests.service.serving import JSON, SENTINEL, is_error, metric, post, unexpected
from tests.service.slow import slow_scorer

SECONDS = 30
GZIP = JSON | {"content-encoding": "gzip"}
PROBES = ["/health/live", "/health/ready", "/metrics"]


def until(condition):
    ends = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def connection(client):
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=SECONDS)


def head(length, extra=""):
    return (
        "POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n{extra}\r\n"
    ).encode()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as threads:
        yield threads


def test_a_gzipped_body_is_answered_as_a_plain_one(small):
    plain = post(small, ROWS).json()
    body = json.dumps(ROWS).encode()
    assert post(small, gzip.compress(body), GZIP).json() == plain
    members = gzip.compress(body[:50]) + gzip.compress(body[50:])
    assert post(small, members, GZIP | {"content-encoding": "x-gzip"}).json() == plain


@pytest.mark.parametrize("spoil", ["cut", "checksum", "none", "zlib", "after"])
def test_what_is_no_whole_gzip_is_refused(small, spoil):
    body = gzip.compress(json.dumps(ROWS).encode())
    sent = {
        "cut": body[:-9],
        "checksum": body[:-8] + b"12345678",
        "none": SENTINEL.encode(),
        "zlib": zlib.compress(json.dumps(ROWS).encode()),
        "after": body + SENTINEL.encode(),
    }[spoil]
    answer = post(small, sent, GZIP)
    is_error(answer, 400, "broken_encoding")
    assert SENTINEL not in answer.text


def test_an_empty_gzipped_body_is_no_gzip(small):
    is_error(post(small, b"", GZIP), 400, "broken_encoding")


def test_a_body_is_bounded_while_it_is_decompressed(serve):
    client = serve(Settings(max_body_bytes=2**20, max_decoded_bytes=2**22))
    bomb = gzip.compress(b" " * 2**28, 9)
    assert len(bomb) < 2**19
    before = metric(client, "process_resident_memory_bytes")
    is_error(post(client, bomb, GZIP), 413, "body_too_large")
    assert metric(client, "process_resident_memory_bytes") - before < 2**25
    whole = gzip.compress(json.dumps(ROWS).ljust(2**22).encode())
    assert post(client, whole, GZIP).status_code == 200
    more = gzip.compress(json.dumps(ROWS).ljust(2**22 + 1).encode())
    is_error(post(client, more, GZIP), 413, "body_too_large")
    # The body as it is sent has its own limit, and so have files after each other.
    is_error(post(client, b" " * (2**20 + 1), GZIP), 413, "body_too_large")
    for text in (b"x", b""):
        is_error(post(client, gzip.compress(text) * 2**14, GZIP), 400, "broken_encoding")


@pytest.mark.parametrize("encodings", [("gzip", "identity"), ("identity", "gzip"), ("gzip",) * 2])
def test_no_encoding_of_several_is_passed_over(client, encodings):
    """A proxy that believes the other one would see another body."""
    headers = [*JSON.items(), *(("content-encoding", encoding) for encoding in encodings)]
    answer = client.post(
        "/score", content=gzip.compress(json.dumps(ROWS).encode()), headers=headers
    )
    is_error(answer, 415, "unsupported_media_type")


def test_pieces_are_bounded_however_the_bytes_come():
    text = bytes(range(256)) * 20_000
    sent = gzip.compress(text)
    for step in (1, 1000, len(sent)):
        decoder, found = Gunzip(len(text)), []
        for start in range(0, len(sent), step):
            decoder.feed(sent[start : start + step])
            while piece := decoder.piece():
                assert len(piece) <= 2**18
                found.append(piece)
        decoder.check_whole()
        assert b"".join(found) == text


def test_a_body_that_trickles_in_times_out(serve):
    client = serve(Settings(body_seconds=0.5))
    with connection(client) as slow:
        began = time.monotonic()
        slow.sendall(head(100))
        for _ in range(3):
            slow.sendall(b"[")
            time.sleep(0.1)
        answer = slow.makefile("rb").read()  # to its end: the server closes
        assert 0.4 < time.monotonic() - began < SECONDS
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"slow_body" in answer
    assert unexpected(client) == 0


def test_slow_bodies_keep_nobody_out(serve):
    client = serve(Settings(max_concurrent=2, body_seconds=SECONDS))
    slow = [connection(client) for _ in range(8)]
    for each in slow:
        each.sendall(head(200) + b"[")
    time.sleep(0.2)
    assert post(client, ROWS).status_code == 200
    rest = json.dumps(ROWS[:1])[1:].ljust(199).encode()
    for each in slow:  # and are answered when they are whole
        each.sendall(rest)
        assert each.recv(2**16).startswith(b"HTTP/1.1 200 ")
        each.close()
    assert post(client, ROWS).status_code == 200
    assert unexpected(client) == 0


def test_slow_bodies_are_bounded_by_the_memory_that_they_take(serve):
    client = serve(Settings(max_buffered_bytes=4 * OPEN_BYTES, body_seconds=SECONDS))
    slow = [connection(client) for _ in range(3)]
    for each in slow:
        each.sendall(head(100) + b"[")
    until(lambda: post(client, ROWS).status_code == 503)
    is_error(post(client, ROWS), 503, "overloaded")
    for path in PROBES:
        assert client.get(path).status_code == 200
    for each in slow:
        each.close()
    until(lambda: post(client, ROWS).status_code == 200)
    assert unexpected(client) == 0


def test_a_slot_is_looked_for_when_the_body_is_there(serve, pool):
    scorer, explainer = slow_scorer()
    client = serve(Settings(max_concurrent=1, concurrency=1), {"houses": scorer})
    body = json.dumps(ROWS).encode()
    with connection(client) as slow:
        slow.sendall(head(len(body)) + body[:10])
        time.sleep(0.1)
        explainer.go.clear()
        held = pool.submit(post, client, ROWS)
        until(lambda: explainer.calls)
        slow.sendall(body[10:])
        assert slow.recv(2**16).startswith(b"HTTP/1.1 429 ")
    explainer.go.set()
    assert held.result(SECONDS).status_code == 200
    assert explainer.calls == [3]
    assert post(client, ROWS).status_code == 200
    assert unexpected(client) == 0


def test_one_body_is_read_however_small_the_bound(serve):
    client = serve(Settings(max_buffered_bytes=1))
    assert post(client, json.dumps(ROWS).ljust(200_000)).status_code == 200


@pytest.mark.parametrize("sent", [b"P", head(10)[:-2], b"GET /health/live HTTP/1.1\r\nHost: "])
@pytest.mark.parametrize("kept", [False, True])
def test_a_head_that_trickles_in_times_out(serve, sent, kept):
    client = serve(Settings(body_seconds=0.5))
    with connection(client) as slow:
        if kept:
            slow.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert slow.recv(2**16).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
        slow.sendall(sent)
        answer = slow.makefile("rb").read()
        assert 0.4 < time.monotonic() - began < SECONDS
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert unexpected(client) == 0


def test_a_head_that_comes_in_time_leaves_the_answer_its_time(serve):
    scorer, _ = slow_scorer(call_seconds=1)
    client = serve(Settings(body_seconds=0.3), {"houses": scorer})
    body = json.dumps(ROWS).encode()
    with connection(client) as one:
        for piece in (head(len(body))[:20], head(len(body))[20:], body):
            one.sendall(piece)
            time.sleep(0.1)
        assert one.recv(2**16).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.5)  # idle, which is not slow
        one.sendall(head(len(body)) + body)
        assert one.recv(2**16).startswith(b"HTTP/1.1 200 ")


def test_a_connection_that_says_nothing_is_closed(serve):
    client = serve()  # where connections are kept for 5 seconds
    with connection(client) as silent:
        began = time.monotonic()
        assert silent.makefile("rb").read() == b""
        assert 3 < time.monotonic() - began < SECONDS


def test_too_many_requests_at_a_time(serve, pool):
    scorer, explainer = slow_scorer()
    client = serve(Settings(max_concurrent=2, concurrency=1), {"houses": scorer})
    explainer.go.clear()
    held = [pool.submit(post, client, ROWS) for _ in range(2)]

    def refused_by_its_head() -> bool:  # nothing of its body has been sent
        with connection(client) as one:
            one.settimeout(0.2)
            one.sendall(head(1000))
            try:
                return one.recv(2**16).startswith(b"HTTP/1.1 429 ")
            except TimeoutError:
                return False

    until(refused_by_its_head)
    answer = post(client, ROWS)
    is_error(answer, 429, "too_many_requests")
    assert int(answer.headers["retry-after"]) >= 1
    for path in PROBES:
        assert client.get(path).status_code == 200
    explainer.go.set()
    assert [each.result(SECONDS).status_code for each in held] == [200, 200]
    assert post(client, ROWS).status_code == 200
    assert unexpected(client) == 0


def test_a_full_queue(serve, pool):
    scorer, explainer = slow_scorer()
    client = serve(Settings(max_queue=2, concurrency=1), {"houses": scorer})
    explainer.go.clear()
    held = [pool.submit(post, client, ROWS)]
    until(lambda: len(explainer.calls) == 1)
    sent = [pool.submit(post, client, ROWS) for _ in range(4)]
    until(lambda: sum(each.done() for each in sent) == 2)
    for each in sent:
        if each.done():
            is_error(each.result(), 503, "overloaded")
            assert int(each.result().headers["retry-after"]) >= 1
    explainer.go.set()
    statuses = sorted(each.result(SECONDS).status_code for each in held + sent)
    assert statuses == [200, 200, 200, 503, 503]
    assert explainer.calls == [3, 6]  # the two that waited went together
    assert unexpected(client) == 0


def test_time_is_up_for_requests_that_wait_and_that_are_worked_on(serve, pool):
    scorer, explainer = slow_scorer()
    client = serve(Settings(request_seconds=0.5, concurrency=1), {"houses": scorer})
    explainer.go.clear()
    running = pool.submit(post, client, ROWS)
    until(lambda: len(explainer.calls) == 1)
    waiting = pool.submit(post, client, ROWS)
    is_error(running.result(SECONDS), 504, "too_slow")
    is_error(waiting.result(SECONDS), 503, "overloaded")
    for each in (running, waiting):
        assert int(each.result().headers["retry-after"]) >= 1
    explainer.go.set()
    until(lambda: post(client, ROWS).status_code == 200)
    assert set(explainer.calls) == {3}  # what was given up in the queue was never begun
    assert unexpected(client) == 0


def test_the_rest_of_a_long_request_is_given_up(serve):
    scorer, explainer = slow_scorer(call_seconds=0.2)
    settings = Settings(request_seconds=0.5, concurrency=1, max_batch_rows=10)
    client = serve(settings, {"houses": scorer})
    is_error(post(client, ROWS[:1] * 1000), 504, "too_slow")
    time.sleep(0.5)
    assert len(explainer.calls) <= 4


def test_others_have_their_turn_within_a_long_request(serve, pool):
    scorer, explainer = slow_scorer(call_seconds=0.1)
    client = serve(Settings(concurrency=1, max_batch_rows=10), {"houses": scorer})
    long = pool.submit(post, client, ROWS[:1] * 200)
    until(lambda: len(explainer.calls) >= 2)
    assert post(client, ROWS).status_code == 200
    assert not long.done()
    answer = long.result(SECONDS)
    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == 200
    assert 3 in explainer.calls


def test_bodies_share_a_bound_on_memory(serve):
    client = serve(Settings(max_buffered_bytes=20_000 + 2 * OPEN_BYTES, body_seconds=SECONDS))
    with connection(client) as first:
        first.sendall(head(15_000) + b"[" + b" " * 9_999)
        body = json.dumps(ROWS).ljust(12_000)
        until(lambda: post(client, body).status_code == 503)
        is_error(post(client, body), 503, "overloaded")
        chunks = (each for each in [body[:6000].encode(), body[6000:].encode()])
        is_error(client.post("/score", content=chunks, headers=JSON), 503, "overloaded")
        assert post(client, ROWS).status_code == 200
    until(lambda: post(client, body).status_code == 200)


@pytest.mark.parametrize("write", [list, in_columns, in_split])
def test_bodies_with_as_many_values_as_rows_have_are_read(write):
    rows = [dict.fromkeys("abcdefgh", -0.123456789)] * 2000
    check_structure(json.dumps(write(rows)).encode(), 8, 2000)
    texts = [dict.fromkeys("abcdefgh", r'{[,"\{[,')] * 2000  # what texts hold is no structure
    check_structure(json.dumps(write(texts)).encode(), 8, 2000)


@pytest.mark.parametrize("unit", [b"{},", b"[],", b"1,", b'{"":{}},', b'"",', b'"\\"",'])
def test_a_body_of_tiny_values_is_refused_before_it_is_parsed(unit):
    body = b"[" + unit * (16 * 2**20 // len(unit)) + b"0]"
    began = time.process_time()
    with pytest.raises(TooManyValues):
        check_structure(body, 30, 10_000)
    assert time.process_time() - began < 3
    check_structure(body[: 60 * 1024], 30, 1)  # a small one may be anything


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", [b'\\"', b"\\", b'"', b"{"])
def test_a_text_without_end_is_looked_at_once(text):
    body = b"[" + b"1," * 400_000 + b'"' + text * (8 * 2**20 // len(text))
    with pytest.raises(TooManyValues):
        check_structure(body, 30, 10_000)


def test_a_body_of_tiny_objects_over_http(serve):
    client = serve(Settings(max_rows=1000))
    before = metric(client, "process_resident_memory_bytes")
    answer = post(client, b"[" + b"{}," * (5 * 2**20) + b"{}]")
    is_error(answer, 413, "too_many_values")
    assert metric(client, "process_resident_memory_bytes") - before < 150 * 2**20


def test_probes_are_quick_while_the_server_is_full(serve, pool):
    scorer, _ = slow_scorer(call_seconds=0.05)
    client = serve(Settings(max_concurrent=4, concurrency=1), {"houses": scorer})
    stop = threading.Event()

    def hammer():
        statuses = set()
        while not stop.is_set():
            statuses.add(post(client, ROWS).status_code)
        return statuses

    clients = [pool.submit(hammer) for _ in range(8)]
    seconds = []
    for path in PROBES * 20:
        began = time.monotonic()
        assert client.get(path).status_code == 200
        seconds.append(time.monotonic() - began)
    stop.set()
    assert set().union(*(each.result(SECONDS) for each in clients)) == {200, 429}
    assert sorted(seconds)[len(seconds) // 2] < 0.5  # the soak test is stricter
    assert unexpected(client) == 0
