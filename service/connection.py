"""Connections that have to say in time what they want, and are answered in one piece.

uvicorn waits for ever for a first byte, and for the end of a request's head. Each connection holds
a file descriptor, of which a process has so many. It has no bound on the length of a head. It takes
an offer to speak another protocol for the end of a request, and loses the body. And it writes the
head of an answer and its body apart, which are two calls of the system and wake the client twice.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["Joined", "punctual"]

_MUCH = 64 * 1024
"""Bytes that are not held back."""

_HEAD_BYTES = 64 * 1024
"""Of a head, of the trailers of a body, or of anything else that is no body."""

_IN_A_ROW = 64
"""Requests that wait for the answer to one before them on their connection."""

_BAD = "400 Bad Request"
_LATE = "408 Request Timeout"
_LONG = "431 Request Header Fields Too Large"


def punctual(head_seconds: float) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol with a bound on how long the head of a request may take.

    A connection on which nothing has come yet has as long as one that is kept after an answer.
    """

    class Punctual(HttpToolsProtocol):
        _due: asyncio.TimerHandle | None = None
        _has_begun = False  # a head has, and its time runs
        _in_body = False  # of a request; what comes is not the next one yet
        _is_offer = False  # to speak another protocol
        _n_useless = 0  # bytes since something was understood

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
            super().connection_made(Joined(transport, self.loop))  # type: ignore[arg-type]
            self._due = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            if not self._in_body:  # else it is what is left of a request that is answered already
                self._unset_keepalive_if_required()
            self._n_useless += len(data)
            try:
                self._feed(data)
            except httptools.HttpParserError:
                self._refuse(_BAD)
                return
            if self._n_useless > _HEAD_BYTES:
                self._refuse(_LONG)
            elif self._in_body or self._unanswered() is not None:
                self._cancel()
            elif not self._has_begun:
                self._cancel()
                self._has_begun = True
                self._due = self.loop.call_later(head_seconds, self._refuse, _LATE)

        def _feed(self, data: bytes) -> None:
            while data:
                try:
                    self.parser.feed_data(data)
                    return
                except httptools.HttpParserUpgrade as offer:
                    self._pass_over()
                    data = data[offer.args[0] :]

        def _pass_over(self) -> None:
            """Read a head again without the offer that comes with it (RFC 9110, 7.8)."""
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            if not self._is_offer or method == b"CONNECT":
                raise httptools.HttpParserError("nothing is connected here")
            self._is_offer = False
            head = [method + b" " + self.url + b" HTTP/" + version]
            head += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.feed_data(b"\r\n".join(head) + b"\r\n\r\n")

        def on_message_begin(self) -> None:
            self._in_body = self._is_offer = False
            self._unset_keepalive_if_required()
            super().on_message_begin()

        def on_header(self, name: bytes, value: bytes) -> None:
            if not self._in_body:  # trailers tell nothing that is wanted here
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._n_useless = 0
            if self.parser.should_upgrade():
                self._is_offer = True
                return
            hosts = sum(name == b"host" for name, _ in self.headers)
            if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
                raise httptools.HttpParserError("one Host is needed (RFC 9112, 3.2)")
            if len(self.pipeline) >= _IN_A_ROW:
                raise httptools.HttpParserError("there is enough to answer")
            self._in_body = True
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._n_useless = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._n_useless = 0
            if not self._is_offer:
                self._in_body = False
                super().on_message_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel()
            super().connection_lost(exc)

        def _cancel(self) -> None:
            self._has_begun = False
            if self._due is not None:
                self._due.cancel()
                self._due = None

        def _unanswered(self) -> RequestResponseCycle | None:
            """The latest request, if its answer is not whole yet."""
            cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first
            return None if cycle is None or cycle.response_complete else cycle

        def _refuse(self, status: str) -> None:
            """Say so and close, but finish what was asked before."""
            cycle = self._unanswered()
            if cycle is not None and not self._in_body:
                cycle.keep_alive = False  # its answer is the last on this connection
                self.flow.pause_reading()
                return
            if cycle is None or not (cycle.response_started or self.pipeline):
                head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                self.transport.write(head.encode())
            if cycle is not None:
                cycle.disconnected = True
            self.transport.close()

    return Punctual


class Joined:
    """A transport that sends what is written in one turn of the loop together."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Send it with what follows at once, unless there is much already."""
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)
        self._size += len(data)
        if self._size > _MUCH:
            self._send()

    def close(self) -> None:
        """Send what there is, and close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if parts:
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
