"""Methods that a wrapper has where the model inside it has them."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

__all__ = ["Delegated"]


class Delegated:
    """Decorator: the method exists where `wrapper.model` has one of its name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __get__(self, wrapper: Any, kind: type | None = None) -> Any:
        """Return the bound method.

        Raises
        ------
        AttributeError
            The model has no such method.
        """
        if wrapper is None:
            return self
        getattr(wrapper.model, self._function.__name__)
        return MethodType(self._function, wrapper)
