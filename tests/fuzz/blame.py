"""Which cells of a row make it fail, and what the pipeline does to their columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from tests.fuzz.cases import Case
from tests.fuzz.truth import taken


def blamed(case: Case, row: Any, fails: Callable[[Any], bool]) -> tuple[str, ...]:
    """Put values of the sample in place of the row's as long as it fails; tell what remains.

    Returns
    -------
    Per remaining column its kind, dtype, what its value is to training, and its steps.
    """
    current = row.copy()
    for j in range(row.shape[1]):
        for other in range(min(3, len(case.sample))):
            tried = _replaced(current, j, taken(case.sample, [other]))
            if _fails(fails, tried):
                current = tried
                break
    return tuple(sorted({cell_of(case, current, j) for j in range(row.shape[1])} - {""}))


def _fails(fails: Callable[[Any], bool], row: Any) -> bool:
    try:
        return fails(row)
    except Exception:  # noqa: BLE001 another fault than the one that is looked for
        return False


def _replaced(row: Any, j: int, other: Any) -> Any:
    if not isinstance(row, pd.DataFrame):
        tried = row.copy()
        tried[0, j] = other[0, j]
        return tried
    name = row.columns[j]
    values = pd.Series(other[name].tolist(), dtype=row[name].dtype, index=row.index)
    return row.assign(**{name: values})


def cell_of(case: Case, row: Any, j: int) -> str:
    """A cell's column, what its value is to training, and its steps; "" where the sample has it."""
    column = case.columns[j]
    value: Any = row.iloc[0, j] if isinstance(row, pd.DataFrame) else row[0, j]
    sample = case.sample.iloc[:, j] if case.is_frame else pd.Series(case.sample[:, j])
    if _among(value, sample):
        return ""
    if pd.isna(value):
        where = "gap in training" if column.gaps else "gap, none in training"
    elif _among(value, column.values):
        where = "trained, not in sample"
    elif column.kind == "category" and value in column.values.cat.categories:
        where = "unused category"
    else:
        where = "new"
    return f"{column.kind} {column.values.dtype}: {where} [{steps_on(case.model, column.name)}]"


def _among(value: Any, values: pd.Series) -> bool:
    if pd.isna(value):
        return bool(values.isna().any())
    return bool((values == value).fillna(False).any())


def steps_on(model: Any, column: str) -> str:
    """The classes of the steps that see a column first."""
    if isinstance(model, Pipeline):
        return steps_on(model.steps[0][1], column)
    if isinstance(model, ColumnTransformer):
        for _, step, names in model.transformers:
            if column in np.atleast_1d(names).tolist():
                return (
                    steps_on(step, column) if isinstance(step, ColumnTransformer) else _named(step)
                )
        return f"remainder {_named(model.remainder)}"
    return _named(model)


def _named(step: Any) -> str:
    if isinstance(step, str):
        return step
    if isinstance(step, Pipeline):
        return " > ".join(_named(each) for _, each in step.steps)
    if isinstance(step, FeatureUnion):
        return " + ".join(_named(each) for _, each in step.transformer_list)
    name = type(step).__name__
    if name in {"OneHotEncoder", "OrdinalEncoder"}:
        return f"{name} {step.handle_unknown}"
    return f"{name} {step.func.__name__}" if name == "FunctionTransformer" else name


def transformers(model: Any) -> list[str]:
    """The classes of all steps but the last, deeply."""
    if not isinstance(model, Pipeline):
        return ["no pipeline"]
    kinds: set[str] = set()
    for value in model[:-1].get_params(deep=True).values():
        if hasattr(value, "fit") and hasattr(value, "transform"):
            kinds.add(type(value).__name__)
    return sorted(kinds - {"Pipeline", "ColumnTransformer"})
