"""What HTTP brings along: upgrades that nobody asked for, probes, and marks before the text."""

from __future__ import annotations

import codecs
import json
import socket

from tests.service.commands import serving
from tests.service.fakes import ROWS
from tests.service.serving import is_error, post, unexpected


def test_an_offer_to_upgrade_to_http_2_does_not_lose_the_body(numeric):
    """Java's HTTP client and `curl --http2` make the offer with every request in clear text."""
    with serving("--artifact", numeric) as (client, _):
        body = json.dumps(client.get("/schema").json()["sample"]).encode()
        head = [
            "POST /score HTTP/1.1",
            "Host: localhost",
            "Connection: Upgrade, HTTP2-Settings, close",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQAAP__",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        address = client.base_url.host, client.base_url.port or 80
        with socket.create_connection(address, 10) as connection:
            connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            answer = b""
            while received := connection.recv(65536):
                answer += received
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"predictions"' in answer


def test_probes_may_ask_for_the_head_only(client):
    for path in ("/health/live", "/health/ready"):
        assert client.head(path).status_code == 200


def test_a_byte_order_mark_is_named(client):
    answer = post(client, codecs.BOM_UTF8 + json.dumps(ROWS).encode())
    assert "byte order mark" in is_error(answer, 400, "broken_json")["message"]


def test_thousands_of_unknown_columns_are_one_violation(client):
    answer = post(client, {f"k{i}": 1 for i in range(50_000)})
    error = is_error(answer, 422, "schema_violations")
    assert error["total_violations"] < 10
    assert unexpected(client) == 0
