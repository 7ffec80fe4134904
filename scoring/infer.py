"""Features read off rows: the names, kinds, dtypes and values that training held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError
from scoring.feature import Feature, Kind
from scoring.frames import frame_of, is_frame, to_pandas
from scoring.texts import encodable
from scoring.times import limits, parsed_times, time_unit

__all__ = ["Names", "features_of", "plain_values", "two_dimensional"]

Names = Sequence[Any] | NDArray[Any]
"""Names as people have them: a list, or an array such as scikit-learn's `feature_names`."""

_FIXES = {
    "interval": "Give pandas.cut labels, or write column.astype(str).",
    "category": "Write the categories as one type: column.astype(str).astype('category').",
    "timedelta": "Convert it before training: column.dt.total_seconds().",
    "duration": "Convert it before training: column.dt.total_seconds().",
    "date": "Convert it before training, to a number of days, say.",
    "timestamp": "Convert it before training, to a number of days, say.",
    "decimal": "Convert it before training to float64.",
    "complex": "Split it before training into its real and its imaginary part.",
}
"""What to do about a column, by a word in the name of its dtype or its values' type."""

_PYTHON = ((np.bool_, bool), (np.integer, int), (np.floating, float), (np.str_, str))


def features_of(x: Any, names: Names | None) -> tuple[tuple[Feature, ...], bool]:
    """Read features off training rows; the second is whether the rows name them.

    Parameters
    ----------
    x : frame or array (n_rows, n_features).
    names : the features' names, for an array; a frame has its own.

    Raises
    ------
    ParameterError
        Duplicate names, a wrong number of names, or a column of a kind that is not supported.
    """
    other = frame_of(x)
    if other is not None:
        x = to_pandas(other)
    named = is_frame(x) and all(isinstance(name, str) for name in x.columns)
    x = x if is_frame(x) else two_dimensional(x)
    _check_shape(x)
    chosen = _names(x, names, named=named)
    columns = [x.iloc[:, j] if is_frame(x) else x[:, j] for j in range(x.shape[1])]
    features = [_feature(name, each) for name, each in zip(chosen, columns, strict=True)]
    if times := [feature for feature in features if feature.is_time and not named]:
        raise _unsupported(times[0].name, times[0].dtype, set())  # an array has no place for it
    if other is not None:  # which write a missing object as None, also where these rows have none
        features = [replace(f, missing_none=True) if f.dtype == "object" else f for f in features]
    return tuple(features), named


def two_dimensional(x: Any) -> NDArray[Any]:
    """Rows as a dense array; SciPy's sparse matrices are written out."""
    rows = np.asarray(x.toarray() if hasattr(x, "toarray") else x)
    if rows.ndim != 2:
        rule = f"must be two-dimensional, not {rows.ndim}-dimensional"
        raise ParameterError("x", rule, "One row is x[0:1], not x[0].")
    return rows


def plain_values(column: Any) -> Sequence[Any] | NDArray[Any]:
    """A pandas column as plain values."""
    if _is_numeric(column):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if getattr(column.dtype, "kind", "O") == "M" and isinstance(column.dtype, np.dtype):
        return np.asarray(column.to_numpy())
    if str(column.dtype) == "category":  # a list of an Arrow column takes a tenth of a millisecond
        labels, codes = column.dtype.categories.tolist(), column.array.codes.tolist()
        return [None if code < 0 else labels[code] for code in codes]
    return [None if _is_missing(value) else value for value in column.tolist()]


def _is_numeric(column: Any) -> bool:
    return getattr(column.dtype, "kind", "O") in "iufb" and column.dtype != object


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _check_shape(x: Any) -> None:
    if not x.shape[1]:
        raise ParameterError("x", "must have at least one column")
    if not is_frame(x):
        return
    twice = [str(name) for name in dict.fromkeys(x.columns[x.columns.duplicated()])]
    if twice:
        rule = f"must not have columns of one name: {', '.join(twice)}"
        raise ParameterError("x", rule, "Rename them, or drop all but one.")


def _names(x: Any, names: Names | None, *, named: bool) -> list[str]:
    width = x.shape[1]
    if isinstance(names, str):
        raise ParameterError("features", "must be a list of names, not a text")
    if names is not None and len(names) != width:
        raise ParameterError("features", f"must name {width} columns, not {len(names)}")
    own = [str(name) for name in x.columns] if named else [f"feature_{j}" for j in range(width)]
    chosen = own if names is None else [str(name) for name in names]
    if named and chosen != own:
        fix = "Rename the DataFrame's columns, or leave features out."
        raise ParameterError("features", "must equal the DataFrame's columns", fix)
    if len(set(chosen)) != width:
        raise ParameterError("features", "must not repeat a name", "Give every column its own.")
    if not all(encodable(name) for name in chosen):
        raise ParameterError("features", "must have names that UTF-8 can write")
    return chosen


def _feature(name: str, column: Any) -> Feature:
    """Read one feature off a pandas column, or a column of an array."""
    if _is_numeric(column):
        return _of_numbers(name, column)
    if str(column.dtype) == "category":
        return _of_categorical(name, column.dtype)
    if time_unit(str(column.dtype)) and not isinstance(column, np.ndarray):
        return _of_times(name, column)
    return _of_objects(name, column)


def _of_numbers(name: str, column: Any) -> Feature:
    kind = column.dtype.kind
    if isinstance(column, np.ndarray):
        numbers = np.asarray(column, dtype=np.float64)
    else:
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    # An array has one dtype for all its columns, so it says nothing about a single one.
    frame_kind: Kind = "integer" if kind in "iu" else "boolean" if kind == "b" else "number"
    of_array = isinstance(column, np.ndarray)
    return Feature(
        name,
        "number" if of_array else frame_kind,
        "float64" if of_array else str(column.dtype),
        **_range(name, numbers),
    )


def _range(name: str, numbers: NDArray[np.float64]) -> dict[str, Any]:
    """The least and the greatest of a column's numbers; {} where all are missing."""
    seen = numbers[np.isfinite(numbers)]
    if len(seen) < len(numbers) - np.isnan(numbers).sum():
        raise ParameterError(f"column '{name}'", "must not hold infinite values")
    return {"minimum": float(seen.min()), "maximum": float(seen.max())} if len(seen) else {}


def _of_categorical(name: str, dtype: Any) -> Feature:
    """Read a feature off pandas' categories, which the rows need not hold."""
    listed = [_plain(category) for category in dtype.categories.tolist()]
    types = set(map(type, listed))
    if types == {float} and all(category.is_integer() for category in listed):
        listed = [int(category) for category in listed]  # the dtype keeps that they were floats
    elif types == {float} and not np.isfinite(listed).all():
        raise ParameterError(f"column '{name}'", "must not hold infinite values")
    elif len(types) != 1 or not types <= {str, int, float, bool}:
        raise _unsupported(name, f"category of {dtype.categories.dtype}", types)
    _check_text(name, listed)
    of, ordered = str(dtype.categories.dtype), bool(dtype.ordered)
    return Feature(
        name, "category", "category", categories=tuple(listed), category_dtype=of, ordered=ordered
    )


def _of_times(name: str, column: Any) -> Feature:
    """Read a feature off datetimes: a number that counts the dtype's own unit."""
    dtype = str(column.dtype)
    codes, broken = parsed_times(plain_values(column), dtype)
    if broken:
        raise ParameterError(f"column '{name}'", next(iter(broken.values())))
    lowest, limit = limits(dtype)
    return Feature(name, "integer", dtype, lowest=lowest, limit=limit, **_range(name, codes))


def _of_objects(name: str, column: Any) -> Feature:
    """Read a feature off texts, or off objects that are all texts, booleans or numbers."""
    values, dtype = column.tolist(), str(column.dtype)
    seen = [_plain(value) for value in values if not _is_missing(value)]
    types = set(map(type, seen))
    none = any(value is None for value in values)
    if none and any(value is not None and _is_missing(value) for value in values):
        fix = "Write None, or NaN, for all of them."
        raise ParameterError(f"column '{name}'", "must write missing values in one way", fix)
    if types == {str}:
        _check_text(name, seen)
        listed = tuple(sorted(set(seen)))
        return Feature(name, "category", dtype, categories=listed, missing_none=none)
    if dtype == "object" and types == {bool}:
        ends: dict[str, Any] = {"minimum": float(min(seen)), "maximum": float(max(seen))}
        return Feature(name, "boolean", dtype, missing_none=none, **ends)
    if dtype == "object" and types and types <= {int, float}:
        numbers = np.array([np.nan if _is_missing(v) else v for v in values], dtype=np.float64)
        as_objects = none or not isinstance(column, np.ndarray)  # or nothing is lost as float64
        dtype = dtype if as_objects else "float64"
        whole = "int64" if dtype == "object" and int in types else ""  # 1 is not 1.0 to a text
        found = _range(name, numbers)
        return Feature(name, "number", dtype, missing_none=none, category_dtype=whole, **found)
    raise _unsupported(name, dtype, types)


def _plain(value: Any) -> Any:
    """A value of NumPy's as one of Python's."""
    return next((python(value) for of, python in _PYTHON if isinstance(value, of)), value)


def _check_text(name: str, values: Any) -> None:
    if not all(encodable(value) for value in values if isinstance(value, str)):
        raise ParameterError(f"column '{name}'", "must hold text that UTF-8 can write")


def _unsupported(name: str, dtype: str, types: set[type]) -> ParameterError:
    """The error for a column of another kind, with what to do about it."""
    mixed = ", ".join(sorted(kind.__name__ for kind in types))
    rule = f"must hold numbers, booleans, text or categories; its dtype is {dtype}"
    if dtype == "object":
        rule += f" and it holds {mixed or 'nothing'}"
    fix = next((fix for word, fix in _FIXES.items() if word in f"{dtype} {mixed}".lower()), "")
    fix = fix or "Convert it before training: column.astype(str) for text, astype(float), ..."
    return ParameterError(f"column '{name}'", rule, fix)
