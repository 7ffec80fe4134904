"""What every protocol does with a request: read it, score its rows, write the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from fastapi import Request

from service import codec
from service.drain import Drain
from service.engine import Engine
from service.errors import ShuttingDown, UnknownModel
from service.limits import read_body
from service.models import Models
from service.options import Options
from service.scorer import Scored, Scorer
from service.settings import Settings

__all__ = ["Exchange"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Exchange:
    """The steps, and who takes them."""

    settings: Settings
    engine: Engine
    models: Models
    drain: Drain

    def check_ready(self) -> None:
        """Refuse a probe while the server is about to end.

        Raises
        ------
        ShuttingDown
        """
        if self.drain.draining:
            raise ShuttingDown

    def named(self, name: str, version: str | None = None) -> Scorer:
        """Return a model by its name and, if one is wanted, its version.

        Raises
        ------
        UnknownModel
        """
        scorer = self.models.pick(name)
        if version not in {None, scorer.model["version"]}:
            raise UnknownModel
        return scorer

    async def body(self, request: Request) -> bytes:
        """Read the body, within its limit."""
        return await read_body(request, self.settings.max_decoded_bytes)

    async def read(
        self,
        reader: Callable[Concatenate[bytes, P], T],
        body: bytes,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Understand a body."""
        return await self.engine.parse(reader, body, *args, **kwargs)

    async def score(self, scorer: Scorer, rows: codec.Rows, options: Options) -> Scored:
        """Score the rows."""
        scorer.check(rows.table, options)
        return await self.engine.score(scorer, rows.table, options)

    async def write(
        self,
        writer: Callable[Concatenate[Scored, P], T],
        scored: Scored,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Write the answer."""
        return await self.engine.encode(writer, scored, *args, **kwargs)
