"""From the setting `results_store` to a store."""

from __future__ import annotations

from pathlib import Path

from service.jobs.memory import MemoryStore
from service.jobs.store import Bounds, Store
from service.settings import Settings

__all__ = ["open_store"]


def open_store(settings: Settings) -> Store:
    """Open the store that the settings name.

    Raises
    ------
    OSError
        A directory that cannot be used.
    """
    bounds = Bounds(settings.results_max_entries, settings.results_max_bytes)
    kind, _, place = settings.results_store.partition(":")
    if kind == "memory":
        return MemoryStore(bounds)
    if kind == "dir":
        from service.jobs.directory import DirectoryStore  # which needs locks of a POSIX system

        return DirectoryStore(Path(place), bounds)

    from service.jobs.redis_store import RedisStore  # which needs the extra

    return RedisStore(settings.results_store, bounds)
