"""Texts that can leave the process: half a surrogate pair is a str, and no UTF-8 has it."""

from __future__ import annotations

import re

__all__ = ["NAME", "encodable"]

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
"""What becomes part of addresses, queries and metrics."""


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
