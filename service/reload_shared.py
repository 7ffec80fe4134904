"""Loading a model again in several processes: checked once, in one memory, by all or by none."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from service.agreement import NotMade, Team
from service.errors import ReloadRefused
from service.models import Models
from service.reload import ANOTHER_DIGEST, Everywhere, failed, pinned
from service.scorer import Fit, Scorer, SharedScorers, nameless_file, scorer_from
from service.settings import Source

__all__ = ["SharedReload", "everywhere"]


@dataclass(frozen=True)
class _Exchange:
    """An artifact that was loaded again, and is to take the place of what workers start with."""

    fd: int
    make: Callable[[], None]

    def fileno(self) -> int:
        return self.fd

    def close(self) -> None:
        os.close(self.fd)


class SharedReload:
    """The part of the process that the workers are forked from.

    Parameters
    ----------
    sources : where each of `shared` came from, in the same order.
    """

    def __init__(self, shared: SharedScorers, sources: Sequence[Source]) -> None:
        self._shared, self._sources = shared, sources

    def prepare(self, what: bytes) -> _Exchange:
        """Load what a worker asks for.

        Raises
        ------
        NotMade
            With the reason; nothing has changed.
        """
        asked = orjson.loads(what)
        index, expect_sha256 = asked["index"], asked["expect_sha256"]
        source = self._sources[index]._replace(name=asked["name"])
        fd = nameless_file()
        try:
            sha256, exchange = self._shared.load_again(index, pinned(source, expect_sha256), fd)
            if expect_sha256 not in {None, sha256}:
                raise NotMade(ANOTHER_DIGEST)
        except NotMade:
            os.close(fd)
            raise
        except Exception as exc:  # noqa: BLE001 an artifact's model is code of somebody else's
            os.close(fd)
            raise NotMade(failed(exc, source)) from None
        return _Exchange(fd, exchange)


def everywhere(team: Team, models: Models, fit: Fit | None) -> Everywhere:
    """Take part in what the other workers ask for, and return how to ask for it."""

    def prepare(what: bytes, fd: int) -> Scorer:
        source = Source(orjson.loads(what)["name"], Path(), None)
        try:
            return scorer_from(fd, source.name or "", fit)
        except Exception as exc:  # noqa: BLE001 as above
            raise NotMade(failed(exc, source)) from None

    async def reload(name: str, expect_sha256: str | None) -> None:
        index = list(models).index(name)  # loaded in this order
        asked = {"index": index, "name": name, "expect_sha256": expect_sha256}
        try:
            await team.ask(orjson.dumps(asked))
        except NotMade as exc:
            raise ReloadRefused(str(exc)) from None

    team.take_part(prepare, models.replace)
    return reload
