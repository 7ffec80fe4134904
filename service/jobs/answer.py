"""A whole response as bytes, however it would have been sent."""

from __future__ import annotations

from fastapi import Response
from starlette.types import Message

__all__ = ["whole"]

_KEPT = {b"content-type", b"content-encoding"}


async def whole(response: Response) -> tuple[int, dict[str, str], bytes]:
    """Return status, the headers that tell how to read it, and the body; streams are read out."""
    head: Message = {}
    chunks: list[bytes] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        else:
            chunks.append(message.get("body", b""))

    async def receive() -> Message:
        raise NotImplementedError("a response reads no request")

    scope = {"type": "http", "method": "POST", "asgi": {"version": "3.0", "spec_version": "2.4"}}
    await response({**scope, "headers": []}, receive, send)
    headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in head["headers"] if k in _KEPT}
    return head["status"], headers, b"".join(chunks)
