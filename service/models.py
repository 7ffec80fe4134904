"""The models that are served, by name. One may be replaced while others are being asked.

Names are looked up here for every request, and joined to no path. Who holds a scorer goes on with
it, so a request that is under way when its model is replaced ends with the one it began with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from service.errors import UnknownModel
from service.record import current
from service.scorer import Scorer

__all__ = ["Models"]


class Models(Mapping[str, Scorer]):
    """A mapping of names to scorers, of which only the event loop's thread changes any.

    Parameters
    ----------
    scorers : at least one; the first is the default.
    """

    def __init__(self, scorers: Mapping[str, Scorer]) -> None:
        self._scorers = dict(scorers)
        self._default = next(iter(self._scorers))
        self._told: list[Callable[[Scorer], None]] = []

    def __getitem__(self, name: str) -> Scorer:
        """Return the scorer of that name."""
        return self._scorers[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names, the default first."""
        return iter(self._scorers)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._scorers)

    @property
    def default(self) -> str:
        """Name of the model that answers where a request names none."""
        return self._default

    def pick(self, name: str | None = None) -> Scorer:
        """Return the scorer that a request asks for, and note it for the log and the metrics.

        Raises
        ------
        UnknownModel
            There is none of that name.
        """
        scorer = self._scorers.get(self._default if name is None else name)
        if scorer is None:
            raise UnknownModel
        record = current()
        if record is not None:
            record.model = scorer.name
        return scorer

    def tell(self, listener: Callable[[Scorer], None]) -> None:
        """Have a function called with every scorer that is to answer, those of now included."""
        self._told.append(listener)
        for scorer in self._scorers.values():
            listener(scorer)

    def replace(self, scorer: Scorer) -> None:
        """Let another scorer answer under its name, which is known, from now on."""
        if scorer.name not in self._scorers:
            raise KeyError(scorer.name)
        for listener in self._told:
            listener(scorer)
        self._scorers = {**self._scorers, scorer.name: scorer}
