"""Where rows become scores: every protocol hands its rows over here and awaits the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Concatenate, ParamSpec, TypeVar

import anyio
from anyio.to_thread import run_sync

from service.batcher import Batcher, Closed, Full, Overdue
from service.errors import Overloaded, ShuttingDown, TooSlow
from service.metrics import Metrics
from service.options import Options
from service.pace import Pace
from service.presence import Attended
from service.record import Record, current
from service.scorer import RowsError, Scored, Scorer, Table
from service.settings import Settings

__all__ = ["Engine"]

P = ParamSpec("P")
T = TypeVar("T")

QUICK_SECONDS = 0.001
"""What is done in the event loop; handing it to a thread and back takes a tenth of that."""
SMALL_BODY = 16 * 1024
"""Bytes that are read in less."""
SMALL_ANSWER = 4096
"""Numbers that are written in less."""
_SOONEST_MS = 0.001


@dataclass(frozen=True)
class _Job:
    """What a batch has in common. A request with a deadline has nothing in common with another."""

    scorer: Scorer
    options: Options
    alone: object = None


@dataclass(frozen=True, eq=False)
class _Part:
    """Rows of one request."""

    table: Table
    since: float = field(default_factory=time.perf_counter)
    record: Record | None = field(default_factory=current)


class Engine:
    """Scores rows in batches, and keeps the event loop free of what takes long.

    Parameters
    ----------
    workers : batches explained at a time, because each may hold an explanation's block.
    in_loop : whether explanations that are known to be quick may be made in the event loop.
    attended : whether the client of a request waits for them; if it leaves, they are given up.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        workers: int,
        *,
        in_loop: bool = True,
        attended: bool = True,
    ) -> None:
        self._metrics, self._pace = metrics, Pace()
        self._max_rows, self._seconds = settings.max_batch_rows, settings.request_seconds
        self._attended = Attended if attended else nullcontext
        self._codec_threads = anyio.CapacityLimiter(workers)
        self._batcher = Batcher(
            self._scored,
            workers=workers,
            max_size=settings.max_batch_rows,
            max_waiting=settings.max_queue,
            quick=self._is_quick if in_loop else None,
            waited=metrics.waited,
        )

    async def score(self, scorer: Scorer, table: Table, options: Options) -> Scored:
        """Predict and explain the rows of one request.

        Rows of several requests may be explained in one call. A request with a deadline is always
        explained by itself: how far its coalitions go must depend on nobody else. One with more
        rows than a batch takes is explained in parts, so that others have their turn in between
        and the rest of it can be given up.

        Raises
        ------
        ShuttingDown, Overloaded
            The request was not begun.
        TooSlow
            It was, but took too long.
        ClientDisconnect
            Nobody waits for it any more; what had not begun is left out.
        """
        self._metrics.asked(scorer.name, table.n_rows)
        options = options.work
        if options.deadline_ms is not None:
            return await self._submit(_Job(scorer, options, object()), table)
        job = _Job(scorer, options)
        if table.n_rows <= self._max_rows:
            return await self._submit(job, table)
        ends = time.perf_counter() + self._seconds
        parts: list[Scored] = []
        for rows in _slices(table.n_rows, self._max_rows):
            left = ends - time.perf_counter()
            try:
                parts.append(await self._submit(job, table.take(rows), left, begun=bool(parts)))
            except RowsError as refused:
                raise refused.shifted(rows.start) from None
        return await self.run(Scored.concatenate, parts)

    async def parse(
        self, work: Callable[Concatenate[bytes, P], T], body: bytes, *args: P.args, **kw: P.kwargs
    ) -> T:
        """Read a body: a small one in the event loop, a large one on a thread."""
        with self._metrics.stage("parse"):
            if len(body) <= SMALL_BODY:
                return work(body, *args, **kw)
            return await self.run(work, body, *args, **kw)

    async def encode(
        self,
        work: Callable[Concatenate[Scored, P], T],
        scored: Scored,
        *args: P.args,
        **kw: P.kwargs,
    ) -> T:
        """Write an answer: a small one in the event loop, a large one on a thread."""
        with self._metrics.stage("encode"):
            few = scored.explanation.values.size <= SMALL_ANSWER
            if few and scored.interactions is None:
                return work(scored, *args, **kw)
            return await self.run(work, scored, *args, **kw)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what takes long on a thread, such as reading a large body."""
        return await run_sync(lambda: work(*args, **kwargs), limiter=self._codec_threads)

    def close(self) -> None:
        """Take no more rows; those that were taken are finished."""
        self._batcher.close()

    async def _submit(
        self, job: _Job, table: Table, seconds: float | None = None, *, begun: bool = False
    ) -> Scored:
        left = self._seconds if seconds is None else seconds
        part = _Part(table)
        try:
            with self._attended():
                return await self._batcher.submit(
                    job, part, table.n_rows, seconds=left, admitted=begun
                )
        except Closed:
            raise ShuttingDown from None
        except Full:
            raise Overloaded from None
        except Overdue as late:
            raise (TooSlow(self._seconds) if late.started or begun else Overloaded()) from None

    def _is_quick(self, job: _Job, n_rows: int) -> bool:
        expected = self._pace.expected(_kind(job), n_rows)
        return expected is not None and expected <= QUICK_SECONDS

    def _scored(self, job: _Job, parts: Sequence[_Part]) -> list[Scored]:
        """Explain the rows of several requests in one call, and part the answer again."""
        tables, records = [part.table for part in parts], [part.record for part in parts]
        scorer, options = job.scorer, _in_time_left(job.options, parts[0].since)
        n_rows = sum(table.n_rows for table in tables)
        self._metrics.batch_requests.observe(len(parts))
        self._metrics.batch_rows.observe(n_rows)
        began = time.perf_counter()
        for part in parts:
            if part.record is not None:
                part.record.add("queue", part.since, began)
        with self._metrics.stage("explain" if options.explain else "predict", records) as stage:
            whole = scorer.score(tables[0] if len(tables) == 1 else scorer.merged(tables), options)
            if options.explain and whole.predict_seconds is not None:
                stage.began_with("predict", whole.predict_seconds)
        scorer.observe(whole)
        self._metrics.scored(scorer.name, n_rows)
        if options.explain:
            self._metrics.explained(scorer.name, whole)
        scored = [whole] if len(tables) == 1 else _parted(whole, tables)  # their gaps known by now
        self._pace.note(_kind(job), n_rows, time.perf_counter() - began)
        return scored


def _kind(job: _Job) -> tuple[str, str, Options]:
    """What takes as long as each other; the scorer itself must not outlive its replacement."""
    scorer = job.scorer
    return scorer.name, scorer.artifact_sha256, replace(job.options, deadline_ms=None)


def _in_time_left(options: Options, since: float) -> Options:
    """A deadline counts from when the rows were handed over, so the wait is part of it."""
    if options.deadline_ms is None:
        return options
    left = options.deadline_ms - 1000 * (time.perf_counter() - since)
    return replace(options, deadline_ms=max(left, _SOONEST_MS))


def _parted(whole: Scored, tables: Sequence[Table]) -> list[Scored]:
    ends, start = [], 0
    for table in tables:
        ends.append(whole.take(slice(start, start + table.n_rows)))
        start += table.n_rows
    return ends


def _slices(n_rows: int, most: int) -> Iterator[slice]:
    for start in range(0, n_rows, most):
        yield slice(start, start + most)
