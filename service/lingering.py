"""Reading on after an answer, for as long as the rest of its request is on its way.

A system answers bytes that come to a closed connection with a reset, and a client that is still
sending then sees that in place of the answer (RFC 9112, 9.6). So the rest is read and thrown away,
within bounds on its bytes and on its time, before the connection is closed or used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Lingering", "Rest"]


@dataclass(frozen=True)
class Lingering:
    """Bounds on the rest of a request.

    Parameters
    ----------
    n_bytes : how much of it is read.
    seconds : how long it may take, however steadily it comes.
    idle_seconds : how long nothing may come.
    """

    n_bytes: int = 256 * 2**20
    seconds: float = 30.0
    idle_seconds: float = 5.0


class Rest:
    """The rest of one request.

    Parameters
    ----------
    bounds : of it.
    end : called once it is beyond one of them.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, bounds: Lingering, end: Callable[[], object]
    ) -> None:
        self._loop, self._bounds, self._end = loop, bounds, end
        self._left, self._until = bounds.n_bytes, loop.time() + bounds.seconds
        self._timer = self._wait()

    def count(self, n_bytes: int) -> None:
        """Note that so much of it came."""
        self._left -= n_bytes
        self._timer.cancel()
        if self._left < 0:
            self._end()
        else:
            self._timer = self._wait()

    def stop(self) -> None:
        """Wait for nothing more."""
        self._timer.cancel()

    def _wait(self) -> asyncio.TimerHandle:
        left = max(0.0, self._until - self._loop.time())
        return self._loop.call_later(min(left, self._bounds.idle_seconds), self._end)
