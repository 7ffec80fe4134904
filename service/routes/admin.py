"""`POST /admin/models/{name}/reload`, for those with a key of the role admin."""

from __future__ import annotations

import re

import orjson
from fastapi import APIRouter, Request

from service.documents import ModelDocument, responses
from service.errors import BadOption
from service.limits import read_body
from service.reload import Reloader

__all__ = ["router"]

_MAX_BODY_BYTES = 4096
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BODY = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "expect_sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}
                    },
                    "additionalProperties": False,
                }
            }
        },
    }
}


def router(reloader: Reloader) -> APIRouter:
    """`POST /admin/models/{name}/reload`."""
    routes = APIRouter(prefix="/admin", tags=["admin"])

    @routes.post(
        "/models/{name}/reload",
        response_model=ModelDocument,
        responses=responses(400, 404, 408, 409, 422),
        openapi_extra=_BODY,
    )
    async def reload(name: str, request: Request) -> dict[str, str]:
        """Load a model again from where it came from; requests under way end with the old one."""
        expected = _expected(await read_body(request, _MAX_BODY_BYTES))
        return (await reloader.reload(name, expected)).model

    return routes


def _expected(body: bytes) -> str | None:
    """The digest that the artifact must have, if the body names one."""
    if not body.strip():
        return None
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    if isinstance(told, dict) and told.keys() <= {"expect_sha256"}:
        digest = told.get("expect_sha256")
        if digest is None or (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
            return digest
    raise BadOption('The body must be empty, or {"expect_sha256": DIGEST} with 64 hex digits.')
