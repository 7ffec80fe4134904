"""What is decided before a body is understood: its type, its size, its path; over real HTTP."""

import json
import socket

import pytest

from tests.service.fakes import ROWS, in_columns, in_split
from tests.service.serving import JSON, SENTINEL, is_error, metric, post, unexpected

MEDIA = {
    "form": {"content-type": "application/x-www-form-urlencoded"},
    "text": {"content-type": "text/plain"},
    "nearly": {"content-type": "application/json5"},
    "none": {},
    "UTF-16": {"content-type": "application/json; charset=utf-16"},
    "latin": {"content-type": 'application/json; a=b; charset="ISO-8859-1"'},
    "deflate": JSON | {"content-encoding": "deflate"},
    "gzip twice": JSON | {"content-encoding": "gzip, gzip"},
    "unknown encoding": JSON | {"content-encoding": SENTINEL},
}


@pytest.mark.parametrize("case", MEDIA)
def test_another_content_type_or_encoding(small, case):
    answer = post(small, json.dumps(ROWS), MEDIA[case])
    is_error(answer, 415, "unsupported_media_type")
    assert SENTINEL not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json; charset=UTF-8"},
        {"content-type": 'Application/JSON ;charset="utf-8"'},
        JSON | {"content-encoding": "identity"},
    ],
)
def test_the_right_content_type_however_it_is_written(small, headers):
    assert post(small, json.dumps(ROWS), headers).status_code == 200


def test_a_body_that_says_it_is_too_large_is_not_read(small):
    # Nothing follows the headers: the answer must come from the declared length alone.
    address = (small.base_url.host, small.base_url.port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        answer = connection.makefile("rb").read()  # to its end: the server closes
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer


@pytest.mark.parametrize("size", [20_001, 2**20, 30 * 2**20])
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large(small, size, declared):
    pieces = (SENTINEL[:14].encode() * 1000 for _ in range(0, size, 14_000))
    content = b"".join(pieces) if declared else pieces
    answer = small.post("/score", content=content, headers=JSON)
    is_error(answer, 413, "body_too_large")
    assert SENTINEL not in answer.text


def test_a_body_as_large_as_allowed(small):
    body = json.dumps(ROWS).ljust(20_000)
    assert post(small, body).status_code == 200
    is_error(post(small, body + " "), 413, "body_too_large")


@pytest.mark.parametrize("write", [list, in_columns, in_split])
def test_too_many_rows(small, write):
    assert post(small, write(ROWS[:1] * 5)).status_code == 200
    is_error(post(small, write(ROWS[:1] * 6)), 413, "too_many_rows")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", f"/{SENTINEL}", 404, "not_found"),
        ("POST", "/score/", 404, "not_found"),
        ("GET", "/score", 405, "method_not_allowed"),
        ("DELETE", "/schema", 405, "method_not_allowed"),
        ("POST", f"/models/{SENTINEL}/score", 404, "unknown_model"),
        ("GET", f"/models/{SENTINEL}/schema", 404, "unknown_model"),
        ("GET", "/models/..%2f..%2fetc/schema", 404, "not_found"),
    ],
)
def test_wrong_paths_and_methods(small, method, path, status, code):
    answer = small.request(method, path, headers=JSON, content=b"{}" if method == "POST" else None)
    is_error(answer, status, code)
    assert SENTINEL not in answer.text
    assert ("allow" in answer.headers) == (status == 405)


def test_paths_that_clients_invent_make_no_metrics(small):
    for n in range(3):
        small.get(f"/{SENTINEL}/{n}")
        small.get(f"/models/{SENTINEL}{n}/schema")
    assert SENTINEL not in small.get("/metrics").text


def test_refusals_are_counted_by_route_and_status(serve):
    client = serve()
    post(client, b"{")
    text = client.get("/metrics").text
    assert 'shapserve_requests_total{model="houses",route="/score",status="400"} 1.0' in text
    assert metric(client, "shapserve_rows_total") == 0


def test_a_client_that_leaves_before_its_body_is_complete_is_no_bug(serve):
    client = serve()
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n[{"
        )
    left = 'shapserve_requests_total{model="houses",route="/score",status="499"} 1.0'
    assert any(left in client.get("/metrics").text for _ in range(200))
    assert unexpected(client) == 0
