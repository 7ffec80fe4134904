"""What goes wrong with a store, for the log: what kind of error, now and then."""

from __future__ import annotations

import logging
import time

__all__ = ["Trouble"]

_PAUSE = 10.0  # seconds: every request may run into the same error

logger = logging.getLogger("shapserve")


class Trouble:
    """Writes an error's kind, and not its text: that may quote addresses, and what is in them."""

    def __init__(self) -> None:
        self._next = 0.0

    def tell(self, exc: BaseException) -> None:
        """Write one line, unless there was one a moment ago."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PAUSE
            logger.warning("the store of explanations does not answer: %s", type(exc).__name__)
