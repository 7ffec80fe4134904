"""The console script: what has to come before everything else.

The system ignores a signal that process 1 of a container has no handler for. A pod that is deleted
while it starts would miss its SIGTERM, and be waited for until its grace is over.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from shapserve.shadowed import Shadowed, check

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, _end)
    try:
        check("scoring", "service")
    except Shadowed as exc:
        sys.exit(f"shapserve: {exc}")
    from service import cli  # takes half a second

    cli.main()


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
