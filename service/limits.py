"""Bounds on what one request, and all of them together, may take, before anything is parsed.

What can be told from the headers is told before the body is read. The body is counted, and
decompressed, while it comes in. A request counts as one of those under way once its body is here,
so that clients who send slowly keep nobody else out; until then it counts as memory.
"""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.drain import Drain
from service.errors import (
    BodyTooLarge,
    Overloaded,
    Refusal,
    ShuttingDown,
    SlowBody,
    TooManyRequests,
    UnsupportedMedia,
    refused,
)
from service.gunzip import Gunzip
from service.settings import Settings

__all__ = ["Limits", "is_probe", "read_body"]

PROBES = frozenset({"/", "/health", "/metrics", "/ping", "/version"})

OPEN_BYTES = 32 * 1024
"""What a request takes beside its body: its connection, its headers, and the state of its tasks."""

_LENGTH_DIGITS = 18  # longer numbers are not converted


def is_probe(path: str) -> bool:
    """Whether a path is for those who watch the server; they are answered whatever the load."""
    return path.startswith(("/health/", "/v2/health/")) or path in PROBES


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Read the body, and stop as soon as it is known to be too large.

    Parameters
    ----------
    max_bytes : of the body as it is here, decompressed.

    Raises
    ------
    BodyTooLarge, SlowBody, BrokenEncoding, Overloaded, ClientDisconnect
    """
    chunks, size, more = [], 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise BodyTooLarge(max_bytes)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


class Limits:
    """ASGI middleware: lets requests through while there is room, and watches their bodies."""

    def __init__(self, app: ASGIApp, settings: Settings, drain: Drain) -> None:
        self.app, self._settings, self._drain = app, settings, drain
        self._slots = _Slots(settings.max_concurrent)
        self._held = _Held(settings.max_buffered_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer why not."""
        if scope["type"] != "http" or is_probe(scope["path"]):
            await self.app(scope, receive, send)
            return
        try:
            body = self._admitted(scope, receive)
        except Refusal as refusal:
            await refused(scope["state"]["request_id"], refusal)(scope, receive, send)
            return
        try:
            await self.app(scope, body.receive, send)
        finally:
            body.leave()

    def _admitted(self, scope: Scope, receive: Receive) -> _Body:
        """What the headers tell, before anything is read."""
        if self._drain.refusing:
            raise ShuttingDown
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        most = self._settings.max_body_bytes
        if declared.isdigit() and (len(declared) > _LENGTH_DIGITS or int(declared) > most):
            raise BodyTooLarge(most)
        # Several of them are a list, as one with commas is: none of them may be passed over.
        encodings = [value for name, value in scope["headers"] if name == b"content-encoding"]
        gzipped = _is_gzip(b",".join(encodings))
        self._slots.check()
        if declared.isdigit() and not self._held.has_room(OPEN_BYTES + int(declared)):
            raise Overloaded
        body = _Body(receive, self._settings, self._held, self._slots, gzipped=gzipped)
        if declared == b"0" and b"transfer-encoding" not in headers:
            body.has_come()
        return body


def _is_gzip(encoding: bytes) -> bool:
    match encoding.strip().lower():
        case b"" | b"identity":
            return False
        case b"gzip" | b"x-gzip":
            return True
    message = "Send the body uncompressed, or with Content-Encoding: gzip."
    raise UnsupportedMedia(message, {"Accept-Encoding": "gzip, identity"})


class _Slots:
    """How many requests are under way."""

    def __init__(self, most: int) -> None:
        self.taken, self._most = 0, most

    def check(self) -> None:
        """Refuse one more where there is no room; it takes its slot later."""
        if self.taken >= self._most:
            raise TooManyRequests


class _Held:
    """Bytes of requests that are in memory, of all together."""

    def __init__(self, most: int) -> None:
        self.size, self._most = 0, most

    def has_room(self, n_bytes: int, own: int = 0) -> bool:
        """Whether so many more fit; one request always does, which has `own` already."""
        return self.size == own or self.size + n_bytes <= self._most


class _Body:
    """The body of one request as it comes in."""

    def __init__(
        self, receive: Receive, settings: Settings, held: _Held, slots: _Slots, *, gzipped: bool
    ) -> None:
        self._receive, self._settings, self._all, self._slots = receive, settings, held, slots
        self._gunzip = Gunzip(settings.max_decoded_bytes) if gzipped else None
        self._ends: float | None = None
        self._size = 0
        self._done = self._has_slot = False
        self._held = 0
        self._hold(OPEN_BYTES)

    def has_come(self) -> None:
        """Count the request as one of those under way, if there is room."""
        self._slots.check()
        self._slots.taken += 1
        self._done = self._has_slot = True

    def leave(self) -> None:
        """Take up nothing any more."""
        self._slots.taken -= self._has_slot
        self._all.size -= self._held

    async def receive(self) -> Message:
        """Give the next part, decompressed; raises the refusals that `read_body` names."""
        if self._gunzip is None:
            return await self._receive() if self._done else await self._next()
        while not (piece := self._gunzip.piece()):
            if self._done:
                self._gunzip.check_whole()
                self._gunzip = None
                return _part(b"", more=False)
            message = await self._next()
            if message["type"] != "http.request":
                return message
            self._gunzip.feed(message.get("body", b""))
        self._hold(len(piece))
        await asyncio.sleep(0)  # others have their turn
        return _part(piece, more=True)

    async def _next(self) -> Message:
        """The next part as it was sent, counted."""
        loop = asyncio.get_running_loop()
        if self._ends is None:
            self._ends = loop.time() + self._settings.body_seconds
        try:
            async with asyncio.timeout_at(self._ends):
                message = await self._receive()
        except TimeoutError:
            raise SlowBody(self._settings.body_seconds) from None
        if message["type"] == "http.request":
            n_bytes = len(message.get("body", b""))
            self._size += n_bytes
            if self._size > self._settings.max_body_bytes:
                raise BodyTooLarge(self._settings.max_body_bytes)
            self._hold(n_bytes)
            if not message.get("more_body", False):
                self.has_come()
        return message

    def _hold(self, n_bytes: int) -> None:
        if not self._all.has_room(n_bytes, self._held):
            raise Overloaded
        self._held += n_bytes
        self._all.size += n_bytes


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}
