"""Routes that read their requests themselves, so that nothing is left for FastAPI to inject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Direct"]


class Direct(APIRoute):
    """A route of an endpoint that takes the request, what its path names, and nothing else.

    What FastAPI does between a request and such an endpoint (dependencies, bodies, models of
    answers) costs as much as reading the body, and finds nothing to do.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **about: Any) -> None:
        super().__init__(path, endpoint, **about)
        self.app = _calling(endpoint)


def _calling(endpoint: Callable[..., Any]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response: ASGIApp = await endpoint(request=request, **request.path_params)
        await response(scope, receive, send)

    return app
