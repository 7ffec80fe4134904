"""A request's body to a checked table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from scoring.encode import Violations
from scoring.errors import RowsError
from scoring.schema import FeatureSchema
from scoring.table import Table
from service.codec.arrow_columns import read_arrow
from service.codec.csv_text import read_csv
from service.codec.envelope import open_envelope
from service.codec.json_text import parse
from service.codec.media import ARROW, CSV, JSON
from service.codec.orientations import Columns, read
from service.codec.structure import check_structure

__all__ = ["Rows", "checked", "to_rows"]

_TOO_LARGE = 2.0**63


@dataclass(frozen=True, eq=False)
class Rows:
    """A request's rows: the checked table, the label of each row, and the envelope's options."""

    table: Table
    index: Sequence[Any]
    options: Mapping[str, Any] | None = None


def to_rows(
    body: bytes,
    schema: FeatureSchema,
    max_rows: int,
    media_type: str = JSON,
    *,
    drop: Collection[str] = (),
) -> Rows:
    """Read and check a body.

    Parameters
    ----------
    media_type : what the body is, of `MEDIA_TYPES`.
    drop : columns of CSV to leave out; one without a name is called as pandas calls it.

    Raises
    ------
    BrokenBody, UnreadableBody, UnsupportedMedia, TooManyRows, TooManyValues
        It cannot be read as what it says to be, or is too long.
    RowsError
        With every rule that the rows break, the first hundred in full.
    """
    options = None
    if media_type == CSV:
        columns = read_csv(body, schema, max_rows, drop)
    elif media_type == ARROW:
        columns = read_arrow(body, schema, max_rows)
    else:
        check_structure(body, schema.n_features, max_rows)
        rows, options = open_envelope(parse(body), schema.names)
        columns = read(rows, schema.names, max_rows)
    return checked(columns, schema, options)


def checked(
    columns: Columns, schema: FeatureSchema, options: Mapping[str, Any] | None = None
) -> Rows:
    """Hold columns against the schema.

    Raises
    ------
    RowsError
    """
    _check_index(columns)
    if columns.broken.total:
        raise _all_violations(columns, schema)
    table = schema.encode_columns(columns.values)
    if table.notes:
        _check_text(columns, schema)
    return Rows(table, columns.index, options)


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
    # Whole numbers beyond 64 bits come as floats, which are not what went.
    if float in types and not all(abs(x) < _TOO_LARGE for x in labels if isinstance(x, float)):
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
