"""CSV: a header row, and cells that are text until the schema says what they are.

An empty cell is a missing value. In a column of text every other cell is text, `NA` and `01234`
among them; in a column of numbers or booleans the words that tables write for a gap are missing as
well. Texts may be quoted, as RFC 4180 has it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from scoring.feature import Feature
from scoring.schema import FeatureSchema
from service.codec.orientations import Columns, check_count, check_names
from service.codec.structure import check_cells
from service.errors import TooManyRows, UnreadableBody

__all__ = ["FLAGS", "GAPS", "csv_cells", "read_csv"]

GAPS = frozenset({"", "na", "nan", "-nan", "null", "none", "nil", "<na>", "n/a", "#n/a", "#na"})
"""What pandas, R, SQL and spreadsheets write for a missing number, in small letters."""

FLAGS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def read_csv(
    body: bytes, schema: FeatureSchema, max_rows: int, drop: Collection[str] = ()
) -> Columns:
    """Read the columns of a body; `index` counts its rows.

    Parameters
    ----------
    drop : names of columns to leave out; one without a name is `Unnamed: 0` by its place.

    Raises
    ------
    UnreadableBody
        It is not UTF-8, or quotes are where none may be.
    TooManyRows, TooManyValues
    """
    check_cells(body, schema.n_features, max_rows)
    header, rows = csv_cells(body, max_rows)
    found = Columns()
    if drop:
        header = [name or f"Unnamed: {j}" for j, name in enumerate(header)]
    check_names([name for name in header if name not in drop], schema.names, found.broken)
    check_count(len(rows), max_rows, found.broken)
    found.index = range(len(rows))
    if set(map(len, rows)) <= {len(header)}:
        columns = dict(zip(header, zip(*rows, strict=True), strict=False))
        known = {name: columns[name] for name in schema.names if name in columns}
        features = {feature.name: feature for feature in schema.features}
        found.values = {name: _typed(features[name], cells) for name, cells in known.items()}
        return found
    for row, cells in enumerate(rows):
        if len(cells) != len(header):
            rule = f"must have {len(header)} cells, as the header has, not {len(cells)}"
            found.broken.add(row, None, rule)
    return found


def csv_cells(body: bytes, max_rows: int) -> tuple[list[str], list[list[str]]]:
    """The header, and the rows below it; blank lines are no rows.

    Raises
    ------
    UnreadableBody, TooManyRows
        As `read_csv`.
    """
    try:
        text = body.decode("utf-8-sig")  # spreadsheets write a byte order mark
    except UnicodeDecodeError as exc:
        message = f"The body must be UTF-8; byte {exc.start} (counted from 0) is not."
        raise UnreadableBody(message) from None
    reader, rows = csv.reader(io.StringIO(text, newline=""), strict=True), []
    try:
        header = next(reader, [])
        for cells in reader:
            if not cells:
                continue
            rows.append(cells)
            if len(rows) > max_rows:
                raise TooManyRows(max_rows)
    except csv.Error:
        message = f"The body must be CSV; it stops being so at line {reader.line_num}."
        raise UnreadableBody(message) from None
    return header, rows


def _typed(feature: Feature, cells: Sequence[str]) -> Sequence[Any]:
    """The cells of a column as what they are; those that are something else stay text."""
    if feature.is_time:
        return [None if cell.strip().lower() in GAPS else cell for cell in cells]
    kind: type[Any] = feature.category_type if feature.is_category else float
    if kind is str:
        empty = "" if "" in feature.code_of and not feature.allows_missing else None
        return [cell or empty for cell in cells]
    if kind is bool or feature.kind == "boolean":
        return [_flag(cell.strip().lower(), cell) for cell in cells]
    return _each(_whole if kind is int else float, cells)


def _flag(word: str, cell: str) -> bool | str | None:
    return None if word in GAPS else FLAGS.get(word, cell)


def _each(read: Callable[[str], Any], cells: Iterable[str]) -> list[Any]:
    """What `read` makes of each cell, None for a missing one; all at once where all are fine."""
    try:
        if not any("_" in cell for cell in cells):  # Python's own way to write 1_000
            return [read(cell) if cell else None for cell in cells]
    except ValueError:
        pass
    return [_one(read, cell) for cell in cells]


def _one(read: Callable[[str], Any], cell: str) -> Any:
    if cell.strip().lower() in GAPS:
        return None
    try:
        return cell if "_" in cell else read(cell)
    except ValueError:
        return cell


def _whole(cell: str) -> int | float:
    """A whole number, which 3.0 is as well: gaps make a column of floats."""
    number = float(cell)
    return int(cell) if cell.strip().lstrip("+-").isdecimal() else number
