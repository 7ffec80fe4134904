"""The log: lines for people about the server, and one line of JSON about each request.

A request's line is made of what a `Record` holds. In JSON, whatever is about one request is one
line, a bug's traceback too; what the server says of itself stays readable.
"""

from __future__ import annotations

import logging
import random
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from service.record import Record
from service.settings import Settings

__all__ = ["RequestLog", "configure"]

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

requests = logging.getLogger("shapserve.requests")


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Let the log go to a stream, standard error if none is named."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json(_TEXT) if settings.log_format == "json" else _Text(_TEXT))
    # No line tells of these, and each record would look them up.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # its warnings are about clients' oddities


class RequestLog:
    """Writes a line about each request, or about some.

    Parameters
    ----------
    share : of the requests that get a line; 0 switches it off. Below 1, those that are answered
        with 500 or more still get one.
    """

    def __init__(self, share: float = 1.0) -> None:
        self.share = share

    def note(self, record: Record) -> None:
        """Write the line of one request that is over."""
        level = logging.INFO if record.status < 500 else logging.WARNING
        if not self._wanted(record.status) or not requests.isEnabledFor(level):
            return
        fields: dict[str, Any] = {
            "request_id": record.request_id,
            "method": record.method,
            "route": record.route,
            "status": record.status,
            "ms": _ms(record.seconds),
            "stages_ms": _stages(record),
            "bytes_in": record.bytes_in,
            "bytes_out": record.bytes_out,
        }
        optional = {
            "model": record.model,
            "rows": record.rows,
            "code": record.code,
            "caller": record.caller,
            "trace_id": record.trace_id,
        }
        fields.update((name, value) for name, value in optional.items() if value)
        requests.handle(_line(level, fields))

    def _wanted(self, status: int) -> bool:
        if self.share >= 1 or self.share <= 0:
            return self.share > 0
        return status >= 500 or random.random() < self.share  # noqa: S311 nothing depends on it


def _line(level: int, fields: dict[str, Any]) -> logging.LogRecord:
    """A record without the search for the caller's line of code, which nobody wants to know."""
    line = logging.LogRecord(requests.name, level, "", 0, "request", None, None)
    line.fields = fields
    return line


def _stages(record: Record) -> dict[str, float]:
    """Milliseconds of each stage; one that came several times is added up."""
    seconds: dict[str, float] = {}
    for stage, began, ended in record.spans:
        seconds[stage] = seconds.get(stage, 0.0) + ended - began
    return {stage: _ms(spent) for stage, spent in seconds.items()}


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)


class _Json(logging.Formatter):
    """JSON for what is about a request, text for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        fields = getattr(record, "fields", None)
        request_id = getattr(record, "request_id", None)
        if fields is None and request_id is None:
            return super().format(record)
        if fields is None:
            fields = {"request_id": request_id}
        line = {
            "time": datetime.fromtimestamp(round(record.created, 3), UTC),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **fields,
        }
        return orjson.dumps(line, option=orjson.OPT_UTC_Z).decode()


class _Text(logging.Formatter):
    """`request status=200 ...` for a request."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line, or several about a bug."""
        fields = getattr(record, "fields", None)
        if fields is None:
            return super().format(record)
        told = {**fields, **fields["stages_ms"]}
        del told["stages_ms"]
        pairs = " ".join(f"{name}={value}" for name, value in told.items())
        return f"{super().format(record)} {pairs}"
