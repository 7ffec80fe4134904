"""Checked rows in one numeric shape: numbers as they are, categories as codes, NaN for missing.

Masking, batching and deduplication then work on one float64 matrix, whatever the columns hold;
only the call of the model turns codes back into what they stand for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import Violation
from scoring.feature import Category, Feature
from scoring.times import time_series, time_unit, time_zone

__all__ = ["Table", "to_array", "to_frame", "to_polars"]

_SPARSE = re.compile(r"Sparse\[(\w+), (?:np\.\w+\()?([-+.\w]+)\)?\]")
_FLAGS = re.compile(r"bool$|Sparse\[bool,")
_DICTIONARY = re.compile(r"dictionary<values=(\w+), indices=(\w+), ordered=([01])>\[pyarrow\]")

WIDEST = {"int64": 2.0**63, "uint64": 2.0**64}
"""The doubles next above the largest integers of 64 bits, which they stand for."""

DTYPE = attrgetter("dtype")
"""A feature's dtype; read in C, because wide tables ask it of thousands of features per request."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows that passed the schema.

    Parameters
    ----------
    codes : float64 (n_rows, n_features), C-contiguous. NaN where a value is missing.
    categories : per feature the values its codes count through; empty for numbers. The schema's
        own come first, so codes of the background stay valid; what training never saw follows.
    notes : what was accepted but deserves a word (a category that training never saw).
    """

    codes: NDArray[np.float64]
    categories: tuple[tuple[Category, ...], ...]
    notes: tuple[Violation, ...] = ()

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.codes.shape[0])

    def with_codes(self, codes: NDArray[np.float64]) -> Table:
        """Return other rows under the same categories."""
        return replace(self, codes=codes, notes=())

    def take(self, rows: slice | NDArray[np.intp]) -> Table:
        """Return some of the rows; a slice copies nothing."""
        return self.with_codes(self.codes[rows])

    @staticmethod
    def concatenate(tables: Sequence[Table], n_known: Sequence[int]) -> Table:
        """Put the rows of several tables of one schema into one, in order, without their notes.

        Parameters
        ----------
        n_known : per feature how many categories the schema has. Those that training never saw
            are counted by every table for itself, so their codes are counted anew.
        """
        codes = np.concatenate([table.codes for table in tables])
        ends = np.cumsum([table.n_rows for table in tables])
        first = tables[0].categories
        if all(table.categories is first for table in tables):  # the schema's own
            return Table(codes, first)
        categories = list(first)
        for j, known in enumerate(n_known):
            if all(len(table.categories[j]) == known for table in tables):
                continue
            place = {value: code for code, value in enumerate(categories[j][:known])}
            for end, table in zip(ends, tables, strict=True):
                own = [place.setdefault(value, len(place)) for value in table.categories[j]]
                column = codes[end - table.n_rows : end, j]
                there = ~np.isnan(column)
                column[there] = np.array(own, dtype=np.float64)[column[there].astype(np.intp)]
            categories[j] = tuple(place)
        return Table(codes, tuple(categories))


def to_array(table: Table, features: Sequence[Feature]) -> NDArray[Any]:
    """Rows as one array, of numbers where every feature is one, else of objects.

    Always a copy: some models work in place (`StandardScaler(copy=False)`).
    """
    if not any(table.categories) and "object" not in map(DTYPE, features):
        return table.codes.copy()
    rows = np.empty(table.codes.shape, dtype=object)
    for j, feature in enumerate(features):
        rows[:, j] = _column(table, j, feature)
    return rows


def to_frame(table: Table, features: Sequence[Feature]) -> Any:
    """Rows as a pandas DataFrame with the column names and dtypes that training had."""
    import pandas as pd

    if set(map(DTYPE, features)) == {"float64"}:
        return pd.DataFrame(table.codes.copy(), columns=[feature.name for feature in features])
    return pd.DataFrame({f.name: _series(table, j, f) for j, f in enumerate(features)})


def to_polars(table: Table, features: Sequence[Feature]) -> Any:
    """Rows as a polars DataFrame, for models that take nothing else."""
    import polars as pl

    columns = {}
    for j, feature in enumerate(features):
        if feature.is_time:
            columns[feature.name] = _polars_times(table.codes[:, j], feature.dtype)
            continue
        values = [None if value != value else value for value in _column(table, j, feature)]  # noqa: PLR0124 NaN
        dtype = _polars_dtype(feature, table.categories[j])
        plain = dtype.is_numeric() or dtype == pl.Boolean
        columns[feature.name] = pl.Series(values, dtype=None if plain else dtype).cast(dtype)
    return pl.DataFrame(columns)


def _polars_times(codes: NDArray[np.float64], dtype: str) -> Any:
    """Codes as polars' times; a date, of which pandas makes seconds, has no zone."""
    import polars as pl

    counts = pl.Series(codes).fill_nan(None).cast(pl.Int64)
    unit: Any = time_unit(dtype)
    if unit == "s":
        return (counts // 86_400).cast(pl.Date)
    times, zone = counts.cast(pl.Datetime(unit)), time_zone(dtype)
    times = times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else times
    return times.cast(pl.Datetime("ns", zone)) if "[ns" in dtype else times


def _polars_dtype(feature: Feature, categories: Sequence[Category]) -> Any:
    import polars as pl

    if feature.dtype == "category":
        return pl.Enum(map(str, categories)) if feature.ordered else pl.Categorical
    if feature.dtype == "object":
        return {"boolean": pl.Boolean, "category": pl.String}.get(feature.kind, pl.Float64)
    name = "Boolean" if feature.dtype == "bool" else feature.dtype.title().replace("Ui", "UI")
    return getattr(pl, name)


def _series(table: Table, j: int, feature: Feature) -> Any:
    import pandas as pd

    if feature.dtype == "category":
        codes = np.nan_to_num(table.codes[:, j], nan=-1).astype(np.intp)
        values = pd.Index(table.categories[j])
        if feature.category_dtype:  # boosting libraries look at it
            values = values.astype(feature.category_dtype)
        return pd.Categorical.from_codes(codes, categories=values, ordered=feature.ordered)
    if feature.is_time:
        return time_series(table.codes[:, j], feature.dtype)
    if _FLAGS.match(feature.dtype) and np.isnan(table.codes[:, j]).any():
        raise ValueError("a column of booleans has no missing values")  # pandas would write True
    return pd.Series(_column(table, j, feature), dtype=_pandas_dtype(feature.dtype))


def _pandas_dtype(name: str) -> Any:
    """The dtype that has a name, also where pandas itself does not read what it wrote."""
    import pandas as pd

    if sparse := _SPARSE.fullmatch(name):
        flags = {"True": True, "False": False}
        fill = flags[sparse[2]] if sparse[2] in flags else float(sparse[2])
        return pd.SparseDtype(sparse[1], np.dtype(sparse[1]).type(fill))
    if dictionary := _DICTIONARY.fullmatch(name):
        import pyarrow as pa

        values, index = (pa.type_for_alias(alias) for alias in dictionary.group(1, 2))
        return pd.ArrowDtype(pa.dictionary(index, values, dictionary[3] == "1"))
    return name


def _column(table: Table, j: int, feature: Feature) -> NDArray[Any]:
    """One column (n_rows,) as training saw it."""
    codes = table.codes[:, j]
    if feature.is_category:
        return _objects(table.categories[j], codes, feature.missing)
    if feature.dtype != "object":
        limit = WIDEST.get(feature.dtype.lower().partition("[")[0])
        return _integers(codes, limit) if limit and (codes == limit).any() else codes
    if feature.kind == "boolean":
        return _objects((False, True), codes, feature.missing)
    whole = feature.category_dtype == "int64"
    listed = (int(code) if whole and code.is_integer() else code for code in codes.tolist())
    numbers = np.array(list(listed), dtype=object)
    numbers[np.isnan(codes)] = feature.missing
    return numbers


def _integers(codes: NDArray[np.float64], limit: float) -> NDArray[Any]:
    """Whole numbers of 64 bits as Python has them, the largest for its double."""
    numbers = (None if np.isnan(code) else min(int(code), int(limit) - 1) for code in codes)
    return np.array(list(numbers), dtype=object)


def _objects(
    listed: Sequence[Category], codes: NDArray[np.float64], missing: float | None
) -> NDArray[Any]:
    """What codes (n_rows,) stand for; a missing one is the last, where index -1 points."""
    values = np.empty(len(listed) + 1, dtype=object)
    values[:-1], values[-1] = listed, missing
    return values[np.nan_to_num(codes, nan=-1).astype(np.intp)]
