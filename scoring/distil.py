"""From a full explainer to a checked kernel: choose, fit, measure, report.

Everything that is random or slow happens here, once, so that nothing of it happens at scoring.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring import kernel, kriging
from scoring.background import Background, whole
from scoring.coalitions import ENUMERATED_FEATURES, default_coalitions
from scoring.errors import FidelityError, ParameterError
from scoring.explainers import exact_shap, ready_shap
from scoring.explainers.permutation import PFIExplainer
from scoring.explainers.tabular import TabularExplainer
from scoring.games.choose import game_of
from scoring.games.game import Game
from scoring.games.masked import MaskedGame
from scoring.kernel import Kernel
from scoring.predictor import Predictor
from scoring.probe import mixed_rows
from scoring.solve import regression_operator
from scoring.table import Table

__all__ = ["Distilled", "Source", "distil", "source_of"]

FIT_ROWS = 8
"""Rows that show the operator how the model behaves; other rows measure it."""

MEASURED_ROWS = 8

NOISE = 1e-12
"""What rounding makes of nothing, as a share of the outputs; a constant model's only error."""

MEASURED_CALLS = 500_000
"""Masked rows that measuring may call the model on; slow models are measured on fewer rows."""

COARSE_COALITIONS = 512
"""Coalitions in the comparison of the summary with the whole initialization set."""


@dataclass(frozen=True, eq=False)
class Source:
    """What a full explainer has that a scoring explainer needs.

    `initialization` are the rows that the background was chosen from, `full` the exact values of
    the full explainer where it has them.
    """

    predictor: Predictor
    background: Background
    initialization: Table
    full: exact_shap.ExactShap | None
    n_coalitions: int | None = None


@dataclass(frozen=True, eq=False)
class Distilled:
    """A fitted kernel and what was measured of it."""

    kernel: Kernel
    report: dict[str, Any]


def source_of(explainer: Any) -> Source:
    """Read a `TabularExplainer` or a ready `shap.KernelExplainer`."""
    if isinstance(explainer, TabularExplainer):
        return Source(
            explainer.predictor,
            explainer.summary,
            explainer.initialization,
            explainer.exact,
            explainer.n_coalitions,
        )
    if ready_shap.is_kernel_explainer(explainer):
        predictor, background = ready_shap.read(explainer)
        return Source(predictor, background, background.table, None)
    fix = (
        "PFIExplainer has no local values to serve." if isinstance(explainer, PFIExplainer) else ""
    )
    raise ParameterError("explainer", "must be a TabularExplainer or a shap.KernelExplainer", fix)


def distil(
    source: Source,
    validation: Any = None,
    *,
    tolerance: float | None = None,
    strict: bool = True,
    n_coalitions: int | None = None,
    random_state: int = 0,
    block_bytes: int = kernel.BLOCK_BYTES,
    progress: bool = False,
) -> Distilled:
    """Fit a kernel and measure it on rows that it was not fitted on.

    Without `n_coalitions`, a tolerance makes the design grow, doubling from four coalitions a
    feature, until its error is within.

    Parameters
    ----------
    validation : held-out rows; without them, rows mixed feature by feature from the
        initialization set.
    tolerance : largest relative RMS error allowed.

    Raises
    ------
    FidelityError
        The tolerance is missed and `strict`.
    """
    n_features = source.predictor.schema.n_features
    _check(tolerance, n_coalitions, n_features)
    game = game_of(source.predictor, source.background, block_bytes)
    fitted, measured, rows_from = _rows(source, validation, random_state)
    sizes = _sizes(source, tolerance, n_coalitions, n_features)
    # Every coalition where that is few, else twice the largest candidate, drawn apart.
    reference_size = min(2 * sizes[-1], kriging.LARGEST, 2**n_features - 2)
    if isinstance(game, MaskedGame):
        measured = _affordable(measured, source, reference_size)
    outputs = source.predictor.outputs(measured)
    noise = NOISE * float(np.abs(outputs).max(initial=0.0))
    track = _progress(shown=progress)

    truth = _independent(kernel.fit(game, fitted, reference_size, random_state + 1))
    true_values = _values(truth, measured, outputs, track, "measuring the reference")
    tried: list[dict[str, float]] = []
    while True:
        candidate = kernel.fit(game, fitted, sizes.pop(0), random_state)
        label = f"measuring {candidate.design.n_coalitions} coalitions"
        values = _values(candidate, measured, outputs, track, label)
        error = relative_rms(values, true_values, noise)
        tried.append({"n_coalitions": candidate.design.n_coalitions, "relative_rms_error": error})
        within = tolerance is None or error <= tolerance
        if within or not sizes:
            break
    if not within and strict:
        raise FidelityError(error, float(tolerance or 0), candidate.design.n_coalitions)

    report = {
        "method": candidate.method,
        "n_coalitions": candidate.design.n_coalitions,
        "relative_rms_error": error,
        "tolerance": tolerance,
        "within_tolerance": None if tolerance is None else within,
        "reference": _describe(truth),
        "rows": {"from": rows_from, "measured": measured.n_rows, "fitted": fitted.n_rows},
        "tried": tried,
        "additivity_gap": _gap(candidate, values, outputs),
        "background": str(source.background),
        "background_error": _background_error(source, game, measured, true_values, track),
        "milliseconds_per_row": _speed(candidate, measured, outputs),
    }
    return Distilled(candidate, report)


def relative_rms(
    values: NDArray[np.float64], truth: NDArray[np.float64], noise: float = 0.0
) -> float:
    """Root mean square of the error over that of the truth; 0 for an error that is only noise."""
    error = float(np.sqrt(np.mean((values - truth) ** 2)))
    scale = float(np.sqrt(np.mean(truth**2)))
    if error <= noise:
        return 0.0
    return error / scale if scale > 0 else float("inf")


def _check(tolerance: float | None, n_coalitions: int | None, n_features: int) -> None:
    if tolerance is not None and not tolerance > 0:
        raise ParameterError("tolerance", "must be above 0", "0.05 means 5 % relative RMS error.")
    if n_coalitions is not None and n_coalitions < min(2 * n_features, 2**n_features - 2):
        rule = f"must be at least {2 * n_features}, twice the number of features"
        raise ParameterError("n_coalitions", rule)


def _rows(source: Source, validation: Any, seed: int) -> tuple[Table, Table, str]:
    """Rows to fit on and rows to measure on, apart from each other."""
    if validation is None:
        rows = mixed_rows(source.initialization, FIT_ROWS + MEASURED_ROWS, seed + 1)
        return rows.take(slice(0, FIT_ROWS)), rows.take(slice(FIT_ROWS, None)), "mixed features"
    rows = source.predictor.schema.encode(validation)
    if rows.n_rows < 2:
        raise ParameterError("validation", "must hold at least two rows")
    half = min(FIT_ROWS, rows.n_rows // 2)
    spread = np.linspace(0, rows.n_rows - 1, min(rows.n_rows, half + MEASURED_ROWS)).astype(int)
    fitted = mixed_rows(source.initialization, half, seed + 1)
    return fitted, rows.take(spread[-MEASURED_ROWS:]), "validation"


def _affordable(measured: Table, source: Source, reference_size: int) -> Table:
    per_row = reference_size * source.background.table.n_rows
    return measured.take(slice(0, max(1, MEASURED_CALLS // max(1, per_row))))


def _independent(truth: Kernel) -> Kernel:
    """Over all coalitions, solve by least squares: exact as well, and by another way."""
    design = truth.design
    if not design.exact or design.masks.shape[1] == 1:
        return truth
    operator = regression_operator(design.masks, design.weights)
    return replace(truth, operator=operator, method="kernel regression")


def _sizes(
    source: Source, tolerance: float | None, n_coalitions: int | None, n_features: int
) -> list[int]:
    """Designs to try, the smallest first."""
    asked = n_coalitions or source.n_coalitions
    if asked is not None:
        return [asked]
    if n_features <= ENUMERATED_FEATURES:
        return [2**n_features - 2]
    if tolerance is None:
        return [default_coalitions(n_features)]
    doublings = int(math.log2(kriging.LARGEST / 2 / (4 * n_features)))
    return [4 * n_features * 2**k for k in range(max(0, doublings) + 1)]


def _describe(truth: Kernel) -> str:
    if truth.design.exact:
        return f"all {truth.design.n_coalitions} coalitions, by weighted least squares"
    return f"{truth.design.n_coalitions} coalitions, drawn apart"


Track = Callable[[Table, str], Iterator[int]]


def _progress(*, shown: bool) -> Track:
    """A bar over rows where it is wanted."""

    def track(rows: Table, label: str) -> Iterator[int]:
        from tqdm import tqdm

        yield from tqdm(range(rows.n_rows), desc=label, unit="row", disable=not shown, leave=False)

    return track


def _values(
    fitted: Kernel, rows: Table, outputs: NDArray[np.float64], track: Track, label: str
) -> NDArray[np.float64]:
    """Explain row by row, so that a bar can move; (n_rows, n_features, n_outputs)."""
    one = [
        fitted.values(rows.take(slice(r, r + 1)), outputs[r : r + 1]) for r in track(rows, label)
    ]
    return np.concatenate(one)


def _gap(fitted: Kernel, values: NDArray[np.float64], outputs: NDArray[np.float64]) -> float:
    return float(np.abs(fitted.base_values + values.sum(axis=1) - outputs).max())


def _background_error(
    source: Source,
    game: Game,
    measured: Table,
    true_values: NDArray[np.float64],
    track: Track,
) -> dict[str, Any]:
    """What the summary costs against the whole initialization set.

    Without exact values, both are asked about the same coalitions, so that most of the error of
    these cancels.
    """
    if source.background.table.n_rows == source.initialization.n_rows:
        return {"relative_rms": 0.0, "measured_by": "the background is the initialization set"}
    if source.full is not None:
        error = relative_rms(true_values, source.full.values(measured))
        return {"relative_rms": error, "measured_by": "shap's exact values, all rows"}
    everything = whole(source.initialization)
    n_coalitions = max(COARSE_COALITIONS, 2 * source.predictor.schema.n_features)
    per_row = n_coalitions * everything.table.n_rows
    rows = measured.take(slice(0, max(1, MEASURED_CALLS // per_row)))
    outputs = source.predictor.outputs(rows)
    coarse = kernel.fit(game, rows, n_coalitions, 0)
    against_all = game_of(source.predictor, everything, game.block_bytes)
    values = [
        _values(each, rows, outputs, track, f"measuring against {each.game.background}")
        for each in (coarse, coarse.over(against_all))
    ]
    by = f"{n_coalitions} coalitions against both, {rows.n_rows} rows"
    return {"relative_rms": relative_rms(values[0], values[1]), "measured_by": by}


def _speed(fitted: Kernel, rows: Table, outputs: NDArray[np.float64]) -> dict[str, float]:
    """Milliseconds a row, one at a time and together."""
    answer = {}
    for n_rows in sorted({1, rows.n_rows}):
        start = time.perf_counter()
        fitted.values(rows.take(slice(0, n_rows)), outputs[:n_rows])
        answer[str(n_rows)] = round((time.perf_counter() - start) / n_rows * 1000, 3)
    return answer
