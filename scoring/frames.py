"""Frames of other libraries than pandas as named columns of plain values.

polars and pyarrow are read through their own methods, which are there where such a frame is. Any
other frame with the Arrow PyCapsule interface or the dataframe interchange interface goes through
pyarrow, or polars, whichever is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError

__all__ = ["NamedColumns", "column_names", "frame_of", "in_memory", "is_frame", "to_pandas"]

Values = Sequence[Any] | NDArray[Any]

Categories = tuple[list[Any], bool]
"""A type's categories, and whether their order means something."""


class NamedColumns(Protocol):
    """A frame of a library other than pandas."""

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""

    def values(self, j: int) -> Values:
        """Column j as an array, NaN where a number is missing; else a list with None."""

    def categories(self, j: int) -> Categories | None:
        """The categories that the type of column j lists; None for any other type."""


def is_frame(x: Any) -> bool:
    """Whether x is a pandas DataFrame; asks without importing pandas."""
    return hasattr(x, "iloc") and hasattr(x, "columns")


def column_names(x: Any) -> list[Any] | None:
    """The names of a frame's columns, of whichever library it is; None for anything else."""
    if is_frame(x):
        names: list[Any] = x.columns.tolist()
        return names
    other = frame_of(x)
    return None if other is None else other.names


def in_memory(x: Any) -> Any:
    """A frame that can be read more than once: streams and queries are, the rest stays as it is.

    Raises
    ------
    ParameterError
        It is one column, or neither pyarrow nor polars is there to read it.
    """
    if _is_lazy(x):
        return x.collect()
    if not _is_foreign(x) or _package(x) == "polars" or hasattr(x, "column_names"):
        return x
    if find_spec("pyarrow"):
        return _through_pyarrow(x)
    if find_spec("polars"):
        import polars as pl

        return pl.DataFrame(x)
    fix = "Install pyarrow or polars, or pass a pandas DataFrame or an array."
    raise ParameterError("x", f"must be read by a library: {type(x).__name__} is a frame", fix)


def frame_of(x: Any) -> NamedColumns | None:
    """The named columns of a frame that is not pandas'; None for anything else.

    Raises
    ------
    ParameterError
        As `in_memory`.
    """
    if not _is_foreign(x):
        return None
    table = in_memory(x)
    return _Polars(table) if _package(table) == "polars" else _Arrow(table)


def to_pandas(x: NamedColumns) -> Any:
    """The same columns in a pandas DataFrame, missing objects written as None."""
    import pandas as pd

    columns = [_series(x.values(j), x.categories(j)) for j in range(len(x.names))]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    frame.columns = pd.Index(x.names, dtype=object)
    return frame


def _series(values: Values, categories: Categories | None) -> Any:
    import pandas as pd

    if categories is not None:
        listed, ordered = categories
        return pd.Series(pd.Categorical(values, categories=listed, ordered=ordered))
    plain = isinstance(values, np.ndarray) and values.dtype != object
    if not plain and any(isinstance(value, datetime) for value in values):  # with a time zone
        return pd.Series(values)
    return pd.Series(values) if plain else pd.Series(list(values), dtype=object)


def _is_lazy(x: Any) -> bool:
    """Whether x is a polars query, which has no rows yet."""
    return type(x).__name__ == "LazyFrame" and type(x).__module__.startswith("polars.")


def _is_foreign(x: Any) -> bool:
    if _is_lazy(x):
        return True
    if is_frame(x) or isinstance(x, (np.ndarray, list, tuple)):
        return False
    return hasattr(x, "__arrow_c_stream__") or hasattr(x, "__dataframe__")


def _package(x: Any) -> str:
    """The library that an object is of; a single column of polars is not a frame of it."""
    package = type(x).__module__.partition(".")[0]
    return package if hasattr(x, "columns") else ""


def _through_pyarrow(x: Any) -> Any:
    import pyarrow as pa

    if not hasattr(x, "__arrow_c_stream__"):
        from pyarrow.interchange import from_dataframe

        return from_dataframe(x)
    try:
        return pa.table(x)
    except (pa.ArrowException, TypeError, ValueError) as error:
        fix = "One column of a frame is frame.select(name) or frame[[name]], not frame[name]."
        raise ParameterError("x", "must be a frame, not a single column", fix) from error


class _Polars:
    """A polars DataFrame."""

    def __init__(self, frame: Any) -> None:
        self._frame, self.names = frame, list(frame.columns)

    def values(self, j: int) -> Values:
        column = self._frame.to_series(j)
        kind = column.dtype
        if kind.is_integer() or kind.is_float() or str(kind) in {"Boolean", "Date"}:
            return np.asarray(column.to_numpy())
        if type(kind).__name__ == "Datetime" and kind.time_zone is None:
            return np.asarray(column.to_numpy())
        values: list[Any] = column.to_list()
        return values

    def categories(self, j: int) -> Categories | None:
        column = self._frame.to_series(j)
        kind = type(column.dtype).__name__
        if kind == "Enum":
            return column.dtype.categories.to_list(), True
        if kind == "Categorical":  # whose texts are numbered for all frames of the process
            return sorted(column.drop_nulls().unique().to_list()), False
        return None


class _Arrow:
    """A pyarrow Table or RecordBatch."""

    def __init__(self, table: Any) -> None:
        self._table, self.names = table, list(table.column_names)

    def values(self, j: int) -> Values:
        from pyarrow import types

        column = self._table.column(j)
        kind = column.type
        if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
            return _numbers(column)
        if types.is_date(kind) or (types.is_timestamp(kind) and kind.tz is None):
            return _numbers(column)
        values: list[Any] = column.to_pylist()
        return values

    def categories(self, j: int) -> Categories | None:
        column = self._table.column(j)
        if not hasattr(column.type, "value_type") or not hasattr(column.type, "index_type"):
            return None
        pieces = getattr(column, "chunks", [column])
        listed = dict.fromkeys(v for piece in pieces for v in piece.dictionary.to_pylist())
        return list(listed), bool(column.type.ordered)


def _numbers(column: Any) -> NDArray[Any]:
    """A column of numbers or booleans; a RecordBatch's asks before it copies."""
    chunked = hasattr(column, "chunks")
    return np.asarray(column.to_numpy() if chunked else column.to_numpy(zero_copy_only=False))
