"""Texts that can leave the process: half a surrogate pair is a str, and no UTF-8 has it."""

from __future__ import annotations

__all__ = ["encodable"]


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
