"""Loading a served model again from where it came from, while it goes on answering."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

import anyio
from anyio.to_thread import run_sync

from service.errors import ReloadRefused, UnknownModel, describe, why_not_loaded
from service.metrics import Metrics
from service.models import Models
from service.scorer import Scorer, load_scorer
from service.settings import Source

__all__ = ["Everywhere", "Reloader", "failed", "pinned"]

logger = logging.getLogger("shapserve")


class Everywhere(Protocol):
    """Has all processes that serve a model load it again; see `service.reload_shared`."""

    def __call__(self, name: str, expect_sha256: str | None) -> Awaitable[None]:
        """Return when all of them have; raises `ReloadRefused`, and then none of them has."""


class Reloader:
    """Replaces models by what lies in their directories now.

    Parameters
    ----------
    sources : where each of the models was loaded from, by the name under which it is served.
    everywhere : loads it in this process and in all others; without it, this is the only one.
    load : how an artifact becomes a scorer that has answered once.
    """

    def __init__(
        self,
        models: Models,
        sources: Mapping[str, Source],
        metrics: Metrics,
        *,
        everywhere: Everywhere | None = None,
        load: Callable[[Source], Scorer] = load_scorer,
    ) -> None:
        self._models, self._sources, self._metrics = models, sources, metrics
        self._everywhere, self._load = everywhere, load
        self._one_at_a_time = anyio.CapacityLimiter(1)  # two at once would need twice the memory
        self._under_way: set[str] = set()

    async def reload(self, name: str, expect_sha256: str | None = None) -> Scorer:
        """Load a model again, let it answer once on a thread, and let it take over.

        Parameters
        ----------
        name : of a served model.
        expect_sha256 : the digest that the artifact must have. Where the operator pinned the
            model at the start, it takes the place of that pin; else it is held against what was
            loaded, and makes no pickled model welcome.

        Raises
        ------
        UnknownModel
        ReloadRefused
            With the reason; the model that was there goes on answering.
        """
        if name not in self._models:
            raise UnknownModel
        source = self._sources.get(name)
        if source is None:
            raise ReloadRefused("The model was not loaded from a directory.")
        if name in self._under_way:
            raise ReloadRefused("The model is being loaded again already.")
        self._under_way.add(name)
        try:
            if self._everywhere is not None:
                await self._everywhere(name, expect_sha256)
            else:
                await self._here(source._replace(name=name), expect_sha256)
        except ReloadRefused:
            self._metrics.reloaded(name, loaded=False)
            raise
        finally:
            self._under_way.discard(name)
        self._metrics.reloaded(name, loaded=True)
        scorer = self._models[name]
        logger.info("model %s was loaded again: artifact %s", name, scorer.artifact_sha256)
        return scorer

    async def _here(self, source: Source, expect_sha256: str | None) -> None:
        try:
            load = partial(self._load, pinned(source, expect_sha256))
            scorer = await run_sync(load, limiter=self._one_at_a_time)
        except Exception as exc:  # noqa: BLE001 an artifact's model is code of somebody else's
            raise ReloadRefused(failed(exc, source)) from None
        if expect_sha256 is not None and scorer.artifact_sha256 != expect_sha256:
            raise ReloadRefused(ANOTHER_DIGEST)
        self._models.replace(scorer)


ANOTHER_DIGEST = "The model stays as it was: the artifact has another digest."


def pinned(source: Source, expect_sha256: str | None) -> Source:
    """Let a caller's digest take the place of the operator's pin, if there is one."""
    if source.sha256 is None or expect_sha256 is None:
        return source
    return source._replace(sha256=expect_sha256)


def failed(exc: Exception, source: Source) -> str:
    """Log why a model was not loaded again, and return what to tell of it."""
    logger.warning("model %s was not loaded again\n%s", source.name, describe(exc))
    return f"The model stays as it was: {why_not_loaded(exc, str(source.directory))}"
