"""What surrounds every request: its id, its measurement, and the last resort for a bug."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import describe, internal_error
from service.metrics import Metrics

__all__ = ["Gate"]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_CLIENT_LEFT = 499  # what proxies write when nobody is there to read the answer

logger = logging.getLogger("shapserve")


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.perf_counter(), 0

        async def send_tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self.app(scope, receive, send_tagged)
        except ClientDisconnect:
            status = _CLIENT_LEFT
        except Exception as exc:
            self.metrics.unexpected_exceptions.inc()
            logger.error("unexpected exception in request %s\n%s", request_id, describe(exc))  # noqa: TRY400 the message may quote a value, so `describe` leaves it out
            if status:
                raise  # half an answer is out; cutting the connection says so
            await internal_error(request_id)(scope, receive, send_tagged)
        finally:
            self.metrics.observe(_route(scope), status, time.perf_counter() - began)


def _request_id(scope: Scope) -> str:
    """The client's id where it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid.uuid4().hex


def _route(scope: Scope) -> str:
    """The route's template: paths come from clients and would make endless labels."""
    return getattr(scope.get("route"), "path", "other")
