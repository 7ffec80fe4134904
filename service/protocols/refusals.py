"""Refusals as the clients of each protocol read them.

The one handler writes the one body; this rewrites it on its way out, for the paths whose clients
look for something else. `tritonclient` wants text under `error`, and raises a TypeError where it
finds an object; MLflow's clients look for `error_code` and `message`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.documents import ErrorDocument
from service.protocols.documents import MlflowErrorDocument, V2ErrorDocument

__all__ = ["Translated", "document_of"]

Words = Callable[[dict[str, Any], int], dict[str, Any]]

_MLFLOW_CODES = {
    400: "BAD_REQUEST",
    401: "CUSTOMER_UNAUTHORIZED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    422: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Translated:
    """ASGI middleware around everything that may refuse."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through."""
        words = _words(scope)
        await self.app(scope, receive, send if words is None else _translating(send, words))


def document_of(path: str) -> type[BaseModel]:
    """Return what a refusal looks like at a path."""
    words = _words_at(path)
    if words is _open_inference:
        return V2ErrorDocument
    return MlflowErrorDocument if words is _mlflow else ErrorDocument


def _words(scope: Scope) -> Words | None:
    if scope["type"] != "http":
        return None
    return _words_at(scope["path"].removeprefix(scope.get("root_path", "")))


def _words_at(path: str) -> Words | None:
    if path == "/v2" or path.startswith("/v2/"):
        return _open_inference
    return _mlflow if path == "/invocations" else None


def _translating(send: Send, words: Words) -> Send:
    """Hold back a refusal until it is whole, and send it in other words."""
    held: list[Message] = []

    async def translated(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            held.append(message)
            return
        if not held:
            await send(message)
            return
        held.append(message)
        if message.get("more_body", False):
            return
        start, *pieces = held
        held.clear()
        content = b"".join(piece.get("body", b"") for piece in pieces)
        headers = MutableHeaders(raw=start["headers"])
        if headers.get("content-type") == "application/json":
            content = orjson.dumps(words(orjson.loads(content), start["status"]))
            headers["content-length"] = str(len(content))
            start["headers"] = headers.raw
        await send(start)
        await send({"type": "http.response.body", "body": content})

    return translated


def _open_inference(body: dict[str, Any], status: int) -> dict[str, Any]:  # noqa: ARG001 one signature for all
    problem = body["error"]
    return {"error": _in_a_line(problem), "details": problem, "request_id": body["request_id"]}


def _in_a_line(problem: dict[str, Any]) -> str:
    """Return the message with the first violation: a client may show nothing else."""
    message: str = problem["message"]
    for violation in problem["violations"][:1]:
        place = [f"{w} {violation[w]}" for w in ("row", "column") if violation[w] is not None]
        first = ": ".join([*([", ".join(place)] if place else []), violation["rule"]])
        message = f"{message} First of {problem['total_violations']}: {first}."
    return message


def _mlflow(body: dict[str, Any], status: int) -> dict[str, Any]:
    code = _MLFLOW_CODES.get(status, "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR")
    return {"error_code": code, "message": _in_a_line(body["error"]), **body}
