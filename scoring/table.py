"""Checked rows in one numeric shape: numbers as they are, categories as codes, NaN for missing.

Masking, batching and deduplication then work on one float64 matrix, whatever the columns hold;
only the call of the model turns codes back into what they stand for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import Violation
from scoring.feature import Feature

__all__ = ["Table", "to_array", "to_frame"]

KIND, DTYPE = attrgetter("kind"), attrgetter("dtype")
"""Read in C, because wide tables ask them of thousands of features per request."""


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
    categories: tuple[tuple[str | int, ...], ...]
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
    if "category" not in map(KIND, features):
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


def _series(table: Table, j: int, feature: Feature) -> Any:
    import pandas as pd

    if feature.dtype == "category":
        codes = np.nan_to_num(table.codes[:, j], nan=-1).astype(np.intp)
        values = pd.Index(table.categories[j])
        if feature.category_dtype:  # boosting libraries look at it
            values = values.astype(feature.category_dtype)
        return pd.Categorical.from_codes(codes, categories=values, ordered=feature.ordered)
    if feature.dtype == "bool" and np.isnan(table.codes[:, j]).any():
        raise ValueError("a column of booleans has no missing values")  # pandas would write True
    return pd.Series(_column(table, j, feature), dtype=feature.dtype)


def _column(table: Table, j: int, feature: Feature) -> NDArray[Any]:
    """One column (n_rows,) as training saw it."""
    codes = table.codes[:, j]
    if not feature.is_category:
        return codes
    values = np.empty(len(table.categories[j]) + 1, dtype=object)
    values[:-1] = table.categories[j]
    values[-1] = feature.missing  # index -1 is where the missing ones point
    return values[np.nan_to_num(codes, nan=-1).astype(np.intp)]
