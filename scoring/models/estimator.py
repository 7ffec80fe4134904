"""Estimators and functions behind the model protocol: a Table in, arrays out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.models.labels import labels_of, one_a_row
from scoring.models.model import OutputSpace
from scoring.models.outputs import numbers, probabilities
from scoring.models.wrappers import Classifier, ValuesOnly
from scoring.schema import FeatureSchema
from scoring.table import Table, to_array, to_frame

__all__ = ["CallableModel", "EstimatorModel", "boosted_margin", "is_outlier_detector", "last_step",
           "sklearn_type"]  # fmt: skip


@dataclass(frozen=True, eq=False)
class EstimatorModel:
    """A fitted object with scikit-learn's methods; pipelines take the raw table."""

    estimator: Any
    schema: FeatureSchema

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        """`probability` and `margin` for classifiers that have them, `value` for the rest."""
        if not self.labels:
            return ("margin",) if is_outlier_detector(self.estimator) else ("value",)
        spaces: list[OutputSpace] = []
        if hasattr(self.estimator, "predict_proba") and not answers_raw_margins(self.estimator):
            spaces.append("probability")
        if hasattr(self.estimator, "decision_function") or boosted_margin(self.estimator):
            spaces.append("margin")
        return tuple(spaces)

    @property
    def labels(self) -> tuple[Any, ...]:
        """`classes_` as plain Python values."""
        if is_outlier_detector(self.estimator):
            return ()
        return labels_of(getattr(self.estimator, "classes_", None))

    def rows(self, table: Table) -> Any:
        """Return the table as the estimator was trained on it: a DataFrame or an array."""
        write = to_frame if self.schema.frame else to_array
        rows: Any = write(table, self.schema.features)
        return rows

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:
        """Return outputs (n_rows, n_outputs) in an output space."""
        rows = self.rows(table)
        answer: Any
        if space == "probability":
            read = probabilities if len(self.labels) == 2 else numbers
            return read(self.estimator.predict_proba(rows), table.n_rows)
        if space == "value":
            answer = self.estimator.predict(rows)
        elif hasattr(self.estimator, "decision_function"):
            answer = self.estimator.decision_function(rows)
        else:
            answer = self.estimator.predict(rows, **boosted_margin(self.estimator))
        return numbers(answer, table.n_rows)

    def predict(self, table: Table) -> NDArray[Any]:
        """Return what the estimator's own `predict` answers; one column as (n_rows,)."""
        answer = np.asarray(self.estimator.predict(self.rows(table)))
        if self.labels:
            return one_a_row(answer, table.n_rows)
        return answer[:, 0] if answer.ndim == 2 and answer.shape[1] == 1 else answer


@dataclass(frozen=True, eq=False)
class CallableModel:
    """A bare function of rows; the caller says what space its answers are in.

    Parameters
    ----------
    labels : the classes of a function that answers probabilities; () for every other.
    """

    function: Callable[[Any], Any]
    schema: FeatureSchema
    space: OutputSpace = "value"
    labels: tuple[Any, ...] = ()

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        """The one space the caller named."""
        return (self.space,)

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:  # noqa: ARG002 one space
        """Return outputs (n_rows, n_outputs)."""
        write = to_frame if self.schema.frame else to_array
        read = probabilities if self.labels else numbers
        return read(self.function(write(table, self.schema.features)), table.n_rows)

    def predict(self, table: Table) -> NDArray[Any] | None:
        """Return the likeliest class; None for a function without classes."""
        if not self.labels:
            return None
        return np.asarray(np.asarray(self.labels)[self.outputs(table, self.space).argmax(axis=1)])


def is_outlier_detector(estimator: Any) -> bool:
    """Whether scikit-learn calls this an outlier detector."""
    return sklearn_type(estimator) == "outlier_detector"


def sklearn_type(estimator: Any) -> str | None:
    """What scikit-learn calls this kind of estimator, where it says so."""
    if not hasattr(estimator, "__sklearn_tags__"):
        return None
    from sklearn.utils import get_tags

    kind: str | None = get_tags(estimator).estimator_type
    return kind


def last_step(estimator: Any) -> Any:
    """The end of a pipeline, without its wrappers; any other estimator as it is."""
    while isinstance(estimator, (Classifier, ValuesOnly)):
        estimator = estimator.model
    steps: Any = getattr(estimator, "steps", None)
    return estimator if steps is None else steps[-1][1]


def boosted_margin(estimator: Any) -> dict[str, Any]:
    """The keyword by which a boosting library's `predict` answers margins; {} for others."""
    if isinstance(estimator, (Classifier, ValuesOnly)):
        return {}
    package = type(last_step(estimator)).__module__.partition(".")[0]  # pipelines hand it on
    keywords: dict[str, dict[str, Any]] = {
        "lightgbm": {"raw_score": True},
        "xgboost": {"output_margin": True},
        "catboost": {"prediction_type": "RawFormulaVal"},
    }
    return keywords.get(package, {})


def answers_raw_margins(estimator: Any) -> bool:
    """Whether `predict_proba` is known to answer margins, by the objective."""
    return getattr(last_step(estimator), "objective", None) == "binary:logitraw"
