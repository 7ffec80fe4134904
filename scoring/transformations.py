"""Fitted transformations and a model, as one pipeline over raw rows.

What people have is a fitted transformer, or sklearn-pandas' list of columns and fitted
transformers. The list becomes a ColumnTransformer, a form that can be saved, cut and looked into.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.errors import ParameterError
from scoring.forms.refused import first_line
from scoring.frames import column_names

__all__ = ["with_transformations"]

TRIED_ROWS = 20
"""Examples that are transformed, to see whether they can be."""


@dataclass(frozen=True)
class _Step:
    """One entry of a list: its place, its columns and its fitted transformer (None passes)."""

    place: str
    columns: Any
    transformer: Any


def with_transformations(model: Any, transformations: Any, examples: Any) -> Any:
    """Make one fitted pipeline from two fitted halves; nothing is fitted again.

    Parameters
    ----------
    model : a fitted estimator of transformed rows.
    transformations : a fitted transformer of raw rows, such as a ColumnTransformer or a Pipeline; a
        list of `(columns, fitted transformer or None)`; or a fitted `DataFrameMapper`. In a list a
        column that is named by itself reaches its transformer as one dimension, a list of columns
        as two, and columns that are not listed are left out.
    examples : raw rows, DataFrame or array.

    Raises
    ------
    ParameterError
        Something is not fitted or is no transformer, a column is missing, the examples cannot be
        transformed, or the transformed rows have another width than the model takes.
    """
    if not hasattr(model, "predict"):
        raise ParameterError("model", "must be an estimator where transformations are given")
    from sklearn.pipeline import Pipeline

    if type(transformations).__name__ == "DataFrameMapper":
        steps, remainder = _mapped(transformations)
        head = _column_transformer(steps, examples, remainder)
    elif isinstance(transformations, (list, tuple)):
        head = _column_transformer(list(_steps(transformations)), examples, "drop")
    else:
        _check_fitted([_Step("", [], transformations)])
        head = transformations
    _check_width(head, model, examples)
    return Pipeline([("transformations", head), ("model", model)])


def _steps(listed: Sequence[Any]) -> Iterator[_Step]:
    """Read a list; a third item, sklearn-pandas' options, only names columns."""
    if not listed:
        raise ParameterError("transformations", "must not be an empty list")
    for number, entry in enumerate(listed):
        place = f" {number}"
        if not isinstance(entry, (list, tuple)) or len(entry) not in (2, 3):
            rule = f"must hold (columns, fitted transformer or None), and entry{place} does not"
            raise ParameterError("transformations", rule)
        columns, transformer = entry[0], entry[1]
        if isinstance(transformer, (list, tuple)):
            from sklearn.pipeline import make_pipeline

            transformer = make_pipeline(*transformer)
        yield _Step(place, columns, transformer)


def _mapped(mapper: Any) -> tuple[list[_Step], Any]:
    """Read a fitted DataFrameMapper, and what it does with the other columns."""
    built = getattr(mapper, "built_features", None)
    if built is None:
        raise ParameterError("transformations", "must be fitted", "Call the mapper's fit first.")
    others = mapper.built_default
    remainder = {False: "drop", None: "passthrough"}.get(others, others)
    return list(_steps(built)), remainder


def _column_transformer(steps: Sequence[_Step], examples: Any, remainder: Any) -> Any:
    """A fitted ColumnTransformer of transformers that are fitted already."""
    from sklearn.compose import ColumnTransformer
    from sklearn.frozen import FrozenEstimator

    _check_fitted(steps)
    _check_columns([name for step in steps for name in np.ravel(step.columns).tolist()], examples)
    frozen = []
    for step in steps:
        name = f"transform{step.place}".replace(" ", "_")
        if step.transformer is None:
            frozen.append((name, "passthrough", np.atleast_1d(step.columns).tolist()))
        else:
            transformer = _named(step.transformer, step.columns)
            frozen.append((name, FrozenEstimator(transformer), step.columns))
    others = FrozenEstimator(remainder) if hasattr(remainder, "transform") else remainder
    made = ColumnTransformer(
        frozen, remainder=others, sparse_threshold=0, verbose_feature_names_out=False
    )
    _tried(lambda: made.fit(examples))
    # Freezing kept them from being fitted again; from here on it would only be in the way.
    made.transformers = [(name, _bare(each), columns) for name, each, columns in made.transformers]
    made.transformers_ = [
        (name, _bare(each), columns) for name, each, columns in made.transformers_
    ]
    made.remainder = _bare(made.remainder)
    return made


def _named(transformer: Any, columns: Any) -> Any:
    """A transformer that knows its columns' names: a copy, where it was fitted to an array.

    A ColumnTransformer hands it a named table, and it would warn of that with every call.
    """
    by_name = isinstance(columns, (list, tuple)) and all(isinstance(c, str) for c in columns)
    bare = hasattr(transformer, "n_features_in_") and not hasattr(transformer, "feature_names_in_")
    if not (by_name and bare):
        return transformer
    transformer = copy.deepcopy(transformer)
    first = transformer
    while hasattr(first, "steps"):
        first = first.steps[0][1]
    first.feature_names_in_ = np.asarray(columns, dtype=object)
    return transformer


def _bare(transformer: Any) -> Any:
    """What a frozen estimator holds; everything else as it is."""
    return transformer.estimator if type(transformer).__name__ == "FrozenEstimator" else transformer


def _check_fitted(steps: Sequence[_Step]) -> None:
    """Name everything that is no transformer, or not fitted."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    problems = []
    for step in steps:
        if step.transformer is None:
            continue
        kind = type(step.transformer).__name__
        where = f"entry{step.place}, {kind}," if step.place else kind
        if not hasattr(step.transformer, "transform"):
            problems.append(f"{where} has no transform method")
        elif hasattr(step.transformer, "__sklearn_tags__"):
            try:
                check_is_fitted(step.transformer)
            except NotFittedError:
                problems.append(f"{where} is not fitted")
    if problems:
        rule = f"must be fitted transformers; but {'; '.join(problems)}"
        raise ParameterError("transformations", rule, "Fit them to the training rows first.")


def _check_columns(wanted: Sequence[Any], examples: Any) -> None:
    """Name every column that the examples lack."""
    named = column_names(examples)
    names = set(range(np.shape(examples)[1]) if named is None else named)
    missing = [str(name) for name in dict.fromkeys(wanted) if name not in names]
    if missing:
        rule = f"must name columns of initialization_examples, which lack {', '.join(missing)}"
        raise ParameterError("transformations", rule)


def _check_width(head: Any, model: Any, examples: Any) -> None:
    """Transform a few examples, and see whether the model takes as many columns."""
    trained_on = getattr(head, "feature_names_in_", None)
    if trained_on is not None and column_names(examples) is not None:
        _check_columns(list(trained_on), examples)
    some = examples.iloc[:TRIED_ROWS] if hasattr(examples, "iloc") else examples[:TRIED_ROWS]
    width = _tried(lambda: head.transform(some)).shape[1]
    wanted = getattr(model, "n_features_in_", width)
    if width != wanted:
        rule = f"must make as many columns as the model takes: they make {width}, it takes {wanted}"
        fix = "Leave transformations out if the model is a pipeline that holds them already."
        raise ParameterError("transformations", rule, fix)


def _tried(call: Any) -> Any:
    """Call; whatever a transformer raises becomes an error that says whose it is."""
    try:
        return call()
    except Exception as error:
        said = f"{type(error).__name__}: {first_line(error)}".rstrip(".")
        rule = f"must take initialization_examples; they raised {said}"
        fix = "Pass rows as the transformers were fitted to."
        raise ParameterError("transformations", rule, fix) from error
