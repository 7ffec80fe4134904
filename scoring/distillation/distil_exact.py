"""What is measured of an exact game before it is served: that it is one, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.distillation.measure import missed, relative_rms
from scoring.distillation.probe import mixed_rows
from scoring.distillation.rounding import Agreement
from scoring.distillation.structure import Structure
from scoring.errors import FidelityError
from scoring.explainers.view import ExactFull, Full, View
from scoring.forms.edges import covering_rows
from scoring.games.link import LinkGame
from scoring.refusals import finite_answers
from scoring.table import Table
from scoring.trees.game import TreeGame
from scoring.trees.tables import bytes_of_all, cap_of

__all__ = ["no_more_than_needed", "otherwise", "report_exact"]

PRECISIONS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
"""Of series, the shortest first."""

MEASURED_ROWS = 64

FEWEST_ROWS = 8
"""Rows from the whole domain whose values are added up, at least."""

ADDS_UP = {False: 1e-6, True: 1e-4}
"""Largest gap of these sums, as a share of the largest answer; the second in single precision."""

MEASURED_SECONDS = 2.0
"""Where rows take long, fewer are measured."""

TIMED_SECONDS = 0.05
"""How long one row is explained again and again for its time."""


def no_more_than_needed(
    view: View, served: ExactFull, validation: Table | None, seed: int, tolerance: float | None
) -> tuple[ExactFull, float]:
    """Cut a series short where a tolerance allows it; with the relative RMS error that this costs.

    Parameters
    ----------
    validation : held-out rows to measure on; without them, rows mixed from the initialization set.
    """
    game = served.exact.game
    if tolerance is None or not isinstance(game, LinkGame) or game.link != "logit":
        return served, 0.0
    rows = _measured(view, served, validation, seed)[0]
    truth = served.values(rows)
    for precision in PRECISIONS:
        shorter = replace(served.exact, game=replace(game, precision=precision))
        candidate = replace(served, exact=shorter)
        values = candidate.values(rows)
        relative = relative_rms(values, truth)
        if relative <= tolerance:
            error = float(np.sqrt(np.mean((values - truth) ** 2)))
            measured = replace(served.exact, game=replace(game, precision=precision, error=error))
            return replace(served, exact=measured), relative
    return served, 0.0


def otherwise(view: View, served: ExactFull, validation: Table | None, seed: int) -> str | None:
    """Return why an exact game is not the model's on rows that it was not checked on.

    Returns
    -------
    None where the model's own precision explains what they differ by, and the values of rows from
    the whole domain add up.
    """
    rows = _measured(view, served, validation, seed)[0]
    found = _agreement(view, served, rows, view.predictor.outputs(rows))
    if view.structure is None:
        return None
    if found is None or found.explained:
        return _not_adding_up(view, served, view.structure, rows.n_rows)
    share = found.report["share_of_spread"]
    return (
        f"its type reads as {view.structure.kind}, but the model's answers are up to "
        f"{found.difference:.3g} away from it, more than {found.precision} explains"
        f"{'' if share is None else f' ({share:.2g} of their spread)'}: it is asked itself"
    )


def _not_adding_up(view: View, served: ExactFull, structure: Structure, n_rows: int) -> str | None:
    """Say where values of rows from the whole domain do not add up to the model's answers."""
    every = covering_rows(view.predictor.schema, view.examples)
    order = np.random.default_rng(0).permutation(every.n_rows)[: max(n_rows, FEWEST_ROWS)]
    rows, outputs = finite_answers(view.predictor, every.take(np.sort(order)))
    gap = np.abs(served.base_values + served.values(rows).sum(axis=1) - outputs)
    allowed = ADDS_UP[structure.single] * np.abs(outputs).max(initial=0.0)
    if (gap <= allowed).all():
        return None
    worst = float(gap.max())
    told = f"miss the model's answers by {worst:.3g}" if np.isfinite(worst) else "are not finite"
    return f"its type reads as {structure.kind}, but values of some rows {told}: it is asked itself"


def report_exact(
    view: View,
    served: ExactFull,
    validation: Table | None,
    seed: int,
    tolerance: float | None,
    error: float = 0.0,
    *,
    strict: bool = True,
) -> dict[str, Any]:
    """Hold an exact game against the model on rows that it was not checked on.

    Parameters
    ----------
    validation : held-out rows; without them, rows mixed from the initialization set.
    error : relative RMS error of a series that was cut short.

    Raises
    ------
    FidelityError
        The error or the additivity gap misses the tolerance, and `strict`.
    """
    rows, rows_from = _measured(view, served, validation, seed)
    outputs, values = view.predictor.outputs(rows), served.values(rows)
    miss = max(error, missed(served.base_values, values, outputs))
    if strict and tolerance is not None and not miss <= tolerance:
        raise FidelityError(miss, tolerance, 0)
    gap = np.abs(served.base_values + values.sum(axis=1) - outputs).max()
    report: dict[str, Any] = {
        "method": served.method,
        "n_coalitions": 0,
        "relative_rms_error": error,
        "tolerance": tolerance,
        "within_tolerance": None if tolerance is None else miss <= tolerance,
        "reference": "none is needed: the values are exact; the gap says whether they add up",
        "rows": {"from": rows_from, "measured": rows.n_rows, "fitted": 0},
        "additivity_gap": float(gap),
        "background": str(served.background),
        "background_choice": None
        if view.structure is None or view.structure.free
        else view.choice.report,
        "background_error": _background_error(view, served, rows),
        "milliseconds_per_row": _speed(served, rows),
    }
    found = _agreement(view, served, rows, outputs)
    report["model_rounding"] = None if found is None else found.report
    game = served.exact.game
    if isinstance(game, TreeGame):
        report["tables"] = _tables(view, game, served.exact.columns(rows, view.predictor))
    return report


def _agreement(
    view: View, served: ExactFull, rows: Table, outputs: NDArray[np.float64]
) -> Agreement | None:
    """The game beside the model, on the rows that the model answers; None without any."""
    answered = np.flatnonzero(np.isfinite(outputs).all(axis=1))
    if view.structure is None or not len(answered):
        return None
    return view.structure.agreement(served.exact, rows.take(answered), outputs[answered])


def _tables(view: View, game: TreeGame, columns: NDArray[np.float64]) -> dict[str, Any]:
    """What is in tables, under which cap, and what it would buy to have all leaves in them."""
    told = None if view.structure is None else view.structure.tables_bytes
    larger: dict[str, float] | None = None
    if not game.looks_up_all:
        row = columns[:1]
        seconds = _timed(lambda: game.walked(row))
        larger = {
            "mebibytes": bytes_of_all(game.paths) / 2**20,
            "milliseconds_saved_per_row": round(seconds * 1000, 4),
        }
    return {
        "share_of_leaves": game.share_of_leaves,
        "leaves": game.forest.n_leaves,
        "tables": len(game.tables.tops),
        "mebibytes": game.tables.entries.nbytes / 2**20,
        "cap_mebibytes": cap_of(game.forest, told).every / 2**20,
        "larger_cap": larger,
    }


def _measured(view: View, served: ExactFull, rows: Table | None, seed: int) -> tuple[Table, str]:
    """As many rows as there is time for, and where they are from."""
    rows_from = "validation"
    if rows is None:
        rows = mixed_rows(view.examples, MEASURED_ROWS, seed + 1)
        rows_from = "mixed features"
    seconds = _seconds(served, rows.take(slice(0, 1)))
    affordable = max(1, min(rows.n_rows, MEASURED_ROWS, int(MEASURED_SECONDS / seconds)))
    return rows.take(np.linspace(0, rows.n_rows - 1, affordable).astype(np.intp)), rows_from


def _background_error(view: View, served: ExactFull, rows: Table) -> dict[str, Any]:
    """What it costs that a summary stands for all rows, by exact values against both."""
    n_rows, full = view.initialization.n_rows, view.full
    if served.background.table.n_rows == n_rows:
        told = "the background is the initialization set"
        return {"relative_rms": 0.0, "measured_by": told}
    if full is None or full.background.table.n_rows == served.background.table.n_rows:
        told = f"the initialization set has more than the {n_rows} rows that are affordable"
        return {"relative_rms": None, "measured_by": told}
    seconds = _seconds(full, rows.take(slice(0, 1)))
    rows = rows.take(slice(0, max(1, int(MEASURED_SECONDS / seconds))))
    error = relative_rms(served.values(rows), full.values(rows))
    return {"relative_rms": error, "measured_by": f"exact values against {full.background}"}


def _speed(served: ExactFull, rows: Table) -> dict[str, float]:
    """Milliseconds a row, one at a time and together."""
    sizes = sorted({1, rows.n_rows})
    seconds = {n: _seconds(served, rows.take(slice(0, n))) / n for n in sizes}
    return {str(n): round(took * 1000, 4) for n, took in seconds.items()}


def _seconds(served: Full, rows: Table) -> float:
    """What one call takes, of as many as fit in the time."""
    return _timed(lambda: served.values(rows))


def _timed(call: Callable[[], Any]) -> float:
    """Return the seconds of one call, of as many as fit in the time."""
    call()  # what is made once is made now
    calls, start = 0, time.perf_counter()
    while not calls or time.perf_counter() - start < TIMED_SECONDS:
        call()
        calls += 1
    return (time.perf_counter() - start) / calls
