"""From a view of a model to a checked kernel: choose, fit, measure, report.

Everything that is random or slow happens here, once, so that nothing of it happens at scoring.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring import kernel, kriging
from scoring.background_error import background_error
from scoring.calibrate import calibrated
from scoring.coalitions import ENUMERATED_FEATURES, default_coalitions
from scoring.doubts import doubts
from scoring.errors import FidelityError, ModelError, ParameterError
from scoring.explainers.view import View
from scoring.games.masked import MaskedGame
from scoring.kernel import Kernel
from scoring.measure import affordable, by_row, progress, relative_rms
from scoring.probe import mixed_rows
from scoring.stages import solved
from scoring.table import Table

__all__ = ["Distilled", "check_knobs", "distil"]

FIT_ROWS = 8
"""Rows that show the operator how the model behaves; other rows measure it."""

MEASURED_ROWS = 8

NOISE = 1e-12
"""What rounding makes of nothing, as a share of the outputs; a constant model's only error."""


@dataclass(frozen=True, eq=False)
class Distilled:
    """A fitted kernel and what was measured of it."""

    kernel: Kernel
    report: dict[str, Any]


def distil(
    view: View,
    validation: Table | None = None,
    *,
    tolerance: float | None = None,
    strict: bool = True,
    n_coalitions: int | None = None,
    random_state: int = 0,
    block_bytes: int = kernel.BLOCK_BYTES,
    show_progress: bool = False,
) -> Distilled:
    """Fit a kernel and measure it on rows that it was not fitted on.

    Without `n_coalitions`, a tolerance makes the design grow, doubling from four coalitions a
    player, until its error is within.

    Parameters
    ----------
    validation : held-out rows; without them, rows mixed feature by feature from the
        initialization set.
    tolerance : largest relative RMS error allowed.

    Raises
    ------
    FidelityError
        The tolerance is missed and `strict`.
    ModelError
        The model answers the background, or all rows to measure on, with what is no number.
    """
    players = view.players
    check_knobs(tolerance, n_coalitions, players.n_players)
    game = view.game(view.summary, block_bytes)
    fitted, measured, rows_from = _rows(view, validation, random_state)
    n_asked = measured.n_rows
    answered = np.isfinite(view.predictor.outputs(measured)).all(axis=1)
    if answered.any():  # there may not be time for more than one row, so let it be one of these
        measured = measured.take(np.flatnonzero(answered))
    unanswered = n_asked - measured.n_rows
    sizes = _sizes(view, tolerance, n_coalitions)
    # Every coalition where that is few, else twice the largest candidate, drawn apart.
    reference_size = min(2 * sizes[-1], kriging.LARGEST, 2**players.n_players - 2)
    if isinstance(getattr(game, "inner", game), MaskedGame):  # measuring calls the model
        measured = affordable(measured, reference_size * view.summary.table.n_rows)
    outputs = view.predictor.outputs(measured)
    track = progress(shown=show_progress)

    truth = _independent(kernel.fit(game, fitted, reference_size, random_state + 1, players))
    true_values = by_row(truth, measured, outputs, track, "measuring the reference")
    known = _finite(truth.base_values, true_values)
    unanswered += measured.n_rows - len(known)
    measured, outputs, true_values = measured.take(known), outputs[known], true_values[known]
    noise = NOISE * float(np.abs(outputs).max(initial=0.0))
    tried: list[dict[str, float]] = []
    while True:
        candidate = kernel.fit(game, fitted, sizes.pop(0), random_state, players)
        label = f"measuring {candidate.design.n_coalitions} coalitions"
        values = by_row(candidate, measured, outputs, track, label)
        error = relative_rms(values, true_values, noise)
        tried.append({"n_coalitions": candidate.design.n_coalitions, "relative_rms_error": error})
        within = tolerance is None or error <= tolerance
        if within or not sizes:
            break
    if not within and strict:
        raise FidelityError(error, float(tolerance or 0), candidate.design.n_coalitions)

    candidate = kernel.certified(candidate, fitted, prefixes=True)
    candidate = calibrated(candidate, measured, outputs, true_values, track)
    report = {
        "method": candidate.method,
        "n_coalitions": candidate.design.n_coalitions,
        "relative_rms_error": error,
        "tolerance": tolerance,
        "within_tolerance": None if tolerance is None else within,
        "reference": _describe(truth),
        "structure": doubts(view, game),
        "rows": {
            "from": rows_from,
            "measured": measured.n_rows,
            "fitted": fitted.n_rows,
            "unanswered": unanswered,
        },
        "tried": tried,
        "additivity_gap": _gap(candidate, values, outputs),
        "background": str(view.summary),
        "background_choice": view.choice.report,
        "background_error": background_error(view, game, measured, true_values, track),
        "milliseconds_per_row": _speed(candidate, measured, outputs),
    }
    return Distilled(candidate, report)


def check_knobs(tolerance: float | None, n_coalitions: int | None, n_players: int) -> None:
    """Refuse a tolerance or a number of coalitions that cannot be.

    Raises
    ------
    ParameterError
    """
    if tolerance is not None and not tolerance > 0:
        raise ParameterError("tolerance", "must be above 0", "0.05 means 5 % relative RMS error.")
    if n_coalitions is not None and n_coalitions < min(2 * n_players, 2**n_players - 2):
        rule = f"must be at least {2 * n_players}, twice the number of features"
        raise ParameterError("n_coalitions", rule)


def _rows(view: View, rows: Table | None, seed: int) -> tuple[Table, Table, str]:
    """Rows to fit on and rows to measure on, apart from each other."""
    if rows is None:
        rows = mixed_rows(view.initialization, FIT_ROWS + MEASURED_ROWS, seed + 1)
        return rows.take(slice(0, FIT_ROWS)), rows.take(slice(FIT_ROWS, None)), "mixed features"
    if rows.n_rows < 2:
        raise ParameterError("validation", "must hold at least two rows")
    half = min(FIT_ROWS, rows.n_rows // 2)
    spread = np.linspace(0, rows.n_rows - 1, min(rows.n_rows, half + MEASURED_ROWS)).astype(int)
    fitted = mixed_rows(view.initialization, half, seed + 1)
    return fitted, rows.take(spread[-MEASURED_ROWS:]), "validation"


def _finite(base_values: NDArray[np.float64], true_values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which rows have values; in the others some masked row has no finite answer of the model.

    Raises
    ------
    ModelError
        None has: a background row's missing answer is in all values.
    """
    known = np.flatnonzero(np.isfinite(true_values).all(axis=(1, 2)))
    if not np.isfinite(base_values).all() or not len(known):
        raise ModelError(
            "the model answers background rows, or all mixtures of them with others, with numbers "
            "that are not finite, so no value is known. Leave rows that it has no answer for out "
            "of the initialization set, or wrap the model so that it answers them."
        )
    return known


def _independent(truth: Kernel) -> Kernel:
    """Over all coalitions, solve by least squares: exact as well, and by another way."""
    design = truth.design
    if not design.exact or design.masks.shape[1] == 1:
        return truth
    return replace(truth, whole=solved(design.masks, None))


def _sizes(view: View, tolerance: float | None, n_coalitions: int | None) -> list[int]:
    """Designs to try, the smallest first."""
    n_players = view.players.n_players
    asked = n_coalitions or view.n_coalitions
    if asked is not None:
        return [asked]
    if n_players <= ENUMERATED_FEATURES:
        return [2**n_players - 2]
    if tolerance is None:
        return [default_coalitions(n_players)]
    doublings = int(math.log2(kriging.LARGEST / 2 / (4 * n_players)))
    return [4 * n_players * 2**k for k in range(max(0, doublings) + 1)]


def _describe(truth: Kernel) -> str:
    if truth.design.exact:
        return f"all {truth.design.n_coalitions} coalitions, by weighted least squares"
    return f"{truth.design.n_coalitions} coalitions, drawn apart"


def _gap(fitted: Kernel, values: NDArray[np.float64], outputs: NDArray[np.float64]) -> float:
    with np.errstate(invalid="ignore"):  # infinity less infinity
        return float(np.abs(fitted.base_values + values.sum(axis=1) - outputs).max())


def _speed(fitted: Kernel, rows: Table, outputs: NDArray[np.float64]) -> dict[str, float]:
    """Milliseconds a row, one at a time and together."""
    answer = {}
    for n_rows in sorted({1, rows.n_rows}):
        start = time.perf_counter()
        fitted.values(rows.take(slice(0, n_rows)), outputs[:n_rows])
        answer[str(n_rows)] = round((time.perf_counter() - start) / n_rows * 1000, 3)
    return answer
