"""What a client may choose for one request, in the query: `?output_space=margin&deadline_ms=20`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from service.errors import BadOption

__all__ = ["Options", "options_of"]

KNOWN = ("output_space", "deadline_ms")
LONGEST_MS = 600_000


@dataclass(frozen=True)
class Options:
    """How one request wants to be answered.

    Parameters
    ----------
    output_space : one of those that the model was distilled for; None for its first.
    deadline_ms : when to stop asking about coalitions; None for never.
    """

    output_space: str | None = None
    deadline_ms: float | None = None


def options_of(query: Iterable[tuple[str, str]], output_spaces: tuple[str, ...]) -> Options:
    """Read a query.

    Parameters
    ----------
    query : names and values as they came.
    output_spaces : those that the model was distilled for.

    Raises
    ------
    BadOption
        An unknown name, one given twice, or a value that breaks a rule; all of them at once.
    """
    pairs = list(query)
    given, broken = dict(pairs), []
    if given.keys() - set(KNOWN):
        broken.append(f"the query may hold {' and '.join(KNOWN)} only")
    if len(given) < len(pairs):
        broken.append("the query must not repeat a name")
    space = given.get("output_space")
    if space is not None and space not in output_spaces:
        broken.append(f"output_space must be one of {', '.join(output_spaces)}")
    deadline = _milliseconds(given["deadline_ms"]) if "deadline_ms" in given else None
    if "deadline_ms" in given and deadline is None:
        broken.append(f"deadline_ms must be a number above 0 and up to {LONGEST_MS}")
    if broken:
        raise BadOption("; ".join(broken).capitalize() + ".")
    return Options(space, deadline)


def _milliseconds(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 < number <= LONGEST_MS else None
