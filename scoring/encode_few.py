"""A few rows to codes at once, where all is well with them.

Column by column, a row of 30 features is 30 small arrays, and most of the time of a request. Here
its numbers are one. What is not well, or not plain, is left to the careful way, which says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.feature import Feature
from scoring.flat_columns import FlatColumns

__all__ = ["FEW", "FewRows"]

FEW = 64
"""Rows up to which this is faster than a column at a time."""


_NUMBERS = frozenset({float, int, type(None)})


class FewRows:
    """Encodes rows of these features.

    Parameters
    ----------
    features : in their order.
    """

    def __init__(self, features: Sequence[Feature]) -> None:

        kinds = {j: feature.kind for j, feature in enumerate(features)}
        self._n_features = len(features)
        self._any_times = any(feature.is_time for feature in features)
        self._numbers = [j for j, kind in kinds.items() if kind in {"number", "integer"}]
        self._of_numbers = tuple(features[j].name for j in self._numbers)
        self._flags = [j for j, kind in kinds.items() if kind == "boolean"]
        self._categories = [(j, features[j]) for j, kind in kinds.items() if kind == "category"]
        self._names = [feature.name for feature in features]
        numeric = [features[j] for j in self._numbers]
        self._lowest = np.array([[feature.lowest] for feature in numeric])
        self._highest = np.array([[feature.limit] for feature in numeric])
        self._may_miss = np.array([[feature.allows_missing] for feature in numeric])
        self._whole = np.array([feature.kind == "integer" for feature in numeric])
        self._any_whole = bool(self._whole.any())
        self._listed = [(place, each) for place, each in enumerate(numeric) if each.allowed]
        self._only_numbers = len(numeric) == len(features)

    def encode(
        self, columns: Mapping[str, Sequence[Any] | NDArray[Any]], n_rows: int
    ) -> NDArray[np.float64] | None:
        """Return codes (n_rows, n_features), C-contiguous; None where the careful way is needed.

        Parameters
        ----------
        columns : per feature name its values (n_rows,).
        """
        if self._any_times:
            return None
        if isinstance(columns, FlatColumns) and columns.names == self._of_numbers:
            flat = columns.flat
        else:
            flat = [*chain.from_iterable(map(columns.__getitem__, self._of_numbers))]
        numbers = self._encoded_numbers(flat, n_rows)
        if numbers is None:
            return None
        if self._only_numbers:
            return np.ascontiguousarray(numbers.T)
        codes = np.empty((n_rows, self._n_features))
        codes[:, self._numbers] = numbers.T
        for j in self._flags:
            values = columns[self._names[j]]
            if set(map(type, values)) != {bool}:
                return None
            codes[:, j] = values
        for j, feature in self._categories:
            values, may_miss = columns[feature.name], feature.allows_missing
            kind, code_of = feature.category_type, feature.code_of
            found = _encoded_categories(values, kind, code_of, may_miss=may_miss)
            if found is None:
                return None
            codes[:, j] = found
        return codes

    def _encoded_numbers(self, flat: list[Any], n_rows: int) -> NDArray[np.float64] | None:
        """Numbers (n_numbers, n_rows), told column after column; NaN where one may be missing."""
        if not _NUMBERS.issuperset(map(type, flat)) or len(flat) < n_rows:
            return np.empty((0, n_rows)) if not self._numbers else None
        try:
            numbers = np.array(flat, dtype=np.float64).reshape(-1, n_rows)
        except OverflowError:
            return None
        within = (numbers >= self._lowest) & (numbers <= self._highest)
        if np.count_nonzero(within) < within.size:
            missing = self._may_miss & np.isnan(numbers)
            if not (within | missing).all():
                return None
        if self._any_whole:
            whole = numbers[self._whole]
            if not ((np.floor(whole) == whole) | np.isnan(whole)).all():
                return None
        if not all(feature.allows(numbers[place]).all() for place, feature in self._listed):
            return None
        return numbers


def _encoded_categories(
    values: Iterable[Any], kind: type, code_of: Mapping[Any, int], *, may_miss: bool
) -> list[float] | None:
    """Codes of a category's values."""
    codes: list[float] = []
    for value in values:
        if type(value) is kind:
            code = code_of.get(value, -1)
            if code < 0:  # training never saw it
                return None
            codes.append(code)
        elif value is None and may_miss:
            codes.append(np.nan)
        else:
            return None
    return codes
