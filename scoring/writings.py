"""How rows that came in a polars or Arrow frame are written for the model.

Most models take pandas as well and answer the same; the artifact then needs no other library. A
step that calls polars' own methods gets polars. Both are tried on the rows that were given.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError
from scoring.feature import Feature

if TYPE_CHECKING:
    from scoring.schema import FeatureSchema

__all__ = ["as_taken"]

COMPARED_ROWS = 1000

FLAGS = ("object", "boolean", "bool")
"""pandas dtypes of booleans, those first that hold a gap: encoders want objects, LightGBM none."""

LISTED = ("object", "category")
"""pandas dtypes of categories: encoders learnt None for a gap, which only objects hold."""


def as_taken(model: Any, schema: FeatureSchema, x: Any) -> FeatureSchema:
    """Choose how rows are written: the first writing that the model answers as it answers `x`.

    Parameters
    ----------
    model : an estimator, or a function of rows.
    schema : read off `x`.
    x : a frame that is not pandas'.

    Returns
    -------
    The schema; where the model does not take `x` itself, with the first writing that it takes, and
    as it is where it takes none.

    Raises
    ------
    ParameterError
        The model takes `x`, and answers every writing of it otherwise.
    """
    if not schema.frame:
        return schema
    rows = x[:COMPARED_ROWS]
    wanted = _answer(model, lambda: rows) if _may_be_asked(model, schema) else None
    table = schema.encode(rows)
    for writing in _writings(schema, x):
        answer = _answer(model, partial(writing.written, table))
        if answer is not None and (wanted is None or _same(answer, wanted)):
            return writing
    if wanted is None:
        return schema
    rule = f"must be a pandas DataFrame for this model: it answers {type(x).__name__} otherwise"
    raise ParameterError("initialization_examples", rule, "Fit the model to pandas DataFrames.")


def _writings(schema: FeatureSchema, x: Any) -> Iterator[FeatureSchema]:
    flags = FLAGS if any(feature.kind == "boolean" for feature in schema.features) else ("",)
    listed = LISTED if any(feature.category_dtype for feature in schema.features) else ("",)
    for dtypes in product(listed, flags):
        yield replace(schema, features=tuple(_with_dtype(f, *dtypes) for f in schema.features))
    if type(x).__module__.partition(".")[0] == "polars":
        yield replace(schema, library="polars")


def _with_dtype(feature: Feature, listed: str, flag: str) -> Feature:
    if feature.kind == "boolean":
        return replace(feature, dtype=flag, missing_none=True)
    if feature.category_dtype and listed == "object":
        plain: dict[str, Any] = {"category_dtype": "", "ordered": False, "missing_none": True}
        return replace(feature, dtype="object", **plain)
    return feature


def _may_be_asked(model: Any, schema: FeatureSchema) -> bool:
    """Whether a model refuses a frame that it does not take; LightGBM ends the process at text."""
    package = type(getattr(model, "__self__", model)).__module__.partition(".")[0]
    return package != "lightgbm" or not any(feature.is_category for feature in schema.features)


def _answer(model: Any, written: Callable[[], Any]) -> NDArray[Any] | None:
    """What a model says of a frame, or None where it raises."""
    ask = getattr(model, "predict_proba", getattr(model, "predict", model))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of whatever it then takes
            return np.asarray(ask(written()))
    except Exception:  # noqa: BLE001 whatever a user's model raises is its way of saying no
        return None


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype.kind == other.dtype.kind == "f":
        return one.shape == other.shape and np.allclose(one, other, rtol=1e-9, equal_nan=True)
    return bool(np.array_equal(one, other))
