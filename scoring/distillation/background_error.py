"""What it costs that a few rows stand for the whole initialization set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring import kernel
from scoring.background import whole
from scoring.distillation.measure import Track, affordable, by_row, relative_rms
from scoring.explainers.view import View
from scoring.games.game import Game
from scoring.table import Table

__all__ = ["background_error"]

COARSE_COALITIONS = 512
"""Coalitions in the comparison of the summary with the whole initialization set."""


def background_error(
    view: View,
    game: Game,
    measured: Table,
    true_values: NDArray[np.float64],
    track: Track,
) -> dict[str, Any]:
    """Compare values against the summary with values against the whole initialization set.

    Without exact values, both are asked about the same coalitions, so that most of the error of
    these cancels.

    Parameters
    ----------
    game : against the summary.
    measured : the rows to compare on, and `true_values` (n_rows, n_players, n_outputs) of them
        against the summary.

    Returns
    -------
    `relative_rms`, and `measured_by`, which says how.
    """
    if view.summary.table.n_rows == view.initialization.n_rows:
        return {"relative_rms": 0.0, "measured_by": "the background is the initialization set"}
    if view.full is not None and view.full.method.startswith("exact"):
        error = relative_rms(true_values, view.full.values(measured))
        return {"relative_rms": error, "measured_by": f"exact values against {view.background}"}
    everything = whole(view.initialization)
    n_coalitions = max(COARSE_COALITIONS, 2 * view.players.n_players)
    rows = affordable(measured, n_coalitions * everything.table.n_rows)
    outputs = view.predictor.outputs(rows)
    coarse = kernel.fit(game, rows, n_coalitions, 0, view.players)
    against_all = view.game(everything, game.block_bytes)
    values = [
        by_row(each, rows, outputs, track, f"measuring against {each.game.background}")
        for each in (coarse, coarse.over(against_all))
    ]
    by = f"{n_coalitions} coalitions against both, {rows.n_rows} rows"
    if not np.isfinite(values).all():
        by += "; unknown, for the model has no finite answer to some mixtures"
        return {"relative_rms": None, "measured_by": by}
    return {"relative_rms": relative_rms(values[0], values[1]), "measured_by": by}
