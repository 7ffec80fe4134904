"""What a distilled explainer answers about rows: predictions, and why."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.distilled import Distilled
from scoring.estimate import Estimate
from scoring.explanation import LocalExplanation, Scored
from scoring.table import Table

__all__ = ["Wanted", "explained", "predicted_and_explained"]

Wanted = Callable[[NDArray[Any], NDArray[np.float64] | None], NDArray[np.bool_]]
"""Which rows to explain, bool (n_rows,), given their predictions and probabilities."""


def explained(by: Distilled, rows: Table, until: float) -> LocalExplanation:
    """Explain rows.

    Parameters
    ----------
    until : when to stop asking about coalitions, as `time.perf_counter` counts.
    """
    return _told(by, *_outputs_and_estimate(by, rows, until))


def predicted_and_explained(
    by: Distilled,
    rows: Table,
    until: float,
    explain: bool | Wanted = True,  # noqa: FBT001, FBT002 as `score` takes it
) -> Scored:
    """Predict rows and explain all or some of them, calling the model no more often than needed.

    Parameters
    ----------
    until : as in `explained`.
    explain : whether to, or which of them.
    """
    return _all(by, rows, until) if explain is True else _some(by, rows, until, explain)


def _all(by: Distilled, rows: Table, until: float) -> Scored:
    predictor, model = by.predictor, by.own_model
    if model is not None:
        outputs, estimate = _outputs_and_estimate(by, rows, until)
        likely = "probability" in model.spaces
        probabilities = model.in_space(outputs, "probability") if likely else None
        return Scored(model.predicted(outputs), probabilities, _told(by, outputs, estimate))
    began = time.perf_counter()
    probabilities = predictor.probabilities(rows)
    if probabilities is not None and predictor.space == "probability":
        outputs = probabilities
    else:
        outputs = predictor.outputs(rows)
    predictions = predictor.predictions(rows)
    seconds = time.perf_counter() - began
    explanation = _told(by, outputs, _estimate(by, rows, outputs, until))
    return Scored(predictions, probabilities, explanation, predict_seconds=seconds)


def _some(by: Distilled, rows: Table, until: float, explain: bool | Wanted) -> Scored:  # noqa: FBT001
    predictor, model = by.predictor, by.own_model
    began = time.perf_counter()
    if model is not None:
        told = model.outputs(rows, model.spaces[0])
        likely = "probability" in model.spaces
        probabilities = model.in_space(told, "probability") if likely else None
        predictions = model.predicted(told)
    else:
        probabilities, predictions = predictor.probabilities(rows), predictor.predictions(rows)
    seconds = time.perf_counter() - began
    if callable(explain):
        places = np.flatnonzero(explain(predictions, probabilities))
    else:
        places = np.arange(rows.n_rows if explain else 0)
    if not len(places):
        nothing = _nothing(by)
        return Scored(predictions, probabilities, nothing, places, predict_seconds=seconds)
    taken = rows.take(places)
    if model is not None or probabilities is None or predictor.space != "probability":
        outputs, estimate = _outputs_and_estimate(by, taken, until)
    else:
        outputs = probabilities[places]
        estimate = _estimate(by, taken, outputs, until)
    explanation = _told(by, outputs, estimate)
    return Scored(predictions, probabilities, explanation, places, predict_seconds=seconds)


def _nothing(by: Distilled) -> LocalExplanation:
    """The explanation of no rows; the model is not asked."""
    n_outputs = len(by.base_values)
    nothing = np.empty((0, len(by.player_names), n_outputs))
    return _told(by, np.empty((0, n_outputs)), Estimate.exact(nothing, by.method))


def _outputs_and_estimate(
    by: Distilled, rows: Table, until: float
) -> tuple[NDArray[np.float64], Estimate]:
    """What the served model says of rows, (n_rows, n_outputs), and their attributions."""
    if by.own_model is not None:
        exact = by.own_model.exact
        outputs, values = exact.outputs_and_values(rows, by.predictor, by.block_bytes)
        return outputs, Estimate.exact(values, exact.method, exact.error)
    outputs = by.predictor.outputs(rows)
    return outputs, _estimate(by, rows, outputs, until)


def _estimate(by: Distilled, rows: Table, outputs: NDArray[np.float64], until: float) -> Estimate:
    """Attributions (n_rows, n_players, n_outputs), given what the served model says."""
    if by.exact is not None:
        values = by.exact.values(rows, by.explained, by.block_bytes)
        return Estimate.exact(values, by.exact.method, by.exact.error)
    told = outputs if by.surrogate is None else by.surrogate.outputs(rows)
    return by.kernel.estimate(rows, told, until)


def _told(by: Distilled, outputs: NDArray[np.float64], estimate: Estimate) -> LocalExplanation:
    """Put attributions together with what the served model says."""
    error = by.report["background_error"]["relative_rms"]
    names = by.predictor.output_names
    explanation = LocalExplanation(
        estimate.values,
        by.base_values,
        outputs,
        by.player_names,
        names,
        by.predictor.space,
        classification=bool(by.classes),
        method=by.method_of(estimate.method),
        n_coalitions=estimate.n_coalitions,
        background=str(by.background) if by.exact is None else by.exact.background,
        standard_errors=estimate.standard_errors,
        degrees_of_freedom=estimate.degrees_of_freedom,
        background_error=None if error is None else float(error),
        fidelity=by.report.get("surrogate"),
        baseline=by.baseline,
    )
    if by.subset is not None:
        explanation = explanation.select(by.subset)
    if by.reason_codes is None:
        return explanation
    codes = by.reason_codes.of(explanation.values, explanation.features, names)
    return replace(explanation, reason_codes=codes)
