"""Bytes on a connection: what is no HTTP is refused, and what is unusual does no harm."""

import json
import socket
from itertools import pairwise

import pytest

from tests.service.fakes import ROWS
from tests.service.serving import unexpected

BODY = json.dumps(ROWS).encode()
SECONDS = 20


def posted(*headers, body=BODY, line="POST /score HTTP/1.1", length=True):
    """Bytes of a request."""
    told = [line, "Host: x", "Content-Type: application/json", *headers]
    if length:
        told.append(f"Content-Length: {len(body)}")
    return "\r\n".join(told).encode() + b"\r\n\r\n" + body


def chunked(*chunks, trailers=b""):
    """A body in chunks."""
    whole = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return whole + b"0\r\n" + trailers + b"\r\n"


LAST = posted("Connection: close", "X-Request-ID: last")


def answers(client, *pieces):
    """What comes until the server closes, when these were sent one after the other."""
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, SECONDS) as connection:
        found = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            while received := connection.recv(2**16):
                found += received
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was closed while there was more to send
        return found


BROKEN = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version": posted(line="POST /score HTTP/7.1"),
    "a method": posted(line="PO(ST /score HTTP/1.1"),
    "a tunnel": b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
    "no host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "length and chunks": posted("Transfer-Encoding: chunked"),
    "chunks and length": posted("Content-Length: 3", "Transfer-Encoding: chunked", length=False),
    "two lengths": posted("Content-Length: 3"),
    "a length of nothing": posted("Content-Length: ", length=False),
    "a length below zero": posted("Content-Length: -1", length=False),
    "a length with a sign": posted("Content-Length: +5", length=False),
    "a length beyond numbers": posted("Content-Length: 99999999999999999999999", length=False),
    "chunks after another coding": posted("Transfer-Encoding: chunked, gzip", length=False),
    "a size that is none": posted("Transfer-Encoding: chunked", body=b"zz\r\n{}", length=False),
    "a name with a space": posted("X-A : b"),
    "a name with nothing": posted(": b"),
    "a line that goes on": posted("X-A: b\r\n c"),
    "a value with a NUL": posted("X-A: b\0c"),
    "a line end of its own": posted("X-A: b\rX-B: c"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_request_ends_the_connection(client, case):
    answer = answers(client, BROKEN[case] + LAST)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1, "nothing behind it is taken for a request"
    assert unexpected(client) == 0


ENDLESS = {
    "a line": (b"GET /", b"a" * 1000),
    "a header": (b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: ", b"a" * 1000),
    "a name": (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", b"a" * 1000),
    "headers": (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n" * 100),
}
CHUNKS = posted("Transfer-Encoding: chunked", body=b"", length=False)
IN_BODIES = {
    "an extension": (CHUNKS + b"1;", b"a" * 1000),
    "a trailer": (CHUNKS + b"0\r\nX-A: ", b"a" * 1000),
    "trailers": (CHUNKS + b"0\r\n", b"X-A: b\r\n" * 100),
}


@pytest.mark.parametrize("case", ENDLESS | IN_BODIES)
def test_what_never_ends_is_ended(client, case):
    begun, more = (ENDLESS | IN_BODIES)[case]
    answer = answers(client, begun, *[more] * 20_000)
    said = answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert case in IN_BODIES or said or not answer  # a reset may overtake it
    assert unexpected(client) == 0


def test_a_head_may_be_long(client):
    answer = answers(client, posted(f"X-A: {'a' * 40_000}", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_what_was_asked_before_something_broken_is_answered(client):
    answer = answers(client, posted("X-Request-ID: first") + b"nonsense\r\n\r\n" + LAST)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"first" in answer


def test_requests_in_a_row_are_answered_in_a_row(client):
    answer = answers(client, posted("X-Request-ID: first") + posted("X-Request-ID: second") + LAST)
    places = [answer.index(name) for name in (b"first", b"second", b"last")]
    assert places == sorted(places)
    assert answer.count(b"HTTP/1.1 200 ") == 3


@pytest.mark.parametrize("headers", [(), ("Connection: Upgrade", "Upgrade: x")])
def test_no_more_in_a_row_than_can_be_kept(client, headers):
    told = ["GET /health/live HTTP/1.1", "Host: x", *headers]
    answer = answers(client, ("\r\n".join(told) + "\r\n\r\n").encode() * 5000)
    assert 60 < answer.count(b"HTTP/1.1 200 ") < 5000
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 200 ")
    assert unexpected(client) == 0


def test_bytes_one_by_one(client):
    head, body = LAST.split(b"\r\n\r\n")
    pieces = [head[i : i + 1] for i in range(len(head))]
    assert answers(client, *pieces, b"\r\n\r\n" + body).startswith(b"HTTP/1.1 200 ")


def test_a_body_in_chunks_whose_trailers_are_passed_over(client):
    trailers = b"X-Request-ID: trailer\r\n"
    body = chunked(BODY[:10], BODY[10:], trailers=trailers)
    answer = answers(client, posted("Transfer-Encoding: chunked", body=body, length=False) + LAST)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b"trailer" not in answer


@pytest.mark.parametrize("offer", ["h2c", "websocket", "TLS/1.0"])
@pytest.mark.parametrize("pieces", [1, 2, 5])
@pytest.mark.parametrize("in_chunks", [False, True])
def test_an_offer_of_another_protocol_is_passed_over(client, offer, pieces, in_chunks):
    told = ["Connection: Upgrade", f"Upgrade: {offer}"]
    if in_chunks:
        told.append("Transfer-Encoding: chunked")
        request = posted(*told, body=chunked(BODY[:10], BODY[10:]), length=False)
    else:
        request = posted(*told)
    whole = request + request + LAST
    ends = [len(whole) * i // pieces for i in range(pieces + 1)]
    answer = answers(client, *(whole[a:b] for a, b in pairwise(ends)))
    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert answer.count(b'"predictions"') == 3
    assert unexpected(client) == 0


def test_old_clients_are_answered_and_let_go(client):
    answer = answers(client, b"GET /health/live HTTP/1.0\r\n\r\n")
    assert b" 200 " in answer.split(b"\r\n")[0]
