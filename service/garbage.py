"""When Python looks for cycles of garbage.

A full look at everything that is imported takes 40 ms, in which nobody is answered, and by Python's
own measure it is due after a few hundred requests under load, because each leaves objects behind
while it is under way. What is here before the first request stays, so it is never looked at again;
and the rest is looked at when there is more of it.
"""

from __future__ import annotations

import gc

__all__ = ["keep"]

_YOUNG = 10_000
"""New objects before the youngest are looked at: some hundred requests' at most."""


def keep() -> None:
    """Take all that there is as there to stay; nothing in it that ends later may be in a cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
