"""JSON as its specification has it: repeated keys are noticed, and nothing is guessed.

A fast parser reads first. It keeps the last of repeated keys and says nothing, so its answer is
believed only where keys are counted: an object's key is followed by a colon, so a text has at
least as many colons as it has keys, repeated ones as well. Where the colons of the text are as
many as the keys that were kept, none was dropped. Colons inside texts, and whatever the fast parser
does not know (NaN), send the body to the careful one, which takes five times as long.
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from service.errors import BrokenBody

__all__ = ["RepeatedKeys", "parse"]

_TOO_LARGE = 10**400  # what an integer too long to be read is taken for: no float holds it
_LEVELS = 4  # of objects and lists in a body: an envelope, its rows, their columns, the labels


class RepeatedKeys(dict[str, Any]):
    """An object that had some keys more than once; each key's last value is kept."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs)
        self.repeated = tuple(key for key, count in counts.items() if count > 1)


def parse(body: bytes) -> Any:
    """Read a body. NaN and Infinity are numbers here; the schema decides about them.

    Integers beyond 64 bits may come as floats.

    Raises
    ------
    BrokenBody
        It is not UTF-8, not JSON, or nested more deeply than any table is.
    """
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _carefully(body)
    return tree if body.count(b":") == _keys(tree, _LEVELS) else _carefully(body)


def _keys(tree: Any, levels: int) -> int:
    """How many keys the objects of a tree have, at least: what is deeper than a table is left."""
    if type(tree) is list:
        return sum(map(len, tree)) if set(map(type, tree)) == {dict} else 0
    if type(tree) is not dict or not levels:
        return 0
    if "data" not in tree and set(map(type, tree.values())) == {dict}:
        return len(tree) + sum(map(len, tree.values()))
    return len(tree) + sum(_keys(value, levels - 1) for value in tree.values())


def _carefully(body: bytes) -> Any:
    if body.startswith(codecs.BOM_UTF8):
        raise BrokenBody("The body must start without a byte order mark.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as exc:
        message = f"The body must be UTF-8; byte {exc.start} (counted from 0) is not."
        raise BrokenBody(message) from None
    return _parse(text)


def _parse(text: str, parse_int: Callable[[str], int] | None = None) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=parse_int)
    except json.JSONDecodeError as exc:
        place = f"line {exc.lineno}, column {exc.colno}"
        raise BrokenBody(f"The body must be JSON; it stops being so at {place}.") from None
    except RecursionError:
        raise BrokenBody("The body must not be nested so deeply.") from None
    except ValueError:  # Python refuses to convert integers of thousands of digits
        return _parse(text, _integer)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keyed = dict(pairs)
    return keyed if len(keyed) == len(pairs) else RepeatedKeys(pairs)


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= 400 else _TOO_LARGE
