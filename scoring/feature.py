"""One raw feature: what it is called, what its values are, and what is accepted."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.times import time_unit

__all__ = ["Category", "Feature", "Kind"]

Kind = Literal["number", "integer", "boolean", "category"]

Category = str | int | float | bool
"""A value that a categorical feature counts through; all of one feature are of one type."""


@dataclass(frozen=True)
class Feature:
    """One raw feature.

    `dtype` is the pandas dtype that training had, `categories` the values that training is known to
    have held, and `missing_none` tells whether a missing object is None rather than NaN. Of a
    pandas categorical, `category_dtype` and `ordered` are what training had; of a column of objects
    that are numbers, `category_dtype` is int64 where whole ones are Python's integers.
    `allows_missing`, `allows_unseen`, and `limit` and `lowest`, the largest and the least number,
    are those of the model, found at distillation. An open category is one that no list is complete
    for: the model may be any function of the text. `allowed` are the numbers that a strict encoder
    of the column takes; () for any number.
    """

    name: str
    kind: Kind = "number"
    dtype: str = "float64"
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[Category, ...] = ()
    allows_missing: bool = False
    allows_unseen: bool = False
    missing_none: bool = False
    limit: float = sys.float_info.max
    lowest: float = -sys.float_info.max
    category_dtype: str = ""
    ordered: bool = False
    is_open: bool = False
    allowed: tuple[float, ...] = ()

    @property
    def is_category(self) -> bool:
        """Whether the matrix holds codes instead of the values."""
        return self.kind == "category"

    @cached_property
    def is_time(self) -> bool:
        """Whether its numbers count time; see `scoring.times`."""
        return time_unit(self.dtype) is not None

    @property
    def missing(self) -> float | None:
        """What stands for a missing object when the model is called."""
        return None if self.missing_none else math.nan

    def allows(self, numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether numbers are among those that are allowed; missing ones are."""
        if not self.allowed:
            return np.ones(numbers.shape, dtype=bool)
        return np.asarray(np.isin(numbers, self.allowed) | np.isnan(numbers))

    @cached_property
    def category_type(self) -> type[Any]:
        """The type that all categories have."""
        return type(self.categories[0]) if self.categories else str

    def others(self, texts: tuple[str, ...]) -> tuple[Category, ...]:
        """Values that are no categories, of their type: those of `texts`, or one number."""
        if self.category_type is str:
            return tuple(text for text in texts if text not in self.code_of)
        if self.category_type is bool:
            return ()  # true and false are all there is
        return (max(value for value in self.categories if not isinstance(value, str)) + 1,)

    @cached_property
    def code_of(self) -> dict[Category, int]:
        """The code of each category that training saw."""
        return {value: code for code, value in enumerate(self.categories)}

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}
