"""Rows as other protocols write them: by themselves, in the schema's order or with names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from scoring.errors import RowsError, Violation
from scoring.schema import FeatureSchema
from service.codec.json_text import RepeatedKeys
from service.codec.orientations import Columns, _read_split, read
from service.codec.rows import Rows, checked

__all__ = ["broken", "object_of", "read_rows", "read_split"]


def read_rows(rows: Any, schema: FeatureSchema, max_rows: int) -> Rows:
    """Read a list of rows: lists in the schema's order, or objects.

    Raises
    ------
    TooManyRows, RowsError
        There are too many, or they break rules.
    """
    if not isinstance(rows, list):
        broken("the rows must be a list of lists in the schema's order, or of objects")
    if rows and isinstance(rows[0], list):
        return read_split({"columns": list(schema.names), "data": rows}, schema, max_rows)
    return checked(read(rows, schema.names, max_rows), schema)


def read_split(table: dict[str, Any], schema: FeatureSchema, max_rows: int) -> Rows:
    """Read `{"columns": [...], "index": [...], "data": [...]}`, whatever the schema's names are.

    Raises
    ------
    TooManyRows, RowsError
        There are too many rows, or they break rules.
    """
    found = Columns()
    _read_split(table, schema.names, max_rows, found)
    return checked(found, schema)


def object_of(body: Any, known: Sequence[str]) -> dict[str, Any]:
    """Return a body that is an object with some of the `known` keys, each of them once.

    Raises
    ------
    RowsError
        It is anything else.
    """
    if not isinstance(body, dict) or isinstance(body, RepeatedKeys) or not body.keys() <= {*known}:
        broken(f"the body must be an object that holds {', '.join(known)} only, each once")
    return body


def broken(rule: str, column: str | None = None) -> NoReturn:
    """Raise one broken rule of a whole body, or of a column."""
    raise RowsError([Violation(None, column, rule)])
