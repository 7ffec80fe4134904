"""A request's body to a checked table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import orjson

from scoring.encode import Violations
from scoring.errors import RowsError
from scoring.schema import FeatureSchema
from scoring.table import Table
from service.codec.json_text import parse
from service.codec.orientations import Columns, read
from service.errors import UnsupportedMedia

__all__ = ["Rows", "check_media_type", "to_rows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """A request's rows: the checked table, and the label of each row."""

    table: Table
    index: Sequence[Any]


def check_media_type(headers: Mapping[str, str]) -> None:
    """Refuse a body that is not plain JSON in UTF-8, before it is read.

    Raises
    ------
    UnsupportedMedia
        Another content type, character set or content encoding.
    """
    kind, *parameters = headers.get("content-type", "").split(";")
    if kind.strip().lower() != "application/json":
        raise UnsupportedMedia("Send the rows with the header Content-Type: application/json.")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset not in {"utf-8", "utf8", "us-ascii"}:
            raise UnsupportedMedia("Send JSON in UTF-8; other character sets are not read.")
    if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        message = "Send the body uncompressed, without Content-Encoding."
        raise UnsupportedMedia(message, {"Accept-Encoding": "identity"})


def to_rows(body: bytes, schema: FeatureSchema, max_rows: int) -> Rows:
    """Read and check a body.

    Raises
    ------
    BrokenBody, TooManyRows
        It cannot be read as JSON, or is too long.
    RowsError
        With every rule that the rows break, the first hundred in full.
    """
    columns = read(parse(body), schema.names, max_rows)
    _check_index(columns)
    if columns.broken.total:
        raise _all_violations(columns, schema)
    table = schema.encode_columns(columns.values)
    if table.notes:
        _check_text(columns, schema)
    return Rows(table, columns.index)


def _check_index(columns: Columns) -> None:
    """Labels go back as they came, so they must be scalars that JSON can hold."""
    if isinstance(columns.index, range) or _can_go_back(columns.index):
        return
    for row, label in enumerate(columns.index):
        if not _can_go_back([label]):
            rule = "the row's label must be text, a finite number of at most 64 bits, or a boolean"
            columns.broken.add(row, None, rule)


def _can_go_back(labels: Sequence[Any]) -> bool:
    types = set(map(type, labels))
    if not types <= {str, int, float, bool}:
        return False
    if float in types and not all(isfinite(x) for x in labels if isinstance(x, float)):
        return False
    try:
        orjson.dumps(labels)
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        return False
    return True


def _all_violations(columns: Columns, schema: FeatureSchema) -> RowsError:
    """What is wrong with the structure, and with the cells of the columns that are whole."""
    broken = columns.broken
    whole = tuple(feature for feature in schema.features if feature.name in columns.values)
    try:
        if whole:
            FeatureSchema(whole).encode_columns(columns.values)
    except RowsError as cells:
        return RowsError([*broken.listed, *cells.violations], broken.total + cells.total)
    return RowsError(broken.listed, broken.total)


def _check_text(columns: Columns, schema: FeatureSchema) -> None:
    """A category that training never saw goes to the model, which wants real text."""
    broken = Violations()
    for feature in schema.features:
        if feature.allows_unseen:
            for row, value in enumerate(columns.values[feature.name]):
                if isinstance(value, str) and not _is_unicode(value):
                    broken.add(row, feature.name, "must be valid Unicode text")
    broken.raise_if_any()


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
