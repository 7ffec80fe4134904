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
from starlette.routing import Match

from scoring.errors import ArtifactError, RowsError, ShapserveError, Violation
from service.memory import NotEnoughMemory
from service.record import METHODS, current

__all__ = [
    "AdminOff",
    "BadOption",
    "BodyTooLarge",
    "BrokenBody",
    "BrokenEncoding",
    "DecodedTooLarge",
    "NotOffered",
    "Overloaded",
    "Refusal",
    "ReloadRefused",
    "ShuttingDown",
    "SlowBody",
    "TooManyRequests",
    "TooManyRows",
    "TooManyValues",
    "TooSlow",
    "UnknownKey",
    "UnknownModel",
    "UnreadableBody",
    "UnsupportedMedia",
    "WrongRole",
    "describe",
    "install",
    "internal_error",
    "refused",
    "why_not_loaded",
]


_CLOSE = {"Connection": "close"}  # the rest of the body is not worth reading
_LATER = {"Retry-After": "1"}  # seconds; a batch that is under way is rarely longer


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


class UnreadableBody(Refusal):
    """The body is not the CSV or the Arrow stream that it says to be."""

    status, code = 400, "unreadable_body"


class UnsupportedMedia(Refusal):
    """A content type, character set or content encoding that is not read here."""

    status, code = 415, "unsupported_media_type"


class BodyTooLarge(Refusal):
    """The body has more bytes than the server takes."""

    status, code = 413, "body_too_large"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The body must not be larger than {max_bytes} bytes.", _CLOSE)


class DecodedTooLarge(BodyTooLarge):
    """The body has more bytes than that once it is decompressed."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self.message = f"The body must not be larger than {max_bytes} bytes when decompressed."


class BrokenEncoding(Refusal):
    """The body is not compressed in the way that it says."""

    status, code = 400, "broken_encoding"

    def __init__(self) -> None:
        super().__init__("The body must be whole gzip, as its Content-Encoding says.", _CLOSE)


class SlowBody(Refusal):
    """The body did not come in time."""

    status, code = 408, "slow_body"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The whole body must come within {seconds:g} seconds.", _CLOSE)


class TooManyRequests(Refusal):
    """As many requests are under way as may be."""

    status, code = 429, "too_many_requests"

    def __init__(self) -> None:
        super().__init__("Too many requests are under way; try again soon.", _LATER)


class Overloaded(Refusal):
    """There is no room for the request, or it waited in vain."""

    status, code = 503, "overloaded"

    def __init__(self) -> None:
        super().__init__("The server has more to do than it can; try again soon.", _LATER)


class ShuttingDown(Refusal):
    """The server is about to end."""

    status, code = 503, "shutting_down"

    def __init__(self) -> None:
        super().__init__("This server is shutting down; try again soon.", _LATER | _CLOSE)


class TooSlow(Refusal):
    """The rows could not be explained in the time that a request has."""

    status, code = 504, "too_slow"

    def __init__(self, seconds: float) -> None:
        message = f"The rows were not explained within {seconds:g} seconds; send fewer at a time."
        super().__init__(message, _LATER)


class TooManyRows(Refusal):
    """The body has more rows than the server takes."""

    status, code = 413, "too_many_rows"

    def __init__(self, max_rows: int) -> None:
        super().__init__(f"A request must not have more than {max_rows} rows.")


class TooManyValues(Refusal):
    """The body has more values than that many rows can have."""

    status, code = 413, "too_many_values"

    def __init__(self, max_rows: int) -> None:
        message = f"The body must not have more values than {max_rows} rows of this model do."
        super().__init__(message)


class UnknownModel(Refusal):
    """No model of that name is served."""

    status, code = 404, "unknown_model"

    def __init__(self) -> None:
        super().__init__("No model of that name is served here; GET /health/ready lists them.")


class UnknownKey(Refusal):
    """The request brings no key, or none that is known."""

    status, code = 401, "unauthorized"

    def __init__(self, *, given: bool) -> None:
        challenge = 'Bearer realm="shapserve"' + (', error="invalid_token"' if given else "")
        message = "Send a key that is known here, as Authorization: Bearer KEY or X-API-Key: KEY."
        super().__init__(message, {"WWW-Authenticate": challenge})


class WrongRole(Refusal):
    """The key is known and is for something else."""

    status, code = 403, "wrong_role"

    def __init__(self, role: str) -> None:
        super().__init__(f"This needs a key with the role {role}.")


class AdminOff(Refusal):
    """Administration is asked for, and no key can be checked."""

    status, code = 403, "admin_off"

    def __init__(self) -> None:
        super().__init__("Administration is off, because no API keys are configured.")


class NotOffered(Refusal):
    """A call of a protocol that its other servers answer, and this one does not."""

    status, code = 501, "not_implemented"


class ReloadRefused(Refusal):
    """A model cannot be loaded again; the one that was there stays."""

    status, code = 409, "reload_refused"


def install(app: FastAPI) -> None:
    """Make the one handler answer everything that is refused."""
    for kind in (Refusal, RowsError, HTTPException):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, exc: Exception) -> Response:
    request_id = request.state.request_id
    match exc:
        case Refusal():
            return refused(request_id, exc)
        case RowsError():
            message = "The rows do not fit the schema; GET /schema describes it."
            return _response(request_id, 422, "schema_violations", message, exc)
        case HTTPException():
            status = HTTPStatus(exc.status_code)
            code, headers = status.phrase.lower().replace(" ", "_"), exc.headers
            if status == HTTPStatus.METHOD_NOT_ALLOWED:
                headers = _allowed(request)
                if request.method == "OPTIONS":
                    return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
            return _response(request_id, status, code, status.description, headers=headers)
    raise exc


def _allowed(request: Request) -> dict[str, str]:
    """The methods of every route of a path; the router tells those of the first."""
    routes = request.app.routes
    found = {
        method
        for method in METHODS
        if any(r.matches({**request.scope, "method": method})[0] is Match.FULL for r in routes)
    }
    found |= {"OPTIONS", "HEAD"} if "GET" in found else {"OPTIONS"}
    return {"Allow": ", ".join(sorted(found))}


def refused(request_id: str, refusal: Refusal) -> Response:
    """Return the answer to a request that is turned away."""
    told = refusal.status, refusal.code, refusal.message
    return _response(request_id, *told, headers=refusal.headers)


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
    record = current()
    if record is not None:
        record.code = code
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


def why_not_loaded(exc: Exception, directory: str) -> str:
    """Tell whoever may reload a model why it was not, without the paths of this machine."""
    match exc:
        case ArtifactError():
            told = f"{exc.problem}. {exc.remedy}"
            if not exc.file.startswith(("/", directory)):
                told = f"{exc.file}: {told}"
        case ShapserveError() | NotEnoughMemory():
            told = str(exc)
        case OSError():
            told = exc.strerror or "the artifact cannot be read"
        case _:  # a model's own code, of which the log has more
            told = "it failed to load, or to score its own sample; the server's log says where"
    return told.replace(directory, "the artifact")


def describe(exc: BaseException) -> str:
    """Return the traceback for the log, without the messages: libraries quote values in them."""
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    before = f"{describe(cause)}then, while that was handled:\n" if cause else ""
    frames = "".join(traceback.format_tb(exc.__traceback__))
    return f"{before}{frames}{type(exc).__module__}.{type(exc).__qualname__}\n"
