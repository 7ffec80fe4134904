"""`/docs`: the interface as a page for people, under a policy that lets it show and no more."""

from __future__ import annotations

import base64
import hashlib
import re

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from service.headers import CSP

__all__ = ["router"]

_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_ELSEWHERE = re.compile(rb"""(?:src|href)=["'](https://[^/"']+)/""")


def router(title: str) -> APIRouter:
    """`GET /docs`."""
    routes = APIRouter()
    page = get_swagger_ui_html(openapi_url="openapi.json", title=title)
    headers = {CSP.decode(): _policy(bytes(page.body))}

    @routes.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """Show the interface."""
        return HTMLResponse(page.body, headers=headers)

    return routes


def _policy(page: bytes) -> str:
    """Allow what the page brings: its own script by digest, and the places it loads from."""
    digests = [hashlib.sha256(script).digest() for script in _INLINE.findall(page)]
    scripts = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    places = sorted({place.decode() for place in _ELSEWHERE.findall(page)})
    return "; ".join(
        [
            "default-src 'none'",
            "connect-src 'self'",
            f"script-src {' '.join(scripts + places)}",
            f"style-src 'unsafe-inline' {' '.join(places)}",
            f"img-src data: {' '.join(places)}",
            "frame-ancestors 'none'",
        ]
    )
