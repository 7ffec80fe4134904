"""Jobs of one worker process: a few at a time, and none of them silently gone.

While it has unfinished jobs, the worker says so to the store again and again. Whoever is asked for
an explanation of a worker that has fallen silent knows then that it is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from fastapi import Response
from prometheus_client import Counter, Gauge

from service.engine import Engine
from service.errors import Refusal, describe
from service.jobs import record as records
from service.jobs.answer import whole
from service.jobs.record import Record
from service.jobs.refusals import ExplanationFailed, ExplanationLost, StoreDown, TooManyJobs
from service.jobs.store import Store
from service.metrics import Metrics
from service.settings import Settings

__all__ = ["Background", "Complete", "Job"]

Complete = Callable[[Engine], Awaitable[Response]]

LEASE = 15.0
"""Seconds without a sign of life after which a worker counts as gone."""

_BUSY = {429, 503}  # what a job waits out: those who wait for their answer go first
_PAUSE = 0.5  # seconds between two attempts

logger = logging.getLogger("shapserve")


@dataclass(frozen=True, eq=False)
class Job:
    """One explanation to make.

    Parameters
    ----------
    key : under which the store has its record.
    request_id : of the request that asked for it, for the log.
    size : bytes of its rows, which are held until it is done.
    until : when it is given up, on the monotonic clock.
    """

    key: str
    request_id: str
    size: int
    record: Record
    until: float


class Background:
    """Works on jobs, at most `concurrency` at a time.

    Parameters
    ----------
    worker : a name for this process, a digest.
    engine : what explains them; it has workers of its own, so that jobs never take all.
    """

    def __init__(
        self,
        store: Store,
        worker: str,
        engine: Engine,
        settings: Settings,
        metrics: Metrics,
        concurrency: int,
    ) -> None:
        self.worker = worker
        self._store, self._engine, self._metrics = store, engine, metrics
        self._seconds, self._grace = settings.results_seconds, settings.background_grace_seconds
        self._most, self._most_bytes = settings.background_queue, settings.results_max_bytes
        self._slots = asyncio.Semaphore(concurrency)
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[str]] = {}
        self._begun: set[str] = set()
        self._beat_due = 0.0
        self._pulse: asyncio.Task[None] | None = None
        self._closing = False
        self._outcomes = Counter(
            "shapserve_later_explanations",
            "Explanations that were asked for with Prefer: respond-async, by what became of them.",
            ["outcome"],
            registry=metrics.registry,
        )
        self._unfinished = Gauge(
            "shapserve_later_explanations_unfinished",
            "Those that wait or are being worked on.",
            registry=metrics.registry,
            multiprocess_mode="livesum",
        )

    def __contains__(self, key: object) -> bool:
        return key in self._jobs

    def check_room(self, size: int = 0) -> None:
        """Make sure that one more job may come.

        Raises
        ------
        TooManyJobs
            As many, or as many bytes of rows, as may wait; or the server is about to stop.
        """
        held = sum(job.size for job in self._jobs.values())
        too_large = held and held + size > self._most_bytes
        if self._closing or len(self._jobs) >= self._most or too_large:
            raise TooManyJobs

    @contextmanager
    def place(self, job: Job) -> Iterator[None]:
        """Hold a job's place while it is being announced; it is lost where that fails."""
        self.check_room(job.size)
        self._jobs[job.key] = job
        self._unfinished.inc()
        try:
            yield
        except BaseException:  # the client may have left, too
            self._leave(job)
            raise

    async def beat(self) -> None:
        """Tell that this worker is alive, unless it has just said so.

        Raises
        ------
        StoreDown
        """
        now = time.monotonic()
        if now >= self._beat_due:
            await self._store.beat(self.worker, LEASE)
            self._beat_due = now + LEASE / 3

    def start(self, job: Job, complete: Complete) -> None:
        """Work on a job that has its place."""
        self._outcomes.labels("accepted").inc()
        task = asyncio.create_task(self._work(job, complete))
        task.add_done_callback(partial(self._ended, job))  # also where it is cancelled early
        self._tasks[job.key] = task
        if self._pulse is None or self._pulse.done():
            self._pulse = asyncio.create_task(self._beat_on())

    def drop(self, key: str) -> None:
        """Take a job that waits out of the queue.

        One that has begun goes on: its thread cannot be stopped, so it must not give up its slot.
        """
        if key in self._tasks and key not in self._begun:
            self._tasks[key].cancel()

    async def close(self) -> None:
        """Finish what can be finished in time, and say of the rest that it is lost."""
        self._closing = True
        if self._tasks and self._store.outlives_process:  # else nobody could fetch them
            await asyncio.wait(self._tasks.values(), timeout=self._grace)
        left = list(self._jobs)
        for task in self._tasks.values():
            task.cancel()
        if self._store.outlives_process:
            with suppress(StoreDown):  # the lease runs out anyway
                for key in left:
                    await self._say_lost(key)
        if left:
            self._outcomes.labels("lost").inc(len(left))
            logger.warning("%d unfinished explanations were lost at shutdown", len(left))
        if self._pulse is not None:
            self._pulse.cancel()

    async def _work(self, job: Job, complete: Complete) -> str:
        """Do a job; returns what became of it."""
        async with self._slots:
            if not await self._begin(job):
                return "expired" if time.monotonic() >= job.until else "forgotten"
            self._begun.add(job.key)
            record, body = await self._finish(job, complete)
        return await self._keep(job, record, body)

    def _ended(self, job: Job, task: asyncio.Task[str]) -> None:
        self._leave(job)
        del self._tasks[job.key]
        self._begun.discard(job.key)
        if not task.cancelled():
            self._outcomes.labels(task.result()).inc()
        elif not self._closing:
            self._outcomes.labels("forgotten").inc()

    def _leave(self, job: Job) -> None:
        del self._jobs[job.key]
        self._unfinished.dec()

    async def _begin(self, job: Job) -> bool:
        """Whether nobody has deleted it, and it has not expired, while it waited.

        If so, its record outlives its work, so that "it took too long" can be told, too.
        """
        try:
            record = records.write(job.record)
            return await self._store.replace(job.key, record, 2 * self._seconds)
        except Refusal:  # the store is down, or may hold less than it did
            return True

    async def _finish(self, job: Job, complete: Complete) -> tuple[Record, bytes]:
        """Make the whole answer, or the refusal; wait while the server is busy with others."""
        while True:
            try:
                status, headers, body = await whole(await complete(self._engine))
            except Refusal as refusal:
                if refusal.status not in _BUSY or time.monotonic() > job.until:
                    return records.refused(job.record, refusal), b""
                await asyncio.sleep(_PAUSE)
            except Exception as exc:  # noqa: BLE001 a bug, told and counted as one
                self._metrics.unexpected_exceptions.inc()
                logger.error(  # noqa: TRY400 the message may quote a value
                    "unexpected exception after request %s\n%s", job.request_id, describe(exc)
                )
                return records.refused(job.record, ExplanationFailed()), b""
            else:
                return replace(job.record, state="done", status=status, headers=headers), body

    async def _keep(self, job: Job, record: Record, body: bytes) -> str:
        """Put it where it is fetched from, once the store takes it; returns what became of it."""
        while True:
            try:
                data = records.write(record, body)
                kept = await self._store.replace(job.key, data, self._seconds)
            except StoreDown:
                if time.monotonic() > job.until:
                    return "lost"
                await asyncio.sleep(_PAUSE)
            except Refusal as refusal:
                if record.state == "refused":
                    return "lost"
                record, body = records.refused(record, refusal), b""  # which fits
            else:
                return record.state if kept else "forgotten"

    async def _say_lost(self, key: str) -> None:
        data = await self._store.get(key)
        found = None if data is None else records.read(data)
        if found is not None and found[0].state == "running":
            lost = records.write(records.refused(found[0], ExplanationLost()))
            await self._store.replace(key, lost, self._seconds)

    async def _beat_on(self) -> None:
        """Tell that this worker is alive for as long as it has something to do."""
        while self._jobs:
            await asyncio.sleep(LEASE / 4)
            with suppress(StoreDown):
                await self.beat()
