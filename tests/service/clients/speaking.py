"""What a client's script is given and what it gives back; it runs where only the client is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def tell(speak: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Read a task from stdin, and write what the client heard to stdout as one line of JSON."""
    heard = speak(json.load(sys.stdin))
    print("\n" + json.dumps(heard, default=_plain))  # noqa: T201 this is the answer


def error_of(call: Callable[[], object]) -> str:
    """Return the text of the exception that a call raises, as a user would see it."""
    try:
        call()
    except Exception as exc:  # noqa: BLE001 whatever the client raises
        return str(exc)
    return ""


def _plain(value: Any) -> Any:
    """Arrays as lists, bytes as text."""
    return value.decode() if isinstance(value, bytes) else value.tolist()
