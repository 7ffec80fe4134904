"""The header `Prefer` of RFC 7240."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["prefers_later"]

# Without its end it goes to the end, else each quote in it would be tried as a beginning.
_QUOTED = re.compile(r'"(?:[^"\\]++|\\.)*+"?')


def prefers_later(headers: Iterable[str]) -> bool:
    """Return whether `respond-async` is among the preferences; others are passed over.

    Parameters
    ----------
    headers : the values of all headers `Prefer`.
    """
    return any(
        re.split(r"[;=]", preference, maxsplit=1)[0].strip().lower() == "respond-async"
        for header in headers
        for preference in _QUOTED.sub("", header).split(",")
    )
