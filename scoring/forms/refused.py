"""Why a form does not carry a model, or why its file is not taken back."""

from __future__ import annotations

__all__ = ["FormRefused", "Unsound", "first_line"]


class FormRefused(Exception):
    """A form cannot carry this model; the next one is tried, and the reason is written down."""


class Unsound(ValueError):
    """A model's numbers would lead its library outside an array or round in circles."""


def first_line(error: BaseException, limit: int = 200) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:limit] if lines else type(error).__name__
