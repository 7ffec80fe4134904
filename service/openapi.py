"""The OpenAPI document: to what each route tells of itself comes what surrounds all of them.

Keys, limits and the gate answer before a route does, or in its place. FastAPI knows nothing of
them, and would tell of a 422 of its own that never happens here.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from service.auth import PROBES
from service.limits import is_probe
from service.protocols.refusals import document_of

__all__ = ["complete"]

_GATE = (500,)
_LIMITS = (413, 415, 429, 503)
_AUTH = (401, 403)

_NEVER = "HTTPValidationError"  # what FastAPI's own validation would answer: no route uses it
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "api key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def _header(description: str, *, required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": "string"}}


_ALWAYS = {"X-Request-ID": _header("The request's own, where it is harmless; else a new one.")}
_WITH_STATUS = {
    "401": {"WWW-Authenticate": _header("Bearer.")},
    "415": {"Accept-Encoding": _header("Where it is about the encoding.", required=False)},
    **{status: {"Retry-After": _header("Seconds to wait.")} for status in ("429", "503", "504")},
}


def complete(app: FastAPI, *, keys: bool) -> None:
    """Let an application tell everything that its operations may answer.

    Parameters
    ----------
    keys : whether the service asks for them.
    """
    of_routes = app.openapi

    def whole() -> dict[str, Any]:
        known = app.openapi_schema  # forgotten where a model is loaded again
        return known or _completed(of_routes(), keys=keys)

    app.openapi = whole  # type: ignore[method-assign]  # FastAPI's own way to change the document


def _completed(document: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(operation, path)
            if keys and path not in PROBES:
                operation["security"] = [{name: []} for name in _SCHEMES]
    components = document["components"]
    for name in (_NEVER, "ValidationError"):
        components["schemas"].pop(name, None)
    if keys:
        components["securitySchemes"] = _SCHEMES
    return document


def _complete(operation: dict[str, Any], path: str) -> None:
    answers = operation["responses"]
    if _NEVER in str(answers.get("422")):
        del answers["422"]
    refusal = {"schema": {"$ref": f"#/components/schemas/{document_of(path).__name__}"}}
    for status in _around(path):
        told = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": refusal},
        }
        answers.setdefault(str(status), told)
    for status, answer in answers.items():
        headers = answer.setdefault("headers", {})
        headers |= _ALWAYS | _WITH_STATUS.get(status, {})
    operation["responses"] = dict(sorted(answers.items()))


def _around(path: str) -> tuple[int, ...]:
    """What may be answered whatever the route is."""
    return _GATE + (() if is_probe(path) else _LIMITS) + (() if path in PROBES else _AUTH)
