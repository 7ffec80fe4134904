"""One face for scikit-learn models, pipelines, callables and ONNX: a Table in, arrays out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Literal, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError, ParameterError, first_line
from scoring.network import Network, is_network
from scoring.schema import FeatureSchema, Names
from scoring.table import Table
from scoring.texts import encodable
from scoring.trees.links import log_link

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

OutputSpace = Literal["probability", "margin", "value"]


class Model(Protocol):
    """What a predictor needs of a model, in whatever form it travels."""

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        """The output spaces that `outputs` knows, the default first."""

    @property
    def labels(self) -> tuple[Any, ...]:
        """The classes in the model's own order, as plain Python values; () for a regression."""

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:
        """Return outputs (n_rows, n_outputs) in an output space."""

    def predict(self, table: Table) -> NDArray[Any] | None:
        """Return what the model's own `predict` answers, or None where it has none."""


@dataclass(frozen=True, eq=False)
class EstimatorModel:
    """A fitted object with scikit-learn's methods; pipelines take the raw table."""

    estimator: Any
    schema: FeatureSchema

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        """`probability` and `margin` for classifiers that have them, `value` for the rest.

        A regression with a logarithmic link has its margin besides.
        """
        if not self.labels:
            if _is_outlier_detector(self.estimator):
                return ("margin",)
            return ("value", "margin") if self._log_link else ("value",)
        spaces: list[OutputSpace] = []
        if hasattr(self.estimator, "predict_proba"):
            spaces.append("probability")
        if hasattr(self.estimator, "decision_function") or _boosted_margin(self.estimator):
            spaces.append("margin")
        return tuple(spaces)

    @cached_property
    def _log_link(self) -> bool:
        return log_link(last_step(self.estimator))

    @property
    def labels(self) -> tuple[Any, ...]:
        """`classes_` as plain Python values."""
        if _is_outlier_detector(self.estimator):
            return ()
        classes = getattr(self.estimator, "classes_", None)
        return () if classes is None else tuple(np.asarray(classes).tolist())

    def rows(self, table: Table) -> Any:
        """Return the table as the estimator was trained on it: a DataFrame or an array."""
        return self.schema.written(table)

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:
        """Return outputs (n_rows, n_outputs) in an output space."""
        rows = self.rows(table)
        answer: Any
        if space == "probability":
            answer = self.estimator.predict_proba(rows)
        elif space == "value":
            answer = self.estimator.predict(rows)
        elif hasattr(self.estimator, "decision_function"):
            answer = self.estimator.decision_function(rows)
        elif not _boosted_margin(self.estimator):  # a regression with a logarithmic link
            with np.errstate(divide="ignore"):
                answer = np.log(self.estimator.predict(rows))
        else:
            answer = self.estimator.predict(rows, **_boosted_margin(self.estimator))
        return _two_axes(answer, table.n_rows)

    def predict(self, table: Table) -> NDArray[Any]:
        """Return what the estimator's own `predict` answers."""
        return np.asarray(self.estimator.predict(self.rows(table)))


@dataclass(frozen=True, eq=False)
class CallableModel:
    """A bare function of rows; the caller says what space its answers are in."""

    function: Callable[[Any], Any]
    schema: FeatureSchema
    space: OutputSpace = "value"

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        """The one space the caller named."""
        return (self.space,)

    @property
    def labels(self) -> tuple[Any, ...]:
        """Nothing: a function does not name classes."""
        return ()

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:  # noqa: ARG002 one space
        """Return outputs (n_rows, n_outputs)."""
        return _two_axes(self.function(self.schema.written(table)), table.n_rows)

    def predict(self, table: Table) -> None:  # noqa: ARG002 the protocol's signature
        """Return None: a function has no labels of its own."""
        return


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
        return _answered(self.model.outputs, table, self.space)

    def probabilities(self, table: Table) -> NDArray[np.float64] | None:
        """Return class probabilities (n_rows, n_classes), or None where the model has none."""
        if "probability" not in self.model.spaces:
            return None
        return _answered(self.model.outputs, table, "probability")

    def predictions(self, table: Table) -> NDArray[Any]:
        """Return the model's own `predict`; for a function, the likeliest class or the value."""
        own = _answered(self.model.predict, table)
        if own is not None:
            return own
        outputs = self.outputs(table)
        if self.space == "probability" and self.classes:
            one_column = outputs.shape[1] == 1  # which is the second class's
            chosen = outputs[:, 0] > 0.5 if one_column else np.argmax(outputs, axis=1)
            likeliest: NDArray[Any] = np.asarray(self.classes, object)[chosen.astype(np.intp)]
            return likeliest
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


def _answered(ask: Callable[..., T], *question: Any) -> T:
    """Ask a model; whatever it raises becomes one kind of error.

    Raises
    ------
    ModelError
    """
    try:
        return ask(*question)
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
) -> Predictor:
    """Give a model its face.

    Parameters
    ----------
    model : a fitted estimator or pipeline, a method bound to one (`model.predict_proba`), another
        callable, or an object that satisfies `Model` already.
    output_space : the space to explain; by default the first that the model has.
    classes : names for the classes, or for the outputs of a callable.
    probe : a few rows that the model is called on, to count its outputs.

    Raises
    ------
    ParameterError
        An unknown output space, or class names that do not fit the model's classes.
    """
    face, output_space = _face(model, schema, output_space)
    space = output_space or face.spaces[0]
    if space not in face.spaces:
        has = " and ".join(repr(known) for known in face.spaces)
        raise ParameterError("output_space", f"must be one the model has: {has}, not {space!r}")
    _check_classes(face, classes)
    names = display_names(face.labels, classes)
    if isinstance(face, CallableModel) and space == "probability" and classes is not None:
        names = tuple(str(name) for name in classes)
    n_outputs = _count_outputs(face, probe, space) if probe is not None else max(1, len(names))
    if space == "margin" and _margins_of_pairs(face):
        return Predictor(face, schema, space, names, pair_names(names))
    return Predictor(face, schema, space, names, _output_names(face, names, n_outputs, classes))


def pair_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """The margins of pairs of classes, in libsvm's order; a positive one speaks for the first."""
    return tuple(f"{one} vs {other}" for one, other in combinations(classes, 2))


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
    if isinstance(face, EstimatorModel) and _is_outlier_detector(face.estimator):
        if len(classes) != 2:
            fix = "Its predict answers -1 and 1, in this order."
            raise ParameterError("classes", f"must name 2 classes, not {len(classes)}", fix)
        return
    rule = "must not be given for a regression, which has none"
    raise ParameterError("classes", rule, "Leave classes out, or pass a classifier.")


def _count_outputs(face: Model, probe: Table, space: OutputSpace) -> int:
    try:
        return int(face.outputs(probe, space).shape[1])
    except ModelError:
        raise
    except Exception as error:  # whatever a user's model raises is its way of saying no
        problem = f"must take the rows it is given; it raised {type(error).__name__}: {error}"
        fix = "The rows need the columns, in the order, that the model was trained on."
        raise ParameterError("model", problem.rstrip("."), fix) from error


def display_names(labels: Sequence[Any], classes: Names | None) -> tuple[str, ...]:
    """Names to show for the model's classes, in the model's own order.

    Names disjoint from the labels are taken by position. The labels themselves in another order,
    or a mixture of both, would swap classes silently, so they are refused.
    """
    own = tuple(str(label) for label in labels)
    if not all(encodable(str(name)) for name in (*own, *(() if classes is None else classes))):
        raise ParameterError("classes", "must have names that UTF-8 can write")
    if classes is None or not own:
        return own
    shown = tuple(str(name) for name in classes)
    if len(shown) != len(own):
        raise ParameterError("classes", f"must name {len(own)} classes, not {len(shown)}")
    if len(set(shown)) != len(shown):
        raise ParameterError("classes", "must not repeat a name")
    if shown != own and set(shown) & set(own):
        rule = "must keep the order of the model's classes_, or be other names for them by position"
        raise ParameterError("classes", rule, f"The model's order is {', '.join(own)}.")
    return shown


def _face(
    model: Any, schema: FeatureSchema, space: OutputSpace | None
) -> tuple[Model, OutputSpace | None]:
    """Wrap a model; a bound method names the space that it answers in."""
    if space is not None and space not in get_args(OutputSpace):
        known = ", ".join(get_args(OutputSpace))
        raise ParameterError("output_space", f"must be one of {known}")
    bound = {"predict_proba": "probability", "decision_function": "margin", "predict": None}
    owner = getattr(model, "__self__", None)
    if hasattr(owner, "predict") and getattr(model, "__name__", "") in bound:
        implied: Any = bound[model.__name__]
        if implied is None and hasattr(owner, "classes_"):
            rule = "must answer numbers to be explained, and predict answers class labels"
            raise ParameterError("model", rule, "Pass the estimator itself, or its predict_proba.")
        model, space = owner, space or implied
    if hasattr(model, "spaces") and hasattr(model, "outputs"):
        return model, space
    if is_network(model):
        return CallableModel(Network(model), schema, space or "value"), space or "value"
    if hasattr(model, "predict"):
        _check_fitted(model)
        if _sklearn_type(model) == "clusterer":
            rule = "must be a classifier, a regressor or an outlier detector, not a clusterer"
            raise ParameterError("model", rule, "Cluster numbers are labels: fit a classifier.")
        face = EstimatorModel(model, schema)
        if not face.spaces:
            rule = "must have predict_proba or decision_function to be explained"
            raise ParameterError("model", rule, "Wrap it in CalibratedClassifierCV, for instance.")
        return face, space
    if callable(model):
        return CallableModel(model, schema, space or "value"), space or "value"
    rule = "must be a fitted estimator, a callable or an ONNX model"
    raise ParameterError("model", rule)


def _check_fitted(model: Any) -> None:
    if not hasattr(model, "__sklearn_tags__"):
        return
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        raise ParameterError("model", "must be fitted", "Call its fit method first.") from None


def _output_names(
    model: Model, names: tuple[str, ...], n_outputs: int, classes: Names | None
) -> tuple[str, ...]:
    if len(names) == n_outputs:
        return names
    if len(names) == 2 and n_outputs == 1:
        return names[1:]  # a binary margin speaks for the second class
    given = () if classes is None else tuple(str(name) for name in classes)
    if len(given) == 2 and n_outputs == 1:
        return given[1:]  # an outlier detector's margin speaks for its inliers
    if given and not model.labels:
        if len(given) != n_outputs:
            raise ParameterError("classes", f"must name {n_outputs} outputs, not {len(given)}")
        return given
    return tuple(f"output_{k}" for k in range(n_outputs)) if n_outputs > 1 else ("value",)


def _two_axes(answer: Any, n_rows: int) -> NDArray[np.float64]:
    outputs = np.asarray(answer, dtype=np.float64)
    if outputs.ndim == 1:
        outputs = outputs[:, np.newaxis]
    if outputs.ndim != 2 or outputs.shape[0] != n_rows:
        raise ModelError(
            f"the model answered an array of shape {outputs.shape} for {n_rows} rows; "
            "it must answer one number, or one row of numbers, for each."
        )
    return outputs


def _is_outlier_detector(estimator: Any) -> bool:
    return _sklearn_type(estimator) == "outlier_detector"


def _sklearn_type(estimator: Any) -> str | None:
    """What scikit-learn calls this kind of estimator, where it says so."""
    if not hasattr(estimator, "__sklearn_tags__"):
        return None
    from sklearn.utils import get_tags

    kind: str | None = get_tags(estimator).estimator_type
    return kind


def last_step(estimator: Any) -> Any:
    """What a pipeline ends in; an estimator that is none is its own last step."""
    steps: Any = getattr(estimator, "steps", None)
    return estimator if steps is None else steps[-1][1]


def _boosted_margin(estimator: Any) -> dict[str, Any]:
    """The keyword by which a boosting library's `predict` answers margins; {} for others."""
    package = type(last_step(estimator)).__module__.partition(".")[0]  # pipelines hand it on
    keywords: dict[str, dict[str, Any]] = {
        "lightgbm": {"raw_score": True},
        "xgboost": {"output_margin": True},
        "catboost": {"prediction_type": "RawFormulaVal"},
    }
    return keywords.get(package, {})
