"""Threads that do not keep the process alive: an abandoned explanation must not delay its end."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["Threads"]

Job = Callable[[], None]


class Threads:
    """Up to `n` daemon threads, started when first needed, that end with this object."""

    def __init__(self, n: int, name: str) -> None:
        self._n, self._name, self._started = n, name, 0
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        weakref.finalize(self, _stop, self._jobs, n)

    def run(self, job: Job) -> None:
        """Have one of the threads call `job`, which must not raise."""
        if self._started < self._n:
            self._started += 1
            name = f"{self._name}-{self._started}"
            threading.Thread(target=_work, args=(self._jobs,), name=name, daemon=True).start()
        self._jobs.put(job)


def _work(jobs: SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # it holds on to its rows


def _stop(jobs: SimpleQueue[Job | None], n: int) -> None:
    for _ in range(n):
        jobs.put(None)
