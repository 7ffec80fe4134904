"""Explanations that are fetched later: asked for, announced, fetched, forgotten."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response

from service import codec
from service.engine import Engine
from service.jobs import record as records
from service.jobs.background import Background, Complete, Job
from service.jobs.prefer import prefers_later
from service.jobs.record import Record
from service.jobs.refusals import ExplanationLost, StoreDown, StoredRefusal, UnknownExplanation
from service.jobs.store import Store
from service.metrics import Metrics
from service.settings import Settings

__all__ = ["Jobs"]

_ID_BYTES = 24
_SWEEP_SECONDS = 30.0
_ID = re.compile(r"[A-Za-z0-9_-]{32}")


class Jobs:
    """The later explanations that one worker process accepts, or is asked for.

    Parameters
    ----------
    store : where they are kept; it is closed at the end of the lifespan.
    engine : what explains them; it has workers of its own.
    concurrency : how many are worked on at a time.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        settings: Settings,
        metrics: Metrics,
        concurrency: int,
    ) -> None:
        self._store, self._seconds = store, settings.results_seconds
        worker = _digest(secrets.token_urlsafe(_ID_BYTES))
        self._background = Background(store, worker, engine, settings, metrics, concurrency)

    def asked(self, request: Request) -> bool:
        """Return whether the explanation is to come later; the body need not be read for it.

        Raises
        ------
        TooManyJobs
            It is, but enough are waiting already.
        """
        headers = request.headers
        later = "prefer" in headers and prefers_later(headers.getlist("prefer"))
        if later:
            self._background.check_room()
        return later

    async def accept(
        self,
        request: Request,
        rows: codec.Rows,
        predictions: Callable[[], Awaitable[dict[str, Any]]],
        complete: Complete,
    ) -> Response:
        """Answer predictions now, and begin to work on the whole answer.

        Parameters
        ----------
        predictions : what is answered at once.
        complete : makes the whole answer with the engine that it is given.

        Raises
        ------
        TooManyJobs, StoreFull, StoreDown
        """
        identifier = secrets.token_urlsafe(_ID_BYTES)
        record = records.running(_caller(request), self._background.worker)
        job = Job(
            key=_digest(identifier),
            request_id=request.state.request_id,
            size=rows.table.codes.nbytes,
            record=record,
            until=time.monotonic() + self._seconds,
        )
        with self._background.place(job):
            content = await predictions()
            await self._background.beat()
            await self._store.create(job.key, records.write(record), self._seconds)
        self._background.start(job, complete)
        href = f"{request.scope.get('root_path', '')}/explanations/{identifier}"
        content["explanation"] = {"status": "running", "href": href, "expires_in": self._seconds}
        headers = {"Location": href, "Preference-Applied": "respond-async"}
        return _not_yet(content, headers)

    async def find(self, identifier: str, request: Request) -> Response:
        """Answer how far an explanation is, or the whole answer.

        Raises
        ------
        UnknownExplanation
            There is none of that id for this caller.
        ExplanationLost
            The worker that had it is gone.
        StoreDown
        StoredRefusal
            What came instead of the answer.
        """
        key = _key(identifier)
        record, body = await self._read(key, request)
        if record.state == "running" and not await self._goes_on(key, record):
            record, body = await self._read(key, request)  # it may just have been done
            if record.state == "running":
                raise ExplanationLost
        if record.state == "running":
            return _not_yet({"status": "running"}, {})
        if record.state == "refused":
            raise StoredRefusal(record.status, record.code, record.message, record.headers)
        return Response(body, record.status, dict(record.headers))

    async def forget(self, identifier: str, request: Request) -> None:
        """Forget an explanation, done or not.

        Raises
        ------
        UnknownExplanation, StoreDown
        """
        key = _key(identifier)
        await self._read(key, request)
        await self._store.delete(key)
        self._background.drop(key)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG002 what it is called with
        """End the jobs with the application; until then, see to it that they expire."""
        sweeping = asyncio.create_task(self._sweep_on())
        try:
            yield
        finally:
            sweeping.cancel()
            await self._background.close()
            await self._store.close()

    async def _sweep_on(self) -> None:
        """Let nothing lie around for long after it has expired, where nothing new comes either."""
        while True:
            await asyncio.sleep(min(self._seconds, _SWEEP_SECONDS))
            with suppress(StoreDown):
                await self._store.sweep()

    async def _read(self, key: str, request: Request) -> tuple[Record, bytes]:
        data = await self._store.get(key)
        found = None if data is None else records.read(data)
        if found is None or found[0].caller != _caller(request):
            raise UnknownExplanation
        return found

    async def _goes_on(self, key: str, record: Record) -> bool:
        if record.worker == self._background.worker:
            return key in self._background
        return await self._store.is_alive(record.worker)


def _digest(text: str) -> str:
    """The key of an id: who reads the store's keys, or its log, cannot ask for the answers."""
    return hashlib.sha256(text.encode()).hexdigest()


def _key(identifier: str) -> str:
    if not _ID.fullmatch(identifier):
        raise UnknownExplanation
    return _digest(identifier)


def _caller(request: Request) -> str | None:
    """The name of the key that the request came with, if there are keys."""
    caller: str | None = getattr(request.state, "caller", None)
    return caller


def _not_yet(content: dict[str, Any], headers: dict[str, str]) -> Response:
    headers = {**headers, "Retry-After": "1"}
    return Response(codec.to_json(content), 202, headers, "application/json")
