"""Connections that have to say in time what they want, and are answered in one piece.

uvicorn waits for ever for a first byte, and for the end of a request's head. Each connection holds
a file descriptor, of which a process has so many. It has no bound on the length of a head. It takes
an offer to speak another protocol for the end of a request, and loses the body. It closes while a
body is still coming, so that its sender sees a reset where it should see the answer. And it writes
the head of an answer and its body apart, which are two calls of the system and wake the client
twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.lingering import Lingering, Rest

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


_DEFAULT = Lingering()


def punctual(head_seconds: float, lingering: Lingering = _DEFAULT) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol with a bound on how long the head of a request may take.

    A connection on which nothing has come yet has as long as one that is kept after an answer.

    Parameters
    ----------
    lingering : bounds on what is read of a request that is answered already.
    """

    class Punctual(HttpToolsProtocol):
        _due: asyncio.TimerHandle | None = None
        _has_begun = False  # a head has, and its time runs
        _in_body = False  # of a request; what comes is not the next one yet
        _is_offer = False  # to speak another protocol
        _n_useless = 0  # bytes since something was understood
        _rest: Rest | None = None  # of the latest request, which is answered
        _is_last = False  # nothing is written any more, and nothing understood that comes next
        _is_noise = False  # what comes is no HTTP
        _ends = False  # the server does

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
            joined = Joined(transport, self.loop, self._closes_later)
            super().connection_made(joined)  # type: ignore[arg-type]
            self._due = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            if self._rest is not None:
                self._rest.count(len(data))
                if self._is_noise or self.transport.is_closing():
                    return
            else:
                self._unset_keepalive_if_required()
                self._n_useless += len(data)
            try:
                self._feed(data)
            except httptools.HttpParserError:
                self._refuse(_BAD)
                return
            if self._rest is not None:
                return
            if self._n_useless > _HEAD_BYTES:
                self._refuse(_LONG)
            elif self._in_body or self._unanswered() is not None:
                self._cancel()
            elif not self._has_begun and self.timeout_keep_alive_task is None:
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
            if self._is_last:
                raise httptools.HttpParserError("the answer before was the last one")
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
                self._has_come()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self._in_body and self._unanswered() is None:
                self._linger()

        def shutdown(self) -> None:
            self._ends = True
            if self._rest is None:
                super().shutdown()
            else:
                self._end()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel()
            if self._rest is not None:
                self._rest.stop()
            super().connection_lost(exc)

        def _closes_later(self) -> bool:
            """Whether the connection is still read, because its last request is not here yet."""
            if self._ends or not self._in_body or self._unanswered() is not None:
                return False
            self._say_no_more()
            return True

        def _say_no_more(self) -> None:
            if not self._is_last and self.transport.can_write_eof():  # not under TLS
                self.transport.write_eof()
            self._is_last = True

        def _linger(self) -> None:
            """Read what is left of a request, for a while."""
            if self._ends or self.transport.is_closing():
                self._end()
                return
            self._cancel()
            self._unset_keepalive_if_required()
            self.flow.resume_reading()
            self._rest = Rest(self.loop, lingering, self._end)

        def _has_come(self) -> None:
            """Close after the end of a request, or go on with the next one."""
            if self._rest is None:
                return
            self._rest.stop()
            self._rest = None
            if self._is_last:
                self._end()
            else:
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )

        def _end(self) -> None:
            cast("Joined", self.transport).end()

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
            if self.transport.is_closing():
                return
            if self._rest is not None:  # it is answered, but who knows where it ends
                self._is_noise = True
                self._say_no_more()
                return
            cycle = self._unanswered()
            if cycle is not None and not self._in_body:
                cycle.keep_alive = False  # its answer is the last on this connection
                self.flow.pause_reading()
                return
            if cycle is not None:
                cycle.disconnected, cycle.waiting_for_100_continue = True, False
                cycle.message_event.set()
                if cycle.response_started or self.pipeline:  # what is cut off says so
                    self._end()
                    return
            head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.transport.write(head.encode())
            self._is_noise = True
            self._say_no_more()
            self._linger()

    return Punctual


class Joined:
    """A transport that sends what is written in one turn of the loop together.

    Parameters
    ----------
    closes_later : asked whenever it is to close, whether somebody else ends it later.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        closes_later: Callable[[], bool] = bool,
    ) -> None:
        self._transport, self._loop, self._closes_later = transport, loop, closes_later
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

    def write_eof(self) -> None:
        """Send what there is, and that nothing follows."""
        self._send()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Send what there is, and close, at once or later."""
        if not self._closes_later():
            self.end()

    def end(self) -> None:
        """Send what there is, and close now."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if parts:
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
