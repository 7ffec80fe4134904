"""Values of one feature to codes, and every rule that they break."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import LISTED_VIOLATIONS, RowsError, Violation
from scoring.feature import Category, Feature
from scoring.times import iso_text, parsed_times

__all__ = ["WHOLE", "Violations", "encode_categories", "encode_numbers", "encode_times"]

WHOLE = 2.0**53
"""Up to here a float is one whole number, and not one of several."""


class Violations:
    """Broken rules as they are found: the first hundred in full, the rest counted."""

    def __init__(self) -> None:
        self.listed: list[Violation] = []
        self.total = 0

    def add(self, row: int | None, column: str | None, rule: str) -> None:
        """Note one."""
        self.total += 1
        if len(self.listed) < LISTED_VIOLATIONS:
            self.listed.append(Violation(row, column, rule))

    def raise_if_any(self) -> None:
        """Raise RowsError with all of them."""
        if self.total:
            raise RowsError(self.listed, self.total)


def encode_times(
    feature: Feature,
    values: Sequence[Any] | NDArray[Any],
    out: NDArray[np.float64],
    violations: Violations,
) -> None:
    """Fill `out` (n_rows,) with the codes of times, or note what is wrong."""
    out[:], broken = parsed_times(values, feature.dtype)
    for row, code in enumerate(out.tolist()):
        if row in broken:
            violations.add(row, feature.name, broken[row])
        elif math.isnan(code) and not feature.allows_missing:
            violations.add(row, feature.name, "must not be missing")
        elif code < feature.lowest or code > feature.limit:
            first, last = (iso_text(end, feature.dtype) for end in (feature.lowest, feature.limit))
            violations.add(row, feature.name, f"must lie between {first} and {last}")


def encode_numbers(
    feature: Feature,
    values: Sequence[Any] | NDArray[Any],
    out: NDArray[np.float64],
    violations: Violations,
) -> None:
    """Fill `out` (n_rows,) with the values of a numeric feature, or note what is wrong."""
    if _plain_numbers(feature, values):
        try:
            out[:] = values
        except OverflowError:
            pass
        else:
            within = (out >= feature.lowest) & (out <= feature.limit)
            if within.all() and _fits_kind(feature, out):
                return
    for row, value in enumerate(values):
        number, rule = _number(feature, value)
        out[row] = number
        if rule:
            violations.add(row, feature.name, rule)


def _fits_kind(feature: Feature, numbers_: NDArray[np.float64]) -> bool:
    if not feature.allows(numbers_).all():
        return False
    if feature.kind == "integer":
        return bool((np.floor(numbers_) == numbers_).all())
    return feature.kind != "boolean" or bool(((numbers_ == 0) | (numbers_ == 1)).all())


def _plain_numbers(feature: Feature, values: Sequence[Any] | NDArray[Any]) -> bool:
    """Whether all values are numbers at a glance, so that they can be converted at once."""
    if isinstance(values, np.ndarray):
        return values.dtype.kind in "iufb"
    types = set(map(type, values))
    return types <= {bool} if feature.kind == "boolean" else types <= {int, float}


def _number(feature: Feature, value: Any) -> tuple[float, str]:  # noqa: PLR0911 one for each rule
    """One value as a float, and the rule that it breaks ('' for none)."""
    if _is_missing_scalar(value):
        return math.nan, "" if feature.allows_missing else "must not be missing"
    if feature.kind == "boolean":
        flag = isinstance(value, (bool, np.bool_))
        if flag or (isinstance(value, np.generic) and value in (0, 1)):
            return float(value), ""
        return math.nan, "must be true or false"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        return math.nan, f"must be a number, not {_kind_of(value)}"
    try:
        number = float(value)
    except OverflowError:
        return math.nan, "must fit a 64-bit float"
    if not math.isfinite(number):
        return math.nan, "must be finite"
    if feature.kind == "integer" and number != math.floor(number):
        return math.nan, "must be a whole number"
    if feature.limit == WHOLE and abs(number) > WHOLE:
        return math.nan, "must lie within 2**53, beyond which no float tells whole numbers apart"
    if not feature.lowest <= number <= feature.limit:
        return math.nan, f"must lie between {feature.lowest:.4g} and {feature.limit:.4g}"
    if feature.allowed and number not in feature.allowed:
        return math.nan, "must be one of the numbers that training saw"
    return number, ""


def _kind_of(value: Any) -> str:
    names = {bool: "a boolean", str: "text", list: "a list", dict: "an object"}
    names |= {int: "a number", float: "a number"}
    return names.get(type(value), "another type")


def encode_categories(
    feature: Feature,
    values: Sequence[Any] | NDArray[Any],
    out: NDArray[np.float64],
    violations: Violations,
    notes: Violations,
) -> tuple[Category, ...]:
    """Fill `out` (n_rows,) with codes; return the categories, with the unseen ones at the end."""
    kind, codes = feature.category_type, feature.code_of
    unseen: dict[Any, int] = {}
    for row, given in enumerate(values):
        value = _of_type(kind, given)
        if _is_missing_scalar(value):
            out[row] = math.nan
            if not feature.allows_missing:
                violations.add(row, feature.name, "must not be missing")
        elif type(value) is not kind:
            rule = f"must be {_TYPES[kind]}, not {_kind_of(value)}"
            violations.add(row, feature.name, rule)
        elif (code := codes.get(value)) is not None:
            out[row] = code
        elif feature.allows_unseen and not _holds(feature.category_dtype, given):
            violations.add(row, feature.name, "must fit the type of the categories")
        elif feature.allows_unseen:
            out[row] = unseen.setdefault(value, len(codes) + len(unseen))
            if not feature.is_open:
                notes.add(row, feature.name, "holds a category that training never saw")
        else:
            violations.add(row, feature.name, "must be one of the categories that training saw")
    return feature.categories + tuple(unseen)


_TYPES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _of_type(kind: type[Any], value: Any) -> Any:
    """A value as the categories have it: JSON and pandas write whole numbers both ways."""
    if isinstance(value, np.generic):
        value = value.item()
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is float and type(value) is int and abs(value) <= WHOLE:
        return float(value)
    return value


def _holds(dtype: str, value: Any) -> bool:
    """Whether a category that training never saw can stand beside those that it saw."""
    if isinstance(value, (str, bool, np.bool_)):
        return True
    if isinstance(value, float) and not value.is_integer():
        return True
    if isinstance(value, float) and abs(value) > WHOLE:
        return False
    kind = _numpy_dtype(dtype)
    if kind.kind == "f":
        limit = 2 ** (np.finfo(kind).nmant + 1)  # up to here every whole number is one of its own
        return bool(-limit <= value <= limit)
    if kind.kind not in "iu":
        return bool(-(2**63) <= value < 2**63)
    return bool(np.iinfo(kind).min <= value <= np.iinfo(kind).max)


def _numpy_dtype(dtype: str) -> np.dtype[Any]:
    """The NumPy dtype behind pandas' nullable ones (`Int8`) and Arrow's (`int8[pyarrow]`)."""
    name = dtype.partition("[")[0].lower()
    return np.dtype({"": "int64", "double": "float64", "float": "float32"}.get(name, name))


def _is_missing_scalar(value: Any) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and math.isnan(value))
