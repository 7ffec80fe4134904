"""How the server ends without losing a request.

SIGTERM comes at the same moment as load balancers are told to send requests elsewhere, or before
they notice. So at first only readiness fails, and everything is answered as before, on connections
that are closed one by one. What is still under way after that is finished, and what comes is
refused.
"""

from __future__ import annotations

import math
import signal
import time
from types import FrameType

import uvicorn

__all__ = ["Drain", "DrainingServer"]


class Drain:
    """Whether the server is about to end; every request asks."""

    def __init__(self) -> None:
        self.draining = self.refusing = False
        self.active = 0  # requests under way

    def begin(self) -> None:
        """Fail readiness and close connections, but go on answering."""
        self.draining = True

    def refuse(self) -> None:
        """Take no more requests; those under way are finished."""
        self.draining = self.refusing = True


class DrainingServer(uvicorn.Server):
    """A server that drains on SIGTERM; Ctrl-C, or a second signal, ends it without that.

    Parameters
    ----------
    drain_seconds : how long to go on accepting.
    grace_seconds : how long after that to wait for what is under way.
    """

    def __init__(
        self, config: uvicorn.Config, drain: Drain, drain_seconds: float, grace_seconds: float
    ) -> None:
        super().__init__(config)
        self._drain, self._drain_seconds, self._grace_seconds = drain, drain_seconds, grace_seconds
        self._accepts_until = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if sig == signal.SIGTERM and not self._drain.draining:
            self._captured_signals.append(sig)
            self._accepts_until = time.monotonic() + self._drain_seconds
            self._drain.begin()
        else:
            self._drain.refuse()
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Tell whether it is time to end; asked ten times a second."""
        ends = await super().on_tick(counter)
        if time.monotonic() >= self._accepts_until:
            self._drain.refuse()
            late = time.monotonic() >= self._accepts_until + self._grace_seconds
            if late:  # uvicorn would wait as long once more
                self.config.timeout_graceful_shutdown = 0
            return ends or late or not self._drain.active
        return ends
