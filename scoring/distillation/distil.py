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
from scoring.coalitions import ENUMERATED_FEATURES, default_coalitions
from scoring.distillation.background_error import background_error
from scoring.distillation.calibrate import calibrated
from scoring.distillation.doubts import doubts
from scoring.distillation.measure import Track, affordable, by_row, missed, progress, relative_rms
from scoring.distillation.probe import mixed_rows
from scoring.errors import FidelityError, ModelError, ParameterError
from scoring.explainers.view import View
from scoring.games.game import Game
from scoring.games.masked import MaskedGame
from scoring.kernel import Kernel
from scoring.stages import solved
from scoring.table import Table

__all__ = ["Distilled", "check_knobs", "distil", "distil_against"]

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
    check_knobs(tolerance, n_coalitions, view.players.n_players)
    sizes = _sizes(view, tolerance, n_coalitions)
    trial = _trial(view, validation, sizes[-1], random_state, block_bytes, show=show_progress)
    tried: list[dict[str, float]] = []
    while True:
        candidate = kernel.fit(trial.game, trial.fitted, sizes.pop(0), random_state, view.players)
        values = trial.values_of(candidate)
        error = trial.error(values)
        tried.append({"n_coalitions": candidate.design.n_coalitions, "relative_rms_error": error})
        miss = trial.miss(candidate, values, error)
        within = tolerance is None or miss <= tolerance
        if within or not sizes:
            break
    if not within and strict:
        raise FidelityError(miss, float(tolerance or 0), candidate.design.n_coalitions)

    candidate = kernel.certified(candidate, trial.fitted, prefixes=True)
    return _distilled(trial, candidate, values, tried, tolerance)


def distil_against(
    view: View,
    first: Kernel,
    name: str,
    validation: Table | None = None,
    *,
    tolerance: float | None = None,
    strict: bool = True,
    n_coalitions: int | None = None,  # noqa: ARG001 the first kernel has as many as were asked for
    random_state: int = 0,
    block_bytes: int = kernel.BLOCK_BYTES,
    show_progress: bool = False,
) -> Distilled:
    """Take a kernel to another background and measure it there; only standard errors are fitted.

    Parameters
    ----------
    view : the same model over the other rows, as `View.over` makes it.
    first : the kernel against the first background.
    name : what the background is called, for messages.
    validation, tolerance, strict : as in `distil`.

    Raises
    ------
    FidelityError, ModelError
        As in `distil`.
    """
    size = first.design.n_coalitions
    trial = _trial(view, validation, size, random_state, block_bytes, show=show_progress)
    candidate = first.over(trial.game)
    values = trial.values_of(candidate)
    error = trial.error(values)
    miss = trial.miss(candidate, values, error)
    if strict and tolerance is not None and not miss <= tolerance:
        raise FidelityError(miss, tolerance, size, name)
    tried: list[dict[str, float]] = [{"n_coalitions": size, "relative_rms_error": error}]
    return _distilled(trial, candidate, values, tried, tolerance)


@dataclass(frozen=True, eq=False)
class _Trial:
    """Rows to measure candidates on, and what their values are.

    Parameters
    ----------
    fitted : other rows, for operators that are fitted.
    measured : the rows, and `outputs` (n_rows, n_outputs) of them.
    truth, true_values : the reference, and its values (n_rows, n_players, n_outputs).
    unanswered : how many more rows there were that have no values.
    """

    view: View
    game: Game
    fitted: Table
    measured: Table
    outputs: NDArray[np.float64]
    truth: Kernel
    true_values: NDArray[np.float64]
    rows_from: str
    unanswered: int
    track: Track

    def values_of(self, candidate: Kernel) -> NDArray[np.float64]:
        """The rows' values by a candidate."""
        label = f"measuring {candidate.design.n_coalitions} coalitions"
        return by_row(candidate, self.measured, self.outputs, self.track, label)

    def miss(self, candidate: Kernel, values: NDArray[np.float64], error: float) -> float:
        """The larger of error and additivity gap, which a tolerance judges."""
        return max(error, missed(candidate.base_values, values, self.outputs))

    def error(self, values: NDArray[np.float64]) -> float:
        """The relative RMS error of values."""
        noise = NOISE * float(np.abs(self.outputs).max(initial=0.0))
        return relative_rms(values, self.true_values, noise)


def _trial(
    view: View, validation: Table | None, largest: int, seed: int, block_bytes: int, *, show: bool
) -> _Trial:
    """Choose rows, and compute what designs of up to `largest` coalitions are held against."""
    players, game = view.players, view.game(view.summary, block_bytes)
    fitted, measured, rows_from = _rows(view, validation, seed)
    n_asked = measured.n_rows
    answered = np.isfinite(view.predictor.outputs(measured)).all(axis=1)
    if answered.any():  # there may not be time for more than one row, so let it be one of these
        measured = measured.take(np.flatnonzero(answered))
    unanswered = n_asked - measured.n_rows
    # Every coalition where that is few, else twice the largest candidate, drawn apart.
    reference_size = min(2 * largest, kriging.LARGEST, 2**players.n_players - 2)
    if isinstance(getattr(game, "inner", game), MaskedGame):  # measuring calls the model
        measured = affordable(measured, reference_size * view.summary.table.n_rows)
    outputs = view.predictor.outputs(measured)
    track = progress(shown=show)
    truth = _independent(kernel.fit(game, fitted, reference_size, seed + 1, players))
    true_values = by_row(truth, measured, outputs, track, "measuring the reference")
    known = _finite(truth.base_values, true_values)
    unanswered += measured.n_rows - len(known)
    measured, outputs, true_values = measured.take(known), outputs[known], true_values[known]
    values = truth, true_values, rows_from, unanswered, track
    return _Trial(view, game, fitted, measured, outputs, *values)


def _distilled(
    trial: _Trial,
    candidate: Kernel,
    values: NDArray[np.float64],
    tried: list[dict[str, float]],
    tolerance: float | None,
) -> Distilled:
    """Fit the standard errors of what was chosen, and report it.

    Parameters
    ----------
    values : what it makes of the trial's rows.
    tried : it, after those that were tried before it.
    """
    view, game, measured, outputs = trial.view, trial.game, trial.measured, trial.outputs
    candidate = calibrated(candidate, measured, outputs, trial.true_values, trial.track)
    error = tried[-1]["relative_rms_error"]
    report = {
        "method": candidate.method,
        "n_coalitions": candidate.design.n_coalitions,
        "relative_rms_error": error,
        "tolerance": tolerance,
        "within_tolerance": None
        if tolerance is None
        else trial.miss(candidate, values, error) <= tolerance,
        "reference": _describe(trial.truth),
        "structure": doubts(view, game),
        "rows": {
            "from": trial.rows_from,
            "measured": measured.n_rows,
            "fitted": trial.fitted.n_rows,
            "unanswered": trial.unanswered,
        },
        "tried": tried,
        "additivity_gap": _gap(candidate, values, outputs),
        "background": str(view.summary),
        "background_choice": view.choice.report,
        "background_error": background_error(view, game, measured, trial.true_values, trial.track),
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
        rows = mixed_rows(view.examples, FIT_ROWS + MEASURED_ROWS, seed + 1)
        return rows.take(slice(0, FIT_ROWS)), rows.take(slice(FIT_ROWS, None)), "mixed features"
    if rows.n_rows < 2:
        raise ParameterError("validation", "must hold at least two rows")
    half = min(FIT_ROWS, rows.n_rows // 2)
    spread = np.linspace(0, rows.n_rows - 1, min(rows.n_rows, half + MEASURED_ROWS)).astype(int)
    fitted = mixed_rows(view.examples, half, seed + 1)
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
