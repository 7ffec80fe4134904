"""What the stores of later explanations have in common."""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

from service.jobs.refusals import AnswerTooLarge

__all__ = ["KEY", "LEAST", "Bounds", "Store", "size_of"]

KEY = re.compile(r"[0-9a-f]{64}")
"""What keys look like: digests, which say nothing of the ids that they come from."""

LEAST = 1024
"""Bytes that any record counts for: a refusal then fits where the note of a running job was."""


class Bounds(NamedTuple):
    """How much a store may hold at a time."""

    entries: int
    size: int  # bytes


class Store(Protocol):
    """Records under keys, for a time, within bounds; and which workers are alive.

    A record is bytes and nothing but bytes: no store looks into it.
    """

    @property
    def outlives_process(self) -> bool:
        """Whether a record can be fetched once the process that wrote it is gone."""

    async def create(self, key: str, record: bytes, seconds: float) -> None:
        """Keep a new record for some seconds.

        Raises
        ------
        StoreFull, AnswerTooLarge, StoreDown
        """

    async def replace(self, key: str, record: bytes, seconds: float) -> bool:
        """Keep another record in place of one; returns False where that is gone.

        Raises
        ------
        StoreFull, AnswerTooLarge, StoreDown
        """

    async def get(self, key: str) -> bytes | None:
        """Return a record that has not expired.

        Raises
        ------
        StoreDown
        """

    async def delete(self, key: str) -> None:
        """Forget a record, if there is one.

        Raises
        ------
        StoreDown
        """

    async def beat(self, worker: str, seconds: float) -> None:
        """Tell that a worker is alive, for the next seconds.

        Raises
        ------
        StoreDown
        """

    async def is_alive(self, worker: str) -> bool:
        """Return whether a worker's last beat still counts.

        Raises
        ------
        StoreDown
        """

    async def sweep(self) -> None:
        """Forget what has expired; without it, that may lie there until the next one comes.

        Raises
        ------
        StoreDown
        """

    async def close(self) -> None:
        """Let go of connections."""


def size_of(record: bytes, bounds: Bounds) -> int:
    """Return the bytes that a record is counted for.

    Raises
    ------
    AnswerTooLarge
        It would not fit even if it were alone.
    """
    size = max(len(record), LEAST)
    if size > bounds.size:
        raise AnswerTooLarge
    return size
