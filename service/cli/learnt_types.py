"""Types of columns as a fitted model's own steps learnt them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Learnt", "learnt_types"]

_INNER = (
    "best_estimator_",
    "estimator_",
    "regressor_",
    "classifier_",
    "estimator",
    "base_estimator",
)
_MEMBERS = ("estimators_", "calibrated_classifiers_")


@dataclass(frozen=True)
class Learnt:
    """A column's type, and who learnt it.

    Parameters
    ----------
    dtype : `str`, `int64`, `float64`, `bool` or `category`.
    by : the type of the step.
    values : the categories, where the step lists them.
    none, nan : whether a missing value is among them, and how it is written.
    """

    dtype: str
    by: str
    values: tuple[Any, ...] = ()
    none: bool = False
    nan: bool = False


def learnt_types(model: Any, columns: Sequence[str]) -> dict[str, Learnt]:
    """Read off a model what its columns hold.

    Parameters
    ----------
    model : fitted pipeline, estimator, booster or ONNX model.
    columns : names in the model's order, where it has none itself.

    Returns
    -------
    Per column what is known; a column that no step speaks of is left out.
    """
    found: dict[str, Learnt] = {}
    for name, learnt in _of(model, list(columns)):
        found.setdefault(name, learnt)
    return found


def _of(part: Any, names: list[str]) -> Iterator[tuple[str, Learnt]]:
    """What a part says of the columns that it gets."""
    names = [str(name) for name in getattr(part, "feature_names_in_", names)]
    by = type(part).__name__
    if hasattr(part, "steps"):
        yield from _of_steps(part.steps, names)
    elif hasattr(part, "transformers_"):
        for _, each, columns in part.transformers_:
            if not isinstance(each, str):
                yield from _of(each, _chosen(columns, names))
    elif hasattr(part, "transformer_list"):
        for _, each in part.transformer_list:
            yield from _of(each, names)
    elif hasattr(part, "categories_"):
        for name, values in zip(names, part.categories_, strict=False):
            yield name, _of_values(values, by)
    elif hasattr(part, "build_analyzer"):
        yield from ((name, Learnt("str", by)) for name in names[:1])
    elif hasattr(part, "statistics_"):
        texts = (isinstance(value, str) for value in np.asarray(part.statistics_, dtype=object))
        yield from ((n, Learnt("str", by)) for n, text in zip(names, texts, strict=False) if text)
    else:
        yield from _of_library(part, names, by)
        inner = [getattr(part, name) for name in _INNER if getattr(part, name, None) is not None]
        members = [each for name in _MEMBERS for each in np.ravel(getattr(part, name, ()))]
        for each in (getattr(part, "_preprocessor", None), *inner, *members):
            if each is not None and not isinstance(each, (str, tuple)):
                yield from _of(each, names)


def _of_steps(steps: Sequence[tuple[str, Any]], names: list[str]) -> Iterator[tuple[str, Learnt]]:
    """What steps say of the columns; a step that makes other columns ends it."""
    for _, step in steps:
        if step is None or isinstance(step, str):
            continue
        yield from _of(step, names)
        try:
            given = step.get_feature_names_out(names)
        except Exception:  # noqa: BLE001 not every step has names, and each fails in its own way
            if type(step).__name__ != "FunctionTransformer":
                return
            given = names
        if not set(given) <= set(names):
            return
        names = [str(name) for name in given]


def _chosen(columns: Any, names: list[str]) -> list[str]:
    """The names of the columns that a branch takes, however they were given."""
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            return names
        return names[columns]
    listed = np.atleast_1d(np.asarray(columns))
    if listed.dtype == bool:
        return [name for name, kept in zip(names, listed, strict=False) if kept]
    return [c if isinstance(c, str) else names[int(c)] for c in listed.tolist()]


def _of_values(values: Any, by: str) -> Learnt:
    """The type of a list of categories."""
    listed = [v.item() if isinstance(v, np.generic) else v for v in np.asarray(values).tolist()]
    none = any(value is None for value in listed)
    nan = any(isinstance(value, float) and np.isnan(value) for value in listed)
    known = tuple(v for v in listed if v is not None and not (isinstance(v, float) and np.isnan(v)))
    types = set(map(type, known))
    order = (str, float, int, bool)
    kind = next((kind.__name__ for kind in order if kind in types), "str")
    dtype = {"int": "int64", "float": "float64"}.get(kind, kind)
    return Learnt(dtype, by, known, none, nan)


def _of_library(part: Any, names: list[str], by: str) -> Iterator[tuple[str, Learnt]]:
    """What boosting libraries and ONNX models say of their columns."""
    if hasattr(part, "inputs") and hasattr(part, "files"):
        if len(part.inputs) > 1:
            for name, (_, kind, _) in zip(names, part.inputs, strict=False):
                yield from ((name, Learnt("str", by)) for _ in range(kind == "tensor(string)"))
    elif hasattr(part, "get_cat_feature_indices"):
        for j in part.get_cat_feature_indices():
            yield part.feature_names_[j], Learnt("str", by)
    elif (booster := getattr(part, "booster_", part)) and hasattr(booster, "pandas_categorical"):
        for name, values in _lightgbm_categories(booster).items():
            yield name, Learnt("category", by, tuple(values))
    elif hasattr(part, "get_booster") or hasattr(part, "get_categories"):
        booster = part.get_booster() if hasattr(part, "get_booster") else part
        for name, values in _xgboost_categories(booster).items():
            yield name, Learnt("category", by, tuple(values))


def _lightgbm_categories(booster: Any) -> Mapping[str, Sequence[Any]]:
    known, names = booster.pandas_categorical or [], booster.feature_name()
    places = booster.params.get("categorical_column")
    if not isinstance(places, list) or len(places) != len(known):
        infos = booster.dump_model(num_iteration=1)["feature_infos"]
        places = [j for j, name in enumerate(names) if infos.get(name, {}).get("values")]
    if len(places) != len(known):
        return {}
    return {names[j]: values for j, values in zip(places, known, strict=True)}


def _xgboost_categories(booster: Any) -> Mapping[str, Sequence[Any]]:
    if "c" not in (booster.feature_types or ()) or not hasattr(booster, "get_categories"):
        return {}
    listed = booster.get_categories(export_to_arrow=True).to_arrow()
    return {name: values.to_pylist() for name, values in listed if values is not None}
