"""`{"data": ..., "options": {...}}`: rows with the request's options beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scoring.errors import RowsError, Violation
from service.codec.json_text import RepeatedKeys

__all__ = ["open_envelope"]

_RULE = "an envelope has data and options only, each once, and options is an object without repeats"


def open_envelope(body: Any, names: Sequence[str]) -> tuple[Any, Mapping[str, Any] | None]:
    """Return the rows of a parsed body, and the options that come with them; None without any.

    Parameters
    ----------
    names : the schema's columns; where one of them is `data` or `options`, there is no envelope.

    Raises
    ------
    RowsError
        It is an envelope, and a broken one.
    """
    if not isinstance(body, dict) or not _is_envelope(body, names):
        return body, None
    options = body.get("options", {})
    whole = isinstance(options, dict) and not _repeats(body) and not _repeats(options)
    if not whole or not body.keys() <= {"data", "options"} or any(map(_repeats, options.values())):
        raise RowsError([Violation(None, None, _RULE)])
    return body["data"], options


def _is_envelope(body: dict[str, Any], names: Sequence[str]) -> bool:
    if "data" not in body or "columns" in body:
        return False
    return not {"data", "options"} & set(names)


def _repeats(value: Any) -> bool:
    return isinstance(value, RepeatedKeys)
