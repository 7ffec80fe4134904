"""From any object or function that predicts to a model of a known kind.

Nothing is believed of a type or of an attribute that a call can tell: fitted is what predicts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError, ShapserveError
from scoring.forms.refused import first_line
from scoring.models import boosters
from scoring.models.estimator import (
    CallableModel,
    EstimatorModel,
    is_outlier_detector,
    last_step,
    sklearn_type,
)
from scoring.models.labels import are_labels, checked_labels, labels_of, one_a_row, several_targets
from scoring.models.model import Model, OutputSpace, Task
from scoring.models.outputs import check_probabilities, check_sums
from scoring.models.wrappers import Classifier, ValuesOnly
from scoring.network import Network, is_network
from scoring.schema import FeatureSchema, Names
from scoring.table import Table

__all__ = ["answered", "recognised"]

ASKED_ROWS = 100
"""Rows that show what a model's methods answer."""

BOUND: dict[str, OutputSpace | None] = {
    "predict_proba": "probability",
    "decision_function": "margin",
    "predict": None,
}
"""Methods that stand for their model, and the output space that they name."""


def recognised(
    model: Any,
    schema: FeatureSchema,
    space: OutputSpace | None,
    task: Task | None,
    classes: Names | None,
    probe: Table | None,
) -> tuple[Model, OutputSpace | None]:
    """Put a model behind the model protocol.

    Parameters
    ----------
    model : an estimator, a booster, an object with `predict` or `predict_proba`, a method bound to
        one, a function of rows, or a `Model`.
    space : the output space that is asked for.
    task : what somebody says the model is for, which overrides what it looks like.
    classes : names of the classes; those of a model that does not name its own.
    probe : rows that the model takes.

    Returns
    -------
    The model, and the output space that is asked for or that a bound method names.

    Raises
    ------
    ParameterError
    """
    if space is not None and space not in get_args(OutputSpace):
        raise ParameterError("output_space", f"must be one of {', '.join(get_args(OutputSpace))}")
    model, space = _unbound(model, space, task)
    if hasattr(model, "spaces") and hasattr(model, "outputs"):
        return model, space
    asked = None if probe is None else probe.take(slice(0, ASKED_ROWS))
    named: dict[Task | None, OutputSpace] = {"classification": "probability"}
    if is_network(model):
        space = space or named.get(task, "value")
        return CallableModel(Network(model), schema, space), space
    if hasattr(model, "predict") or hasattr(model, "predict_proba"):
        estimator = _estimator(boosters.wrapped(model), schema, space, task, classes, asked)
        return EstimatorModel(estimator, schema), space
    if callable(model):
        space = space or named.get(task, "value")
        return _function(model, schema, space, classes, asked), space
    raise ParameterError("model", "must be a fitted estimator, a callable or an ONNX model")


def answered(model: Any, call: Callable[[], Any], method: str = "it") -> Any:
    """Call a model; what it raises becomes an error that tells the model's own words.

    Parameters
    ----------
    call : of the model.
    method : its subject in the message.

    Raises
    ------
    ParameterError
    """
    try:
        return call()
    except ShapserveError:
        raise
    except Exception as error:  # whatever a user's model raises is its way of saying no
        if _tells_unfitted(error, model):
            raise ParameterError("model", "must be fitted", "Call its fit method first.") from None
        told = f"{method} raised {type(error).__name__}: {first_line(error)}"
        rule = f"must answer the rows that it is given; {told.rstrip('.')}"
        fix = "That is the model's own error; give it rows that it answers, or mend it."
        raise ParameterError("model", rule, fix) from error


def _tells_unfitted(error: Exception, model: Any) -> bool:
    """Whether a call failed because the model is not fitted."""
    if type(error).__name__.endswith("NotFittedError"):
        return True
    if type(model).__module__.partition(".")[0] == "catboost":
        return not model.is_fitted()
    if not (isinstance(error, AttributeError) and hasattr(model, "__sklearn_tags__")):
        return False
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        return True
    return False


def _unbound(
    model: Any, space: OutputSpace | None, task: Task | None
) -> tuple[Any, OutputSpace | None]:
    """The model that a bound method stands for, and the output space."""
    owner, name = getattr(model, "__self__", None), getattr(model, "__name__", "")
    if name not in BOUND or not (hasattr(owner, "predict") or hasattr(owner, "predict_proba")):
        return model, space
    is_native = boosters.wrapped(owner) is not owner
    classifies = hasattr(owner, "classes_") or hasattr(owner, "predict_proba")
    if name == "predict" and classifies and not is_native and task != "regression":
        rule = "must answer numbers to be explained, and predict answers class labels"
        raise ParameterError("model", rule, "Pass the estimator itself, or its predict_proba.")
    return owner, space or BOUND[name]


def _estimator(
    model: Any,
    schema: FeatureSchema,
    space: OutputSpace | None,
    task: Task | None,
    classes: Names | None,
    asked: Table | None,
) -> Any:
    """The model, wrapped where it lacks what its task needs."""
    if sklearn_type(model) == "clusterer":
        rule = "must be a classifier, a regressor or an outlier detector, not a clusterer"
        raise ParameterError("model", rule, "Cluster numbers are labels: fit a classifier.")
    if task is None and is_outlier_detector(model):
        return model
    labels = checked_labels(answered(model, lambda: getattr(model, "classes_", None)))
    if task == "regression":
        return ValuesOnly(model) if labels or hasattr(model, "predict_proba") else model
    if labels:
        return _labelled(model, schema, labels, task, asked)
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    if method == "predict_proba" or task == "classification" or space == "probability":
        return _unlabelled(model, schema, method, classes, asked)
    return model


def _labelled(
    model: Any,
    schema: FeatureSchema,
    labels: tuple[Any, ...],
    task: Task | None,
    asked: Table | None,
) -> Any:
    """A classifier that names its classes, once its answers are classes and probabilities."""
    if callable(getattr(last_step(model), "objective_", None)) and task is None:
        return ValuesOnly(model)  # LightGBM, with an objective of somebody's own: raw scores
    face = EstimatorModel(model, schema)
    if not face.spaces:
        rule = "must have predict_proba or decision_function to be explained"
        raise ParameterError("model", rule, "Wrap it in CalibratedClassifierCV, for instance.")
    if asked is None:
        return model
    rows = face.rows(asked)
    if hasattr(model, "predict"):
        said = answered(model, lambda: model.predict(rows), "its predict")
        _check_answers(said, labels, asked.n_rows)
    if "probability" in face.spaces:
        answer = answered(model, lambda: model.predict_proba(rows), "its predict_proba")
        n_columns = check_probabilities(answer, asked.n_rows, "predict_proba").shape[1]
        if n_columns != max(2, len(labels)):
            rule = f"must answer one probability for each of its {len(labels)} classes"
            raise ParameterError("model", f"{rule}, and answers {n_columns}")
    return model if hasattr(model, "predict") else Classifier(model, labels, predicts=False)


def _check_answers(said: Any, labels: tuple[Any, ...], n_rows: int) -> None:
    """Labels that a model answers are among its classes, and one a row."""
    if not set(labels_of(_one_label(said, n_rows))) <= set(labels):
        rule = "must answer its own classes, and its predict answers others than its classes_ names"
        fix = f"Its classes_ are {', '.join(map(str, labels))}."
        raise ParameterError("model", rule, fix)


def _one_label(said: Any, n_rows: int) -> NDArray[Any]:
    """Labels (n_rows,), of a model that answers one for each row."""
    shape = getattr(said, "shape", None) or np.shape(said)
    if len(shape) > 1 and shape[1] > 1:
        raise several_targets()
    return one_a_row(said, n_rows)


def _unlabelled(
    model: Any, schema: FeatureSchema, method: Any, classes: Names | None, asked: Table | None
) -> Classifier:
    """A classifier that does not name its classes: they are `classes`, or counted."""
    if asked is None:
        fix = "Pass rows, so that its classes can be counted."
        raise ParameterError("model", "must have classes_ where it is asked about no rows", fix)
    rows = EstimatorModel(model, schema).rows(asked)
    answer = answered(model, lambda: getattr(model, method)(rows), f"its {method}")
    outputs = check_probabilities(answer, asked.n_rows, method)
    said = None
    if method == "predict_proba" and hasattr(model, "predict"):
        said = answered(model, lambda: model.predict(rows), "its predict")
    if said is None or _are_outputs(said, answer):
        check_sums(outputs, method)
        return Classifier(model, _given(classes, outputs.shape[1]), method, predicts=False)
    labels = _labels_like(_one_label(said, asked.n_rows), classes, outputs.shape[1])
    return Classifier(model, labels, method)


def _are_outputs(said: Any, answer: Any) -> bool:
    """Whether `predict` answers the probabilities again."""
    one, other = np.asarray(said), np.asarray(answer)
    same = one.size == other.size and one.dtype.kind == "f"
    return same and bool(np.allclose(one.ravel(), other.ravel(), equal_nan=True))


def _given(classes: Names | None, n_classes: int) -> tuple[Any, ...]:
    """The classes as somebody named them; their numbers where nobody did."""
    labels = tuple(range(n_classes)) if classes is None else _named(classes)
    if len(labels) != n_classes:
        raise ParameterError("classes", f"must name {n_classes} classes, not {len(labels)}")
    return labels


def _named(classes: Names) -> tuple[Any, ...]:
    """Given classes as labels: texts where they are no labels of one kind."""
    if isinstance(classes, str):
        raise ParameterError("classes", "must be a list of names, not a text")
    labels = labels_of(classes)
    labels = labels if are_labels(labels) else tuple(map(str, labels))
    if len(set(labels)) < len(labels):
        raise ParameterError("classes", "must not repeat a name")
    return labels


def _labels_like(said: NDArray[Any], classes: Names | None, n_classes: int) -> tuple[Any, ...]:
    """The classes of a model that answers such labels: the given ones, else 0 to k-1.

    Raises
    ------
    ParameterError
        Labels that are neither.
    """
    answers = set(labels_of(said))
    if classes is not None:
        given = _given(classes, n_classes)
        if answers <= set(given) and {type(a) for a in answers} == {type(g) for g in given}:
            return given
    kinds: dict[str, Any] = {"b": bool, "f": float, "i": int, "u": int}
    if answers <= set(range(n_classes)):
        return tuple(map(kinds.get(said.dtype.kind, int), range(n_classes)))
    rule = f"must name the {n_classes} classes as predict answers them, which is not 0 to k-1"
    fix = "Pass classes=[...] with the model's own labels, in the order of its predict_proba."
    raise ParameterError("classes", rule, fix)


def _function(
    function: Callable[[Any], Any],
    schema: FeatureSchema,
    space: OutputSpace,
    classes: Names | None,
    asked: Table | None,
) -> CallableModel:
    """A function of rows; one that answers probabilities has classes."""
    face = CallableModel(function, schema, space)
    if space != "probability" or asked is None:
        return face
    answer = answered(function, lambda: function(EstimatorModel(None, schema).rows(asked)))
    outputs = check_probabilities(answer, asked.n_rows, "answer")
    check_sums(outputs, "answer")
    return CallableModel(function, schema, space, _given(classes, outputs.shape[1]))
