"""CSV files as DataFrames, read by the service's reader; every column's type has a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.cli.learnt_types import Learnt
from service.codec.csv_text import FLAGS, GAPS, csv_cells
from service.errors import Refusal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ColumnTypes", "read_cells", "typed", "with_dtypes"]

_LISTED = 20

_TEXT = {"str", "string", "object", "text"}
_BOOLEAN = {"bool", "boolean"}


@dataclass
class ColumnTypes:
    """What columns hold, and who says so: the command, the model, or else the first file read.

    Parameters
    ----------
    given : dtypes by `--dtypes`.
    learnt : what the model's steps learnt.
    read : dtypes read off a file, which hold for the files after it.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    learnt: Mapping[str, Learnt] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)

    def reasons(self, names: Sequence[str], path: Path) -> str:
        """One sentence that says where the types of a CSV file's columns come from."""
        if path.suffix.lower() != ".csv":
            return ""
        given = {name: dtype for name, dtype in self.given.items() if name in names}
        rest = [name for name in names if name not in given]
        known = {name: self.learnt[name] for name in rest if name in self.learnt}
        learnt = {name: f"{each.dtype} ({each.by})" for name, each in known.items()}
        read = {name: self.read[name] for name in rest if name not in known}
        parts = {"from --dtypes": given, "from the model": learnt, f"as {path.name} reads": read}
        told = "; ".join(f"{who}: {_few(which)}" for who, which in parts.items() if which)
        return f"Column types {told}. --dtypes changes them."


def read_cells(path: Path) -> dict[str, Sequence[str]]:
    """Read the columns of a CSV file as text; one without a name is called as pandas calls it.

    Raises
    ------
    ClickException
        It is no CSV.
    """
    body = path.read_bytes()
    try:
        header, rows = csv_cells(body, max_rows=len(body))
    except Refusal as exc:
        raise click.ClickException(f"{path} cannot be read: {exc.message}") from exc
    if len(header) == 1 and ";" in header[0]:
        raise click.ClickException(f"{path} is separated by ';': write it with commas.")
    names = [name or f"Unnamed: {j}" for j, name in enumerate(header)]
    problems = [f"row {j} has {len(cells)} cells, and the header has {len(header)}"
                for j, cells in enumerate(rows) if len(cells) != len(header)]  # fmt: skip
    problems += [f"it has two columns '{n}'" for j, n in enumerate(names) if n in names[:j]]
    if problems:
        raise click.ClickException(f"{path} cannot be read: {problems[0]}.")
    return dict(zip(names, list(zip(*rows, strict=True)) or [()] * len(names), strict=True))


def typed(path: Path, columns: Mapping[str, Sequence[str]], types: ColumnTypes) -> pd.DataFrame:
    """Columns of a CSV file, typed; by their cells where nobody gave their type.

    Raises
    ------
    ClickException
        A cell is not of its column's type.
    """
    import pandas as pd

    return pd.DataFrame(
        {name: _column(path, name, cells, types) for name, cells in columns.items()}
    )


def with_dtypes(frame: pd.DataFrame, types: ColumnTypes, path: Path) -> pd.DataFrame:
    """A Parquet file's columns, which have types, with those that the command gives.

    Raises
    ------
    ClickException
        A column cannot have its dtype.
    """
    converted: dict[str, Any] = dict(types.given)
    try:
        frame = frame.astype(converted)
    except (KeyError, TypeError, ValueError) as exc:
        raise click.ClickException(f"--dtypes: {path}: {exc}.") from exc
    for name, dtype in frame.dtypes.items():
        types.read.setdefault(str(name), str(dtype))
    return frame


def _column(path: Path, name: str, cells: Sequence[str], types: ColumnTypes) -> Any:
    import pandas as pd

    try:
        if name in types.given:
            return _of_dtype(cells, types.given[name])
        if name in types.learnt:
            return _of_learnt(cells, types.learnt[name])
        dtype = types.read.setdefault(name, _read_type(cells))
        return _of_dtype(cells, dtype)
    except (TypeError, ValueError, OverflowError, pd.errors.ParserError) as exc:
        where = f"{path}, column '{name}'"
        fix = "Say what it holds with --dtypes, or give a Parquet file."
        raise click.ClickException(f"{where}: {exc}. {fix}") from exc


def _read_type(cells: Sequence[str]) -> str:
    """The type that a column's cells have: numbers, flags, or text."""
    words = set(map(str.strip, "\n".join(cells).lower().split("\n")))
    known = words - GAPS
    if known and known <= {"true", "false"}:
        return "bool"
    zeros = (word.lstrip("+-")[1:2] for word in known if word.startswith(("0", "-0", "+0")))
    if any(map(str.isdecimal, zeros)) or any("_" in word for word in known):
        return "str"  # 01234 and 1_000 are no numbers, although their letters are digits
    try:
        numbers = set(map(float, known))
    except ValueError:
        return "str"
    whole = numbers and all(word.lstrip("+-").isdecimal() for word in known)
    return "int64" if whole and known == words else "float64"


def _of_learnt(cells: Sequence[str], learnt: Learnt) -> Any:
    """Cells as a step learnt them.

    Where it learnt that a value may be missing, a word for a gap that it did not learn is one.
    """
    import pandas as pd

    if learnt.dtype == "category":
        kind = type(learnt.values[0]).__name__ if learnt.values else "str"
        dtype = {"int": "int64", "float": "float64"}.get(kind, kind)
        return _of_dtype(cells, dtype).astype(pd.CategoricalDtype(list(learnt.values)))
    if learnt.dtype != "str":
        read = _read_type(cells)
        return _of_dtype(cells, read if read in {"int64", "float64"} else learnt.dtype)
    gaps = {""} - set(learnt.values)
    if learnt.none or learnt.nan:
        gaps |= {cell for cell in set(cells) if cell.lower() in GAPS} - set(learnt.values)
    if learnt.none:
        return pd.Series([None if cell in gaps else cell for cell in cells], dtype=object)
    return pd.Series([float("nan") if cell in gaps else cell for cell in cells])


def _of_dtype(cells: Sequence[str], dtype: Any) -> Any:
    """Cells as a dtype of pandas has them; gaps make a float of an integer, as pandas does."""
    import pandas as pd

    name = dtype.partition("[")[0]
    if name in _TEXT:
        texts = pd.Series([cell or float("nan") for cell in cells])
        return texts.astype(dtype) if name == "string" else texts
    if name == "category":
        return _of_dtype(cells, _read_type(cells)).astype("category")
    if name.startswith("datetime64"):
        return pd.to_datetime(pd.Series([cell or None for cell in cells])).astype(dtype)
    values = (
        [] if name in _BOOLEAN else _at_a_glance(cells, int if "int" in name.lower() else float)
    )
    if not values:
        read = _flag if name in _BOOLEAN else _number
        values = [read(cell, row) for row, cell in enumerate(cells)]
    if "int" in name.lower() and (broken := [j for j, v in enumerate(values) if v and v % 1]):
        raise ValueError(f"row {broken[0]} is no whole number")
    if None not in values:
        return pd.Series(values).astype(dtype)
    if name == "bool":  # objects, as pandas itself has them
        return pd.Series([float("nan") if value is None else value for value in values])
    if name.startswith(("int", "uint")) and "pyarrow" not in dtype:
        dtype = "float64"
    nullable: Any = "boolean" if name in _BOOLEAN else "Float64"
    return pd.Series(values, dtype=nullable).astype(dtype)


def _at_a_glance(cells: Sequence[str], kind: type[float]) -> list[Any]:
    """Numbers where every cell is one; else nothing."""
    try:
        return [] if any("_" in cell for cell in cells) else [kind(cell) for cell in cells]
    except ValueError:
        return []


def _flag(cell: str, row: int) -> bool | None:
    word = cell.strip().lower()
    if word in GAPS:
        return None
    if word not in FLAGS:
        raise ValueError(f"row {row} is neither true nor false")
    return FLAGS[word]


def _number(cell: str, row: int) -> float | int | None:
    word = cell.strip().lower()
    if word in GAPS:
        return None
    try:
        return int(word) if word.lstrip("+-").isdecimal() else _parsed(word)
    except ValueError:
        raise ValueError(f"row {row} is no number") from None


def _parsed(word: str) -> float:
    if "_" in word:
        raise ValueError
    return float(word)


def _few(types: Mapping[str, str]) -> str:
    more = len(types) - _LISTED
    listed = ", ".join(f"{name}={type_}" for name, type_ in [*types.items()][:_LISTED])
    return listed + (f" and {more} more" if more > 0 else "")
