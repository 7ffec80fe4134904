"""How long work takes, by what it is and how much of it there is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["Pace"]

_KINDS = 256  # kinds of work remembered; the one noted longest ago is forgotten
_SLOWER = 0.1  # how fast a time that has grown is believed


class Pace:
    """The times that work took, in steps of twice as much of it.

    A shorter time is believed at once and a longer one slowly: what disturbs a measurement makes
    it longer.
    """

    def __init__(self) -> None:
        self._seconds: OrderedDict[tuple[Hashable, int], float] = OrderedDict()

    def note(self, kind: Hashable, size: int, seconds: float) -> None:
        """Note how long some work took."""
        step = kind, size.bit_length()
        before = self._seconds.pop(step, seconds)
        longer = before + _SLOWER * (seconds - before)
        self._seconds[step] = min(seconds, longer)
        while len(self._seconds) > _KINDS:
            self._seconds.popitem(last=False)

    def expected(self, kind: Hashable, size: int) -> float | None:
        """Return the seconds to expect; None for what was never seen."""
        return self._seconds.get((kind, size.bit_length()))
