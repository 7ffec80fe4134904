"""What surrounds every request: its id, its record, and the last resort for a bug."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Sequence

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import presence, record
from service.drain import Drain
from service.errors import describe, internal_error
from service.headers import protect
from service.metrics import Metrics
from service.record import Record

__all__ = ["Gate"]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_CLIENT_LEFT = 499  # what proxies write when nobody is there to read the answer

logger = logging.getLogger("shapserve")


class Gate:
    """ASGI middleware around the whole application.

    Parameters
    ----------
    drain : what is under way is counted there; while it drains, every answer is the last on its
        connection.
    notes : what is told of every request when it is over: the metrics, the log, the traces.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        drain: Drain,
        notes: Sequence[Callable[[Record], None]],
    ) -> None:
        self.app, self.metrics, self.drain, self.notes = app, metrics, drain, notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        seen = record.begin(scope, request_id)
        presence.begin(receive)

        async def receive_counted() -> Message:
            message = await receive()
            seen.bytes_in += len(message.get("body", b""))
            return message

        async def send_tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
                if self.drain.draining:
                    _close(message["headers"])
                protect(message["headers"])
            else:
                seen.bytes_out += len(message.get("body", b""))
            await send(message)

        self.drain.active += 1
        try:
            await self.app(scope, receive_counted, send_tagged)
        except ClientDisconnect:
            seen.status = _CLIENT_LEFT
        except Exception as exc:
            self.metrics.unexpected_exceptions.inc()
            logger.error(  # noqa: TRY400 the message may quote a value, so `describe` leaves it out
                "unexpected exception in request %s\n%s",
                request_id,
                describe(exc),
                extra={"request_id": request_id},
            )
            if seen.status:
                raise  # half an answer is out; cutting the connection says so
            await internal_error(request_id)(scope, receive_counted, send_tagged)
        finally:
            self.drain.active -= 1
            seen.finish()
            for note in self.notes:
                note(seen)


def _close(headers: list[tuple[bytes, bytes]]) -> None:
    """Let this answer be the last on its connection; the client opens the next one elsewhere."""
    if not any(name.lower() == b"connection" for name, _ in headers):
        headers.append((b"connection", b"close"))


def _request_id(scope: Scope) -> str:
    """The client's id where it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return secrets.token_hex(16)
