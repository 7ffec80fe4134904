"""Why nothing was fetched."""

from __future__ import annotations

__all__ = ["CannotFetch"]


class CannotFetch(Exception):
    """What was asked for is refused, or cannot be had; told in one line, without secrets."""
