"""The reason why an estimator is not read as a sum of trees."""

from __future__ import annotations

__all__ = ["Unreadable"]


class Unreadable(Exception):
    """An estimator of trees whose answers are no sum of leaves; its text is a clause."""
