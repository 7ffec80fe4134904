"""Metrics of predictions, by name or as functions, with the direction in which they are good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from scoring.errors import ParameterError

__all__ = ["Metric", "metric_of"]

LOWER_IS_BETTER = ("error", "loss", "deviance")
"""How scikit-learn ends the names of metrics that are better when lower."""

KNOWN = (
    "accuracy_score", "average_precision_score", "balanced_accuracy_score", "brier_score_loss",
    "explained_variance_score", "f1_score", "fbeta_score", "log_loss", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_log_error",
    "median_absolute_error", "precision_score", "r2_score", "recall_score", "roc_auc_score",
    "root_mean_squared_error",
)  # fmt: skip
"""Functions of `sklearn.metrics` that take (true, predicted) and answer one number."""


OF_PROBABILITIES = ("average_precision_score", "brier_score_loss", "log_loss", "roc_auc_score")
"""Those that compare the truth with probabilities instead of labels."""


@dataclass(frozen=True)
class Metric:
    """A metric of predictions.

    Parameters
    ----------
    function : `function(true, predicted, **arguments)` answers one number.
    sign : 1 where higher is better, -1 where lower is.
    """

    name: str
    function: Callable[..., Any]
    sign: int
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_probabilities(self) -> bool:
        """Whether it compares the truth with probabilities."""
        return self.name in OF_PROBABILITIES

    def loss(self, true: Any, predicted: Any) -> float:
        """Answer how bad the predictions are: the metric, turned so that lower is better."""
        return -self.sign * float(self.function(true, predicted, **self.arguments))


def metric_of(
    metric: str | Callable[..., Any] | None,
    arguments: Mapping[str, Any] | None,
    labels: tuple[Any, ...],
    *,
    is_error_metric: bool,
) -> Metric:
    """Make a metric of what an explainer was given.

    Parameters
    ----------
    metric : a name of scikit-learn's, a function, or None: F1 for two classes (the second one is
        the positive one), F1 with micro average for more, mean absolute error for regressions.
    labels : the model's classes; () for a regression.
    is_error_metric : whether a function is better when lower; names say so themselves.

    Raises
    ------
    ParameterError
        A name that is not known.
    """
    import sklearn.metrics

    arguments = dict(arguments or {})
    if metric is None:
        metric = "f1_score" if labels else "mean_absolute_error"
        if len(labels) > 2:
            arguments = {"average": "micro", **arguments}
    if callable(metric):
        name = getattr(metric, "__name__", "metric")
        return Metric(name, metric, -1 if is_error_metric else 1, arguments)
    if metric not in KNOWN:
        fix = "Pass a function of true and predicted values instead."
        raise ParameterError("metric", f"must be one of {', '.join(KNOWN)}", fix)
    sign = -1 if metric.endswith(LOWER_IS_BETTER) else 1
    function = getattr(sklearn.metrics, metric)
    known = signature(function).parameters
    unknown = sorted(arguments.keys() - known.keys())
    if unknown:
        rule = f"must be arguments of {metric}, which has no {', '.join(unknown)}"
        raise ParameterError("metric_args", rule)
    if len(labels) == 2 and "pos_label" in known and "average" not in arguments:
        arguments = {"pos_label": labels[1], **arguments}
    return Metric(metric, function, sign, arguments)
