"""What a store holds of a job: one line of JSON, then the answer as it goes out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

import orjson

from service.errors import Refusal

__all__ = ["Record", "read", "refused", "running", "write"]

State = Literal["running", "done", "refused"]


@dataclass(frozen=True)
class Record:
    """One explanation.

    Parameters
    ----------
    caller : the name of the key that asked; None where there are no keys.
    worker : the process that works on it.
    status, headers : of the answer.
    code, message : of the refusal, where it is one.
    """

    state: State
    caller: str | None
    worker: str
    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    code: str = ""
    message: str = ""


def running(caller: str | None, worker: str) -> Record:
    """Return the record of a job that has been accepted."""
    return Record("running", caller, worker)


def refused(record: Record, refusal: Refusal) -> Record:
    """Return the record of the same job once it has failed."""
    facts = refusal.status, dict(refusal.headers or {}), refusal.code, refusal.message
    return Record("refused", record.caller, record.worker, *facts)


def write(record: Record, body: bytes = b"") -> bytes:
    """Write a record."""
    return orjson.dumps(asdict(record)) + b"\n" + body


def read(data: bytes) -> tuple[Record, bytes] | None:
    """Read a record and the answer; None where nobody of this release has written it."""
    head, _, body = data.partition(b"\n")
    try:
        return Record(**orjson.loads(head)), body
    except (ValueError, TypeError):  # such as after a loss of power, or of another release
        return None
