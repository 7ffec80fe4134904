"""Merges what waits into batches; knows neither HTTP nor what the work is.

An item that finds a free worker starts once the event loop has had a turn without another one: at
once where it is alone, and else with those whose requests the loop is reading. What comes while all
workers are busy waits, and the next free worker takes as many of the same key as fit. So nothing
waits for company by the clock: waiting is only ever for a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from service.threads import Threads

__all__ = ["Batcher", "Closed", "Full", "Overdue"]

_TURNS = 8
"""Of the event loop before a batch begins at the latest."""

T = TypeVar("T")
R = TypeVar("R")


class Closed(Exception):
    """Nothing is accepted any more."""


class Full(Exception):
    """As many items wait as may."""


class Overdue(Exception):
    """An item was not finished in its time; `started` tells whether a worker had taken it."""

    def __init__(self, *, started: bool) -> None:
        self.started = started
        super().__init__("started" if started else "waiting")


@dataclass(eq=False)
class _Entry(Generic[T, R]):
    key: Hashable
    item: T
    size: int
    future: asyncio.Future[R]
    since: float = field(default_factory=time.perf_counter)


class Batcher(Generic[T, R]):
    """A queue in front of a few worker threads.

    Used from one event loop.

    Parameters
    ----------
    work : from a key and items of that key to one result for each, in order. Where it raises for
        several items, it is called again for each by itself, and only those that fail alone fail.
    workers : batches worked on at a time.
    max_size : largest batch, in the items' sizes together; a larger item goes alone.
    max_waiting : most items in the queue.
    quick : whether a batch of this key and size takes so little time that it is worked on in the
        event loop: a thread would cost more.
    waited : told the seconds that each item was in the queue.
    """

    def __init__(
        self,
        work: Callable[[Any, Sequence[T]], Sequence[R]],
        *,
        workers: int,
        max_size: int,
        max_waiting: int,
        quick: Callable[[Any, int], bool] | None = None,
        waited: Callable[[float], None] | None = None,
    ) -> None:
        self._work, self._quick, self._waited = work, quick, waited
        self._workers = self._free = workers
        self._max_size, self._max_waiting = max_size, max_waiting
        self._waiting: dict[_Entry[T, R], None] = {}  # in order of arrival
        self._threads = Threads(workers, "score")
        self._scheduled = self._closed = False
        self._n_came = 0  # items so far
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def n_waiting(self) -> int:
        """How many items no worker has taken yet."""
        return len(self._waiting)

    async def submit(
        self,
        key: Hashable,
        item: T,
        size: int,
        *,
        seconds: float = math.inf,
        admitted: bool = False,
    ) -> R:
        """Have an item worked on; returns its result.

        Parameters
        ----------
        key : only items of equal keys share a batch.
        size : how much of a batch it takes.
        seconds : how long it may take, the wait included.
        admitted : whether it is part of what was accepted before, and cannot be refused.

        Raises
        ------
        Closed, Full
            It was refused, and nothing happened.
        Overdue
            It was given up; a worker that has it finishes its batch nevertheless.
        Exception
            What `work` raised for this item alone.
        """
        if self._closed and not admitted:
            raise Closed
        if len(self._waiting) >= self._max_waiting and not admitted:
            raise Full
        loop = asyncio.get_running_loop()
        entry: _Entry[T, R] = _Entry(key, item, size, loop.create_future())
        self._waiting[entry] = None
        self._n_came += 1
        self._idle.clear()
        self._schedule(loop)
        late = None if seconds == math.inf else loop.call_later(seconds, self._give_up, entry)
        try:
            return await entry.future
        finally:  # a caller that leaves takes its entry along
            self._waiting.pop(entry, None)
            self._look_idle()
            if late is not None:
                late.cancel()

    def close(self) -> None:
        """Refuse from now on; what was accepted is finished."""
        self._closed = True

    async def finished(self) -> None:
        """Wait until nothing is waiting and no worker is busy."""
        await self._idle.wait()

    def _give_up(self, entry: _Entry[T, R]) -> None:
        started = self._waiting.pop(entry, self) is self
        if not entry.future.done():
            entry.future.set_exception(Overdue(started=started))

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the queue when everything that is ready now has had its turn."""
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._look, loop, self._n_came, _TURNS)

    def _look(self, loop: asyncio.AbstractEventLoop, n_came: int, turns: int) -> None:
        """Begin when a turn of the loop has brought nothing more."""
        if turns and self._n_came > n_came:
            loop.call_soon(self._look, loop, self._n_came, turns - 1)
        else:
            self._dispatch(loop)

    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        passed: set[Hashable] = set()
        for entry in list(self._waiting):
            if entry.key in passed or entry not in self._waiting:
                continue
            if not (self._free or self._is_quick([entry])):
                passed.add(entry.key)
                continue
            batch = self._batch(entry)
            if self._is_quick(batch):
                self._take(batch)
                self._settle(batch, self._results(batch))
                if self._waiting:  # others have their turn first
                    self._schedule(loop)
                return
            if self._free:
                self._take(batch)
                self._free -= 1
                self._threads.run(partial(self._on_thread, loop, batch))
            else:
                passed.add(entry.key)

    def _is_quick(self, batch: Sequence[_Entry[T, R]]) -> bool:
        size = sum(entry.size for entry in batch)
        return self._quick is not None and self._quick(batch[0].key, size)

    def _batch(self, first: _Entry[T, R]) -> list[_Entry[T, R]]:
        """The first of a key and those after it that fit, in order of arrival."""
        batch, size = [first], first.size
        for entry in self._waiting:
            if entry is first or entry.key != first.key or entry.future.done():
                continue
            if size + entry.size > self._max_size:
                break  # a later one that fits must not overtake it for ever
            batch.append(entry)
            size += entry.size
        return batch

    def _take(self, batch: list[_Entry[T, R]]) -> None:
        now = time.perf_counter()
        for entry in batch:
            del self._waiting[entry]
            if self._waited is not None:
                self._waited(now - entry.since)

    def _results(self, batch: Sequence[_Entry[T, R]]) -> list[R | Exception | None]:
        """Results or errors in order; None where nobody waits for it any more."""
        wanted = [entry for entry in batch if not entry.future.done()]
        if not wanted:
            return [None] * len(batch)
        try:
            results = self._work(wanted[0].key, [entry.item for entry in wanted])
            found = dict(zip(wanted, results, strict=True))
        except Exception as exc:  # noqa: BLE001 whatever it is, it goes to whom it concerns
            if len(batch) == 1:
                return [exc]
            return [self._results([entry])[0] for entry in batch]
        return [found.get(entry) for entry in batch]

    def _on_thread(self, loop: asyncio.AbstractEventLoop, batch: list[_Entry[T, R]]) -> None:
        results: Sequence[R | Exception | None]
        try:
            results = self._results(batch)
        except BaseException as exc:  # noqa: BLE001 nobody may be left waiting
            stopped = RuntimeError("the worker was stopped")
            stopped.__cause__ = exc
            results = [stopped] * len(batch)
        # Where the loop is closed, the server has ended and so have all that waited.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._finish, loop, batch, results)

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[_Entry[T, R]],
        results: Sequence[R | Exception | None],
    ) -> None:
        self._free += 1
        self._settle(batch, results)
        self._look_idle()
        if self._waiting:
            self._schedule(loop)

    def _look_idle(self) -> None:
        if not self._waiting and self._free == self._workers:
            self._idle.set()

    def _settle(
        self, batch: Sequence[_Entry[T, R]], results: Sequence[R | Exception | None]
    ) -> None:
        for entry, result in zip(batch, results, strict=True):
            if entry.future.done():
                continue
            if isinstance(result, Exception):
                entry.future.set_exception(result)
            else:
                entry.future.set_result(result)  # type: ignore[arg-type]  # None is for nobody
