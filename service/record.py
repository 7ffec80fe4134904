"""What is noted of one request while it is answered, for the metrics, the log and the traces.

It holds templates, ids, numbers and names of ours, and nothing else that came from a client.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import Scope

__all__ = ["METHODS", "Record", "Span", "begin", "current"]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Span(NamedTuple):
    """A stage of a request, from and until seconds of `time.perf_counter`."""

    stage: str
    began: float
    ended: float


class Record:
    """One request.

    Parameters
    ----------
    scope : of ASGI; read when all is over, because the route is found on the way.
    request_id : the client's, where it is harmless, else ours.

    Attributes
    ----------
    status : of the answer; 0 until there is one.
    model : the served model that it was about; empty where it was about none.
    code : why it was refused; empty where it was not.
    rows : how many were scored.
    spans : its stages, in the order in which they ended.
    bytes_in, bytes_out : of the two bodies, as far as they were read and sent.
    trace_id : what names it in the traces; empty where there are none.
    """

    __slots__ = (
        "began",
        "bytes_in",
        "bytes_out",
        "code",
        "ended",
        "model",
        "request_id",
        "rows",
        "scope",
        "spans",
        "status",
        "trace_id",
    )

    def __init__(self, scope: Scope, request_id: str) -> None:
        self.scope, self.request_id = scope, request_id
        self.status = self.rows = self.bytes_in = self.bytes_out = 0
        self.model = self.code = self.trace_id = ""
        self.spans: list[Span] = []
        self.ended = 0.0
        self.began = time.perf_counter()

    def finish(self) -> None:
        """Note that all is over."""
        self.ended = time.perf_counter()

    def add(self, stage: str, began: float, ended: float) -> None:
        """Note a stage; one that outlives its request, as a batch may, is not waited for."""
        if not self.ended:
            self.spans.append(Span(stage, began, ended))

    @property
    def seconds(self) -> float:
        """From the headers to the end of the answer."""
        return self.ended - self.began

    @property
    def route(self) -> str:
        """The route's template: paths come from clients and would make endless labels."""
        return getattr(self.scope.get("route"), "path_format", "other")

    @property
    def method(self) -> str:
        """The method, if it is one that there is."""
        method: str = self.scope["method"]
        return method if method in METHODS else "other"

    @property
    def caller(self) -> str | None:
        """Name of the key that the request came with."""
        name: str | None = self.scope["state"].get("caller")
        return name


_current: ContextVar[Record | None] = ContextVar("record", default=None)


def begin(scope: Scope, request_id: str) -> Record:
    """Start the record of the request that this task answers."""
    record = Record(scope, request_id)
    _current.set(record)
    return record


def current() -> Record | None:
    """Return the record of the request that is answered here; worker threads see it too."""
    return _current.get()
