"""The three ways in which JSON writes a table, read into columns.

- columns: `{"age": {"0": 31, "1": 54}, ...}`, as pandas' `to_json()` does, or `{"age": [31, 54]}`
- records: `[{"age": 31, ...}, {"age": 54, ...}]`
- split: `{"columns": ["age", ...], "index": [0, 1], "data": [[31, ...], [54, ...]]}`

Where all is well no Python code runs per cell. Where it is not, everything wrong is listed, and
the columns that are whole go on to be checked cell by cell.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

from numpy.typing import NDArray

from scoring.encode import Violations
from scoring.errors import LISTED_VIOLATIONS
from scoring.flat_columns import FlatColumns
from service.codec.json_text import RepeatedKeys
from service.errors import TooManyRows

__all__ = ["Columns", "check_count", "check_names", "read"]

_SPLIT = {"columns", "index", "data"}
_SUGGESTIONS = 20  # near misses looked for in one body, among as many names
_LONGEST_NAME = 100


@dataclass
class Columns:
    """What a body holds.

    `values` has the schema's columns that are whole, `index` a label for each row, and `broken`
    the structural rules that the body breaks.
    """

    values: Mapping[str, Sequence[Any] | NDArray[Any]] = field(default_factory=dict)
    index: Sequence[Any] = ()
    broken: Violations = field(default_factory=Violations)


def read(body: Any, names: Sequence[str], max_rows: int) -> Columns:
    """Read a parsed body, whichever way it is written.

    Parameters
    ----------
    names : the schema's columns.
    """
    found = Columns()
    if isinstance(body, list):
        _read_records(body, names, max_rows, found)
    elif isinstance(body, dict) and _is_split(body, names):
        _read_split(body, names, max_rows, found)
    elif isinstance(body, dict):
        _read_columns(body, names, max_rows, found)
    else:
        found.broken.add(None, None, "the body must be an object of columns or a list of records")
    return found


def _is_split(body: dict[str, Any], names: Sequence[str]) -> bool:
    """Whether the body is in split orientation; a schema's own column of that name goes first."""
    return "columns" in body and "data" in body and not {"columns", "data"} & set(names)


def _read_columns(
    body: dict[str, Any], names: Sequence[str], max_rows: int, found: Columns
) -> None:
    if _read_plain_columns(body, names, max_rows, found):
        return
    repeated = body.repeated if isinstance(body, RepeatedKeys) else ()
    check_names([*body, *repeated], names, found.broken)
    known, labels = set(names), None
    whole: dict[str, Sequence[Any]] = {}
    for name, column in body.items():
        if name not in known:
            continue
        keys = _labels(name, column, found.broken)
        if keys is None:
            continue
        if labels is None:
            check_count(len(keys), max_rows, found.broken)
            labels = found.index = keys
        values = _in_order(column, keys, labels)
        if values is None:
            found.broken.add(None, name, "must have the same rows as the first column")
        else:
            whole[name] = values
    found.values = whole


def _read_plain_columns(
    body: dict[str, Any], names: Sequence[str], max_rows: int, found: Columns
) -> bool:
    """Read columns that are as pandas writes them; return whether they were."""
    if type(body) is not dict or len(body) != len(names):
        return False
    try:
        columns = [*map(body.__getitem__, names)]
    except KeyError:
        return False
    if set(map(type, columns)) != {dict}:
        return False
    labels = [*columns[0]]
    alike = set(map(len, columns)) == {len(labels)}
    if not alike or [*chain.from_iterable(columns)] != labels * len(columns):
        return False
    check_count(len(labels), max_rows, found.broken)
    found.index = labels
    found.values = FlatColumns(names, [*chain.from_iterable(map(dict.values, columns))])
    return True


def _labels(name: str, column: Any, broken: Violations) -> Sequence[Any] | None:
    """The row labels of a column, in its own order; a list counts them."""
    if isinstance(column, list):
        return range(len(column))
    if isinstance(column, RepeatedKeys):
        broken.add(None, name, "must not repeat a row label")
    elif isinstance(column, dict):
        return list(column)
    else:
        broken.add(None, name, "must be an object of row labels and values, or a list of values")
    return None


def _in_order(
    column: dict[str, Any] | list[Any], keys: Sequence[Any], labels: Sequence[Any]
) -> Sequence[Any] | None:
    """A column's values in the order of the first column's labels; None if its rows differ."""
    if isinstance(column, list):
        return column if keys == labels else None
    if keys == labels:
        return list(column.values())
    if len(keys) != len(labels) or isinstance(labels, range) or set(labels) != column.keys():
        return None
    return [column[label] for label in labels]


def _read_records(records: list[Any], names: Sequence[str], max_rows: int, found: Columns) -> None:
    check_count(len(records), max_rows, found.broken)
    found.index = range(len(records))
    try:
        if set(map(type, records)) == {dict} and set(map(len, records)) == {len(names)}:
            found.values = {name: list(map(itemgetter(name), records)) for name in names}
            return
    except KeyError:
        found.values = {}
    _list_broken_records(records, names, found)


def _list_broken_records(records: list[Any], names: Sequence[str], found: Columns) -> None:
    for row, record in enumerate(records):
        if isinstance(record, dict):
            repeated = record.repeated if isinstance(record, RepeatedKeys) else ()
            check_names([*record, *repeated], names, found.broken, row)
        else:
            found.broken.add(row, None, "must be an object of columns and values")
    if all(isinstance(record, dict) for record in records):
        shared = [name for name in names if all(name in record for record in records)]
        found.values = {name: [record[name] for record in records] for name in shared}


def _read_split(body: dict[str, Any], names: Sequence[str], max_rows: int, found: Columns) -> None:
    header, data, index = body["columns"], body["data"], body.get("index")
    if isinstance(body, RepeatedKeys) or not body.keys() <= _SPLIT:
        found.broken.add(None, None, "split orientation has columns, index and data, each once")
    named = isinstance(header, list) and all(isinstance(name, str) for name in header)
    if named:
        check_names(header, names, found.broken)
    else:
        found.broken.add(None, None, "columns must be a list of column names")
    if not isinstance(data, list):
        found.broken.add(None, None, "data must be a list of rows")
        return
    check_count(len(data), max_rows, found.broken)
    found.index = _split_index(index, len(data), found.broken)
    if named and _is_rectangular(data, len(header), found.broken):
        columns = dict(zip(header, zip(*data, strict=True), strict=False))
        found.values = {name: columns[name] for name in names if name in columns}


def _split_index(index: Any, n_rows: int, broken: Violations) -> Sequence[Any]:
    if index is None:
        return range(n_rows)
    if isinstance(index, list) and len(index) == n_rows:
        return index
    broken.add(None, None, "index must be a list with one label for each row of data")
    return range(n_rows)


def _is_rectangular(data: list[Any], width: int, broken: Violations) -> bool:
    if set(map(type, data)) <= {list} and set(map(len, data)) <= {width}:
        return True
    for row, values in enumerate(data):
        if not isinstance(values, list) or len(values) != width:
            broken.add(row, None, f"must be a list of {width} values, one for each column")
    return False


def check_count(n_rows: int, max_rows: int, broken: Violations) -> None:
    """Refuse too many rows, and note where there are none."""
    if n_rows > max_rows:
        raise TooManyRows(max_rows)
    if n_rows == 0:
        broken.add(None, None, "there must be at least one row")


def check_names(
    given: Sequence[str], names: Sequence[str], broken: Violations, row: int | None = None
) -> None:
    """Note missing, repeated and unknown columns; unknown ones by their place, never by name."""
    if len(given) == len(names) and set(given) == set(names):
        return
    if len(given) > 2 * len(names) + LISTED_VIOLATIONS:
        broken.add(row, None, f"must have {len(names)} columns, not {len(given)}")
        return
    counts = Counter(given)
    missing = [name for name in names if name not in counts]
    for name in missing:
        broken.add(row, name, "is missing")
    for name in names:
        if counts[name] > 1:
            broken.add(row, name, "appears more than once")
    known = set(names)
    for place, name in enumerate(counts):
        if name not in known:
            rule = f"column {place} of the body (counted from 0) is not in the schema"
            broken.add(row, None, rule + _suggestion(name, missing, broken))


def _suggestion(name: str, missing: Sequence[str], broken: Violations) -> str:
    """A missing column that the client may have meant; comparing is dear, so it is bounded."""
    if len(name) > _LONGEST_NAME or broken.total > _SUGGESTIONS:
        return ""
    near = difflib.get_close_matches(name, missing[:_SUGGESTIONS], n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
