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
from scoring.models.boosters import wrapped
from scoring.models.recognise import BOUND
from scoring.models.transformed import Transformed
from scoring.schema import is_frame

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
    model : anything that predicts of transformed rows: an estimator, a booster, an object with
        `predict` or `predict_proba`, a method bound to one, or a function.
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
    owner, name = getattr(model, "__self__", None), getattr(model, "__name__", "")
    if name in BOUND and hasattr(owner, name):
        return getattr(with_transformations(owner, transformations, examples), name)
    model = wrapped(model)
    if not (callable(model) or hasattr(model, "predict") or hasattr(model, "predict_proba")):
        raise ParameterError("model", "must be a fitted estimator or a callable")
    if type(transformations).__name__ == "DataFrameMapper":
        steps, remainder = _mapped(transformations)
        head = _column_transformer(steps, examples, remainder)
    elif isinstance(transformations, (list, tuple)):
        head = _column_transformer(list(_steps(transformations)), examples, "drop")
    else:
        _check_transform([_Step("", [], transformations)])
        head = transformations
    _check_width(head, model, examples)
    return _in_a_row(head, model)


def _in_a_row(head: Any, model: Any) -> Any:
    """A transformer and a model of what it makes: as a Pipeline, where scikit-learn takes it."""
    from sklearn.exceptions import NotFittedError
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    if not (hasattr(model, "predict") or hasattr(model, "predict_proba")):
        return lambda rows: model(head.transform(rows))
    try:
        check_is_fitted(model)  # which is what a Pipeline asks before it predicts
    except (NotFittedError, TypeError, AttributeError):
        return Transformed(head, model)
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

    _check_transform(steps)
    _check_columns([name for step in steps for name in np.ravel(step.columns).tolist()], examples)
    frozen: list[tuple[str, Any, Any]] = []
    for step in steps:
        name = f"transform{step.place}".replace(" ", "_")
        if step.transformer is None:
            frozen.append((name, "passthrough", np.atleast_1d(step.columns).tolist()))
        else:
            transformer = _named(step.transformer, step.columns)
            frozen.append((name, _Frozen(transformer), step.columns))
    others = _Frozen(remainder) if hasattr(remainder, "transform") else remainder
    made = ColumnTransformer(
        frozen, remainder=others, sparse_threshold=0, verbose_feature_names_out=False
    )
    _tried(lambda: made.fit(examples), steps)
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


class _Frozen:
    """A fitted transformer that fitting changes nothing of."""

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def __sklearn_clone__(self) -> _Frozen:
        return self

    def fit(self, rows: Any, y: Any = None) -> _Frozen:  # noqa: ARG002 scikit-learn's signature
        """Return the same transformer."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name in {"transformer", "fit_transform"}:  # not there, or it would fit
            raise AttributeError(name)
        return getattr(self.transformer, name)


def _bare(transformer: Any) -> Any:
    """What a frozen transformer holds; everything else as it is."""
    return transformer.transformer if isinstance(transformer, _Frozen) else transformer


def _check_transform(steps: Sequence[_Step]) -> None:
    """Name everything that is no transformer."""
    problems = [
        f"{_place(step)} has no transform method"
        for step in steps
        if step.transformer is not None and not hasattr(step.transformer, "transform")
    ]
    if problems:
        raise _not_fitted(problems)


def _not_fitted(problems: Sequence[str]) -> ParameterError:
    rule = f"must be fitted transformers; but {'; '.join(problems)}"
    return ParameterError("transformations", rule, "Fit them to the training rows first.")


def _place(step: _Step) -> str:
    kind = type(step.transformer).__name__
    return f"entry{step.place}, {kind}," if step.place else kind


def _check_columns(wanted: Sequence[Any], examples: Any) -> None:
    """Name every column that the examples lack."""
    names = set(examples.columns) if is_frame(examples) else set(range(np.shape(examples)[1]))
    missing = [str(name) for name in dict.fromkeys(wanted) if name not in names]
    if missing:
        rule = f"must name columns of initialization_examples, which lack {', '.join(missing)}"
        raise ParameterError("transformations", rule)


def _check_width(head: Any, model: Any, examples: Any) -> None:
    """Transform a few examples, and see whether the model takes as many columns."""
    trained_on = getattr(head, "feature_names_in_", None)
    if trained_on is not None and is_frame(examples):
        _check_columns(list(trained_on), examples)
    some = examples.iloc[:TRIED_ROWS] if is_frame(examples) else examples[:TRIED_ROWS]
    steps = [_Step("", [], head)]
    width = np.shape(_tried(lambda: head.transform(some), steps))[1]
    wanted = getattr(model, "n_features_in_", width)
    if width != wanted:
        rule = f"must make as many columns as the model takes: they make {width}, it takes {wanted}"
        fix = "Leave transformations out if the model is a pipeline that holds them already."
        raise ParameterError("transformations", rule, fix)


def _tried(call: Any, steps: Sequence[_Step]) -> Any:
    """Call; whatever a transformer raises becomes an error that says whose it is."""
    from sklearn.exceptions import NotFittedError

    try:
        return call()
    except NotFittedError as error:
        named = [f"{_place(step)} is not fitted" for step in steps if _looks_unfitted(step)]
        raise _not_fitted(named or [first_line(error)]) from error
    except Exception as error:
        told = f"{type(error).__name__}: {first_line(error)}"
        rule = f"must take initialization_examples; they raised {told.rstrip('.')}"
        fix = "Pass rows as the transformers were fitted to."
        raise ParameterError("transformations", rule, fix) from error


def _looks_unfitted(step: _Step) -> bool:
    """Whether scikit-learn takes a transformer for one that is not fitted; a guess of its."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not hasattr(step.transformer, "__sklearn_tags__"):
        return False
    try:
        check_is_fitted(step.transformer)
    except NotFittedError:
        return True
    return False
