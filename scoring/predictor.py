"""A fitted model with the schema of its rows and the output space that is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError, ParameterError, first_line
from scoring.models.estimator import (
    CallableModel,
    EstimatorModel,
    is_outlier_detector,
    last_step,
)
from scoring.models.model import Model, OutputSpace, Task
from scoring.models.names import display_names, output_names, pair_names
from scoring.models.recognise import answered, recognised
from scoring.schema import FeatureSchema, Names
from scoring.table import Table

__all__ = [
    "CallableModel",
    "EstimatorModel",
    "Model",
    "OutputSpace",
    "Predictor",
    "adapt",
    "display_names",
    "last_step",
    "pair_names",
]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Predictor:
    """A model, the schema of its rows, and the output space that is explained.

    `classes` are the names shown for `model.labels`, position by position.
    """

    model: Model
    schema: FeatureSchema
    space: OutputSpace
    classes: tuple[str, ...]
    output_names: tuple[str, ...]

    def outputs(self, table: Table) -> NDArray[np.float64]:
        """Return the outputs that are explained, (n_rows, n_outputs)."""
        if not table.n_rows:  # many models refuse to answer nothing
            return np.empty((0, len(self.output_names)))
        return _ask(self.model.outputs, table, self.space)

    def probabilities(self, table: Table) -> NDArray[np.float64] | None:
        """Return class probabilities (n_rows, n_classes), or None where the model has none."""
        if "probability" not in self.model.spaces:
            return None
        return _ask(self.model.outputs, table, "probability")

    def predictions(self, table: Table) -> NDArray[Any]:
        """Return the model's own `predict`; for a function, the likeliest class or the value."""
        own = _ask(self.model.predict, table)
        if own is not None:
            return own
        outputs = self.outputs(table)
        if self.space == "probability" and self.classes:
            one_column = outputs.shape[1] == 1  # which is the second class's
            chosen = outputs[:, 0] > 0.5 if one_column else np.argmax(outputs, axis=1)
            likeliest: NDArray[Any] = np.asarray(self.classes, object)[chosen.astype(np.intp)]
            return likeliest
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def over(self, schema: FeatureSchema) -> Predictor:
        """Return the same predictor over another schema of the same features."""
        model: Any = self.model
        if isinstance(model, (CallableModel, EstimatorModel)):
            model = replace(model, schema=schema)
        return replace(self, model=model, schema=schema)


def _ask(method: Callable[..., T], *arguments: Any) -> T:
    """Call a model's method; whatever it raises becomes one kind of error.

    Raises
    ------
    ModelError
    """
    try:
        return method(*arguments)
    except ModelError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {first_line(error)}"
        raise ModelError(f"the model does not answer these rows; it raised {what}") from error


def adapt(
    model: Any,
    schema: FeatureSchema,
    output_space: OutputSpace | None = None,
    classes: Names | None = None,
    probe: Table | None = None,
    task: Task | None = None,
) -> Predictor:
    """Give a model its face.

    Parameters
    ----------
    model : a fitted estimator, pipeline or booster, any object with `predict` or `predict_proba`,
        a method bound to one (`model.predict_proba`), another callable, or a `Model`.
    output_space : the space to explain; by default the first that the model has.
    classes : names for the classes, or for the outputs of a callable.
    probe : a few rows that the model is called on, to see what it answers.
    task : what the model is for, where it does not say so or somebody else knows better.

    Raises
    ------
    ParameterError
        An unknown output space, class names that do not fit the model's classes, or a model that
        does not answer the rows, or with something that cannot be explained.
    """
    face, output_space = recognised(model, schema, output_space, task, classes, probe)
    spaces = answered(getattr(face, "estimator", None), lambda: face.spaces)
    space = output_space or spaces[0]
    if space not in spaces:
        has = " and ".join(repr(known) for known in spaces)
        raise ParameterError("output_space", f"must be one the model has: {has}, not {space!r}")
    _check_classes(face, classes)
    names = display_names(face.labels, classes)
    if isinstance(face, CallableModel) and space == "probability" and classes is not None:
        names = tuple(str(name) for name in classes)
    n_outputs = _count_outputs(face, probe, space) if probe is not None else max(1, len(names))
    if space == "margin" and _margins_of_pairs(face):
        return Predictor(face, schema, space, names, pair_names(names))
    shown = output_names(face.labels, names, n_outputs, classes)
    return Predictor(face, schema, space, names, shown)


def _margins_of_pairs(face: Model) -> bool:
    """Whether a classifier of more than two classes has a margin for every pair of them."""
    last = last_step(getattr(face, "estimator", None))
    return len(face.labels) > 2 and getattr(last, "decision_function_shape", "") == "ovo"


def _check_classes(face: Model, classes: Names | None) -> None:
    """Class names need classes; a bare function may have some without saying so."""
    if isinstance(classes, str):
        raise ParameterError("classes", "must be a list of names, not a text")
    if classes is None or face.labels or isinstance(face, CallableModel):
        return
    if isinstance(face, EstimatorModel) and is_outlier_detector(face.estimator):
        if len(classes) != 2:
            fix = "Its predict answers -1 and 1, in this order."
            raise ParameterError("classes", f"must name 2 classes, not {len(classes)}", fix)
        return
    rule = "must not be given for a regression, which has none"
    fix = "Leave classes out, pass a classifier, or say model_task='classification'."
    raise ParameterError("classes", rule, fix)


def _count_outputs(face: Model, probe: Table, space: OutputSpace) -> int:
    model = getattr(face, "estimator", None)
    method = "its predict" if space == "value" and isinstance(face, EstimatorModel) else "it"
    try:
        outputs = answered(model, lambda: face.outputs(probe, space), method)
    except ModelError as error:
        if not isinstance(face, EstimatorModel):
            raise
        rule = f"must answer numbers for the rows that it is given; {error}"
        fix = "A classifier needs predict_proba, or decision_function and classes_."
        raise ParameterError("model", rule.rstrip("."), fix) from error
    return int(outputs.shape[1])
