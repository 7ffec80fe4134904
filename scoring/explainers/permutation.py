"""The guide's PFIExplainer: how much worse a model gets when one feature's values are shuffled.

Breiman, "Random forests" (2001), section 10; with repeats, as scikit-learn's
`permutation_importance` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError, ParameterError
from scoring.explainers.arguments import Subset, chosen
from scoring.explainers.metrics import Metric, metric_of
from scoring.explainers.task import ModelTask, task_of
from scoring.explanation import GlobalExplanation
from scoring.frames import in_memory
from scoring.games.game import blocks
from scoring.predictor import Predictor, adapt
from scoring.schema import Names, infer_for
from scoring.table import Table
from scoring.transformations import with_transformations

__all__ = ["PFIExplainer"]

PROBED_ROWS = 100
"""Rows that show what the model answers."""

CALL_ROWS = 100_000
"""Rows of one call of the model; repeats are shuffled together up to this many."""


@dataclass(frozen=True, eq=False)
class _Scored:
    """A model, rows with the truth about them, and the metric that compares."""

    predictor: Predictor
    rows: Table
    truth: NDArray[Any]
    metric: Metric
    use_probabilities: bool

    def predicted(self, rows: Table) -> NDArray[Any]:
        """Answer what the metric compares with the truth."""
        if not self.use_probabilities:
            return self.predictor.predictions(rows)
        probabilities = self.predictor.probabilities(rows)
        if probabilities is None:
            rule = "needs a model with predict_proba"
            raise ParameterError("for_classifier_use_predict_proba", rule)
        return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities

    def losses(self, j: int, n_repeats: int, seed: int) -> NDArray[np.float64]:
        """Loss with feature j shuffled, once for every repeat; (n_repeats,)."""
        rng = np.random.default_rng((seed, j))
        n_rows = self.rows.n_rows
        losses = []
        for some in blocks(n_repeats, max(1, CALL_ROWS // n_rows)):
            repeats = some.stop - some.start
            order = rng.permuted(np.tile(np.arange(n_rows), (repeats, 1)), axis=1)
            codes = np.tile(self.rows.codes, (repeats, 1))
            codes[:, j] = self.rows.codes[order.ravel(), j]
            predicted = self.predicted(self.rows.with_codes(codes))
            losses += [self.metric.loss(self.truth, p) for p in np.split(predicted, repeats)]
        return np.array(losses)


class PFIExplainer:
    """Permutation feature importance: global only, and it needs the truth.

    Importance is what shuffling costs, in the units of the metric: positive where the model got
    worse, whichever direction of the metric is good.

    Parameters
    ----------
    model : fitted estimator or pipeline, or a function of rows with `is_function`.
    metric : name of a scikit-learn metric, such as `accuracy_score`, or a function of true and
        predicted values. By default F1 for classifiers and mean absolute error for regressions.
    metric_args : further arguments of the metric.
    is_error_metric : whether a function given as metric is better when lower.
    explain_subset : features to shuffle, by index or name; all by default.
    features : names, where the rows are an array.
    classes : names for the classes, in the model's order.
    transformations : as for `TabularExplainer`; raw features are shuffled.
    allow_all_transformations : any transformation is fine, because raw features are shuffled; taken
        so that code for other explainers runs.
    model_task : as for `TabularExplainer`.
    seed : of the shuffling; every feature has a stream of its own.
    for_classifier_use_predict_proba : compare probabilities instead of labels.
    show_progress : whether to show a bar.
    n_repeats : shuffles of each feature.
    n_jobs : features shuffled at a time, by threads, as joblib counts.
    """

    def __init__(
        self,
        model: Any,
        is_function: bool = False,  # noqa: FBT001, FBT002 the guide's signature
        metric: str | Callable[..., Any] | None = None,
        metric_args: Mapping[str, Any] | None = None,
        is_error_metric: bool = False,  # noqa: FBT001, FBT002 the guide's signature
        explain_subset: Subset | None = None,
        *,
        features: Names | None = None,
        classes: Names | None = None,
        transformations: Any = None,
        allow_all_transformations: bool = False,  # noqa: ARG002 nothing depends on it
        model_task: Any = ModelTask.Unknown,
        seed: int = 0,
        for_classifier_use_predict_proba: bool = False,
        show_progress: bool = True,
        n_repeats: int = 5,
        n_jobs: int | None = None,
    ) -> None:
        if n_repeats < 1:
            raise ParameterError("n_repeats", "must be at least 1")
        if is_function and not callable(model):
            raise ParameterError("model", "must be callable where is_function is true")
        self.model, self.features, self.classes = model, features, classes
        self.transformations, self.model_task = transformations, model_task
        self.metric, self.metric_args, self.is_error_metric = metric, metric_args, is_error_metric
        self.explain_subset = explain_subset
        self.use_probabilities = for_classifier_use_predict_proba
        self.seed, self.n_repeats, self.n_jobs = seed, n_repeats, n_jobs
        self.show_progress = show_progress

    def explain_global(self, x: Any, true_labels: Any) -> GlobalExplanation:
        """Shuffle one feature after the other.

        Parameters
        ----------
        x : DataFrame or array (n_rows, n_features).
        true_labels : (n_rows,), in the model's own labels, or numbers for a regression.

        Raises
        ------
        ParameterError
            Labels of another length, or a metric or a feature that is not known.
        """
        from joblib import Parallel, delayed
        from tqdm import tqdm

        scored = self._scored(x, true_labels)
        names = scored.predictor.schema.names
        shuffled = chosen(self.explain_subset, names) or tuple(range(len(names)))
        before = scored.metric.loss(scored.truth, scored.predicted(scored.rows))
        jobs = Parallel(n_jobs=self.n_jobs, prefer="threads", return_as="generator")(
            delayed(scored.losses)(j, self.n_repeats, self.seed) for j in shuffled
        )
        # disable=None: nothing is drawn where nobody would see it move.
        hidden = None if self.show_progress else True
        bar = tqdm(jobs, "shuffling", len(shuffled), unit="feature", disable=hidden)
        cost = np.array(list(bar)) - before  # (n_features, n_repeats)
        return GlobalExplanation(
            cost.mean(axis=1)[np.newaxis],
            tuple(names[j] for j in shuffled),
            (scored.metric.name,),
            scored.metric.name,
            f"permutation importance, {self.n_repeats} repeats",
            scored.rows.n_rows,
            standard_deviations=cost.std(axis=1),
        )

    def explain_local(self, x: Any) -> None:  # noqa: ARG002 the name that people call
        """Refuse: shuffling says nothing about a single row.

        Raises
        ------
        ModelError
        """
        raise ModelError(
            "PFIExplainer has no local explanation: shuffling says nothing about a single row. "
            "Use TabularExplainer or MimicExplainer."
        )

    def _scored(self, x: Any, true_labels: Any) -> _Scored:
        model, x = self.model, in_memory(x)
        if self.transformations is not None:
            model = with_transformations(model, self.transformations, x)
        schema = infer_for(model, x, self.features)
        rows = schema.encode(x)
        probe = rows.take(slice(0, PROBED_ROWS))
        predictor = adapt(model, schema, None, self.classes, probe, task_of(self.model_task))
        truth = _truth(true_labels, rows.n_rows, predictor.model.labels)
        metric = metric_of(
            self.metric,
            self.metric_args,
            predictor.model.labels,
            is_error_metric=self.is_error_metric,
        )
        likely = self.use_probabilities or metric.of_probabilities
        return _Scored(predictor, rows, truth, metric, likely)


def _truth(true_labels: Any, n_rows: int, labels: tuple[Any, ...]) -> NDArray[Any]:
    """The truth as (n_rows,), in the model's own labels."""
    truth = np.asarray(true_labels)
    if truth.ndim == 2 and truth.shape[1] == 1:
        truth = truth[:, 0]
    if truth.shape[:1] != (n_rows,):
        raise ParameterError("true_labels", f"must have one entry for each of {n_rows} rows")
    if truth.dtype.kind == "f" and not np.isfinite(truth).all():
        raise ParameterError("true_labels", "must not hold missing or infinite values")
    unknown = len(set(truth.ravel().tolist()) - set(labels)) if labels else 0
    if unknown:
        rule = f"must be the model's own labels; {unknown} of them are none of these"
        fix = f"The model's are {', '.join(map(str, labels))}."
        raise ParameterError("true_labels", rule, fix)
    return truth
