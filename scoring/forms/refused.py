"""Why a form does not carry a model, or why its file is not taken back."""

from __future__ import annotations

from scoring.errors import first_line

__all__ = ["FormRefused", "Unsound", "first_line"]


class FormRefused(Exception):
    """A form cannot carry this model; the next one is tried, and the reason is written down."""


class Unsound(ValueError):
    """A model's numbers would lead its library outside an array or round in circles."""
