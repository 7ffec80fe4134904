"""Every refusal goes through one handler and has one body shape.

::

    {"error": {"code", "message", "violations": [{"row", "column", "rule"}], "total_violations"},
     "request_id"}

Only what is known to be the client's doing becomes a 4xx: a `Refusal`, or rows that break the
schema. Any other exception is a bug; `service.gate` answers it with `internal_error`.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from scoring.errors import RowsError, Violation

__all__ = [
    "BadOption",
    "BodyTooLarge",
    "BrokenBody",
    "Refusal",
    "TooManyRows",
    "UnknownModel",
    "UnsupportedMedia",
    "describe",
    "install",
    "internal_error",
]


class Refusal(Exception):
    """A request that is turned away for a reason the client can mend.

    No message repeats what the client sent.
    """

    status: int
    code: str

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        self.message, self.headers = message, headers
        super().__init__(message)


class BadOption(Refusal):
    """The query asks for what there is not."""

    status, code = 422, "invalid_option"


class BrokenBody(Refusal):
    """The body is not the JSON that it says to be."""

    status, code = 400, "broken_json"


class UnsupportedMedia(Refusal):
    """A content type, character set or content encoding that is not read here."""

    status, code = 415, "unsupported_media_type"


class BodyTooLarge(Refusal):
    """The body has more bytes than the server takes."""

    status, code = 413, "body_too_large"

    def __init__(self, max_bytes: int) -> None:
        # The rest of the body is not worth reading, so the connection ends here.
        message = f"The body must not be larger than {max_bytes} bytes."
        super().__init__(message, {"Connection": "close"})


class TooManyRows(Refusal):
    """The body has more rows than the server takes."""

    status, code = 413, "too_many_rows"

    def __init__(self, max_rows: int) -> None:
        super().__init__(f"A request must not have more than {max_rows} rows.")


class UnknownModel(Refusal):
    """No model of that name is served."""

    status, code = 404, "unknown_model"

    def __init__(self) -> None:
        super().__init__("No model of that name is served here; GET /health/ready lists them.")


def install(app: FastAPI) -> None:
    """Make the one handler answer everything that is refused."""
    for kind in (Refusal, RowsError, HTTPException):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, exc: Exception) -> Response:
    request_id = request.state.request_id
    match exc:
        case Refusal():
            return _response(request_id, exc.status, exc.code, exc.message, headers=exc.headers)
        case RowsError():
            message = "The rows do not fit the schema; GET /schema describes it."
            return _response(request_id, 422, "schema_violations", message, exc)
        case HTTPException():
            status = HTTPStatus(exc.status_code)
            code = status.phrase.lower().replace(" ", "_")
            return _response(request_id, status, code, status.description, headers=exc.headers)
    raise exc


def internal_error(request_id: str) -> Response:
    """Return the answer to a request that ran into a bug: it says nothing about the cause."""
    message = "An unexpected error happened. The server's log has it under this request id."
    return _response(request_id, 500, "internal_error", message)


def _response(
    request_id: str,
    status: int,
    code: str,
    message: str,
    rows: RowsError | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = {
        "error": {
            "code": code,
            "message": message,
            "violations": [_plain(violation) for violation in rows.violations] if rows else [],
            "total_violations": rows.total if rows else 0,
        },
        "request_id": request_id,
    }
    return Response(orjson.dumps(body), status, headers, "application/json")


def _plain(violation: Violation) -> dict[str, Any]:
    return {"row": violation.row, "column": violation.column, "rule": violation.rule}


def describe(exc: BaseException) -> str:
    """Return the traceback for the log, without the messages: libraries quote values in them."""
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    before = f"{describe(cause)}then, while that was handled:\n" if cause else ""
    frames = "".join(traceback.format_tb(exc.__traceback__))
    return f"{before}{frames}{type(exc).__module__}.{type(exc).__qualname__}\n"
