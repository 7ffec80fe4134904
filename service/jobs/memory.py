"""A store in the memory of one process."""

from __future__ import annotations

import time
from typing import NamedTuple

from service.jobs.refusals import StoreFull
from service.jobs.store import Bounds, size_of

__all__ = ["MemoryStore"]


class _Entry(NamedTuple):
    expires: float
    size: int
    record: bytes


class MemoryStore:
    """Records that end with the process."""

    outlives_process = False

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._entries: dict[str, _Entry] = {}

    async def create(self, key: str, record: bytes, seconds: float) -> None:
        """Keep a new record."""
        self._sweep()
        if len(self._entries) >= self._bounds.entries:
            raise StoreFull
        self._put(key, record, seconds)

    async def replace(self, key: str, record: bytes, seconds: float) -> bool:
        """Keep another record in place of one."""
        self._sweep()
        if key not in self._entries:
            return False
        self._put(key, record, seconds)
        return True

    async def get(self, key: str) -> bytes | None:
        """Return a record."""
        self._sweep()
        entry = self._entries.get(key)
        return entry.record if entry else None

    async def delete(self, key: str) -> None:
        """Forget a record."""
        self._entries.pop(key, None)

    async def beat(self, worker: str, seconds: float) -> None:
        """Do nothing: who can ask is alive."""

    async def is_alive(self, worker: str) -> bool:  # noqa: ARG002 there is only one
        """Return True: the worker is the process that is asked."""
        return True

    async def sweep(self) -> None:
        """Forget what has expired."""
        self._sweep()

    async def close(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def _put(self, key: str, record: bytes, seconds: float) -> None:
        size = size_of(record, self._bounds)
        others = sum(entry.size for other, entry in self._entries.items() if other != key)
        if others + size > self._bounds.size:
            raise StoreFull
        self._entries[key] = _Entry(time.monotonic() + seconds, size, record)

    def _sweep(self) -> None:
        now = time.monotonic()
        for key in [key for key, entry in self._entries.items() if entry.expires <= now]:
            del self._entries[key]
