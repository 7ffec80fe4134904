"""Whether an exact game's outputs are a model's own, up to what the model itself rounds off.

A difference is judged on the spread of the answers: a date of 2,460,000 days that varies by a week
is known to a millionth of a week, or not at all. A model that adds up in single precision may be
farther away than that, and still be the sum of its leaves: then its own additions, repeated in
single precision, answer what it answers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.exact import Game
from scoring.games.game import blocks
from scoring.trees.forest import Forest
from scoring.trees.game import TreeGame

__all__ = ["Agreement", "agreement"]

GAP = {"float64": 1e-9, "float32": 1e-5}
"""Largest difference that any model of a precision may have, as a share of its answers' spread."""

LAST_PLACES = 4
"""How many units in the last place a repeated addition may be off."""

BLOCK = 2**21
"""Leaves' values that are added up at a time."""


class Agreement(NamedTuple):
    """A game's outputs beside a model's.

    Parameters
    ----------
    precision : what the model adds up in, `float64` or `float32`.
    difference : the largest, over rows and outputs.
    spread : of the model's answers to these rows.
    explained : whether the model's own precision explains the difference.
    """

    precision: str
    difference: float
    spread: float
    explained: bool

    @property
    def report(self) -> dict[str, Any]:
        """What the model's own rounding costs, for a fidelity report."""
        share = self.difference / self.spread if self.spread else None
        return {
            "precision": self.precision,
            "largest_difference": self.difference,
            "share_of_spread": share,
        }


def agreement(
    game: Game,
    columns: NDArray[np.float64],
    told: NDArray[np.float64],
    *,
    single: bool,
    targets: bool,
) -> Agreement:
    """Hold a game against a model's answers.

    Parameters
    ----------
    columns : float64 (n_rows, n_columns), rows as the game sees them.
    told : float64 (n_rows, n_outputs), the model's answers.
    single : whether the model adds up in single precision.
    targets : whether every output has a spread of its own; those of classes share the largest.
    """
    precision = "float32" if single else "float64"
    answers = game.outputs(columns)
    if answers.shape != told.shape or not np.isfinite(told).all():
        return Agreement(precision, np.inf, 0.0, explained=False)
    away = np.abs(answers - told)
    spreads = np.ptp(told, axis=0) if len(told) else np.zeros(told.shape[1])
    if not targets:
        spreads = np.full_like(spreads, spreads.max(initial=0.0))
    largest = np.abs(told).max(axis=0, initial=0.0)
    forest = game.forest if isinstance(game, TreeGame) else None
    scales = spreads if forest is not None else np.where(spreads > 0, spreads, largest)
    allowed = np.maximum(GAP[precision] * scales, _unavoidable(forest, largest, precision))
    explained = bool((away <= allowed).all())
    if not explained and single and forest is not None and forest.sections is None:
        repeated = _in_single(forest, columns)
        unit = np.spacing(np.abs([forest.base, largest]).max(axis=0).astype(np.float32))
        explained = bool((np.abs(repeated - told) <= LAST_PLACES * unit).all())
    return Agreement(
        precision, float(away.max(initial=0.0)), float(spreads.max(initial=0.0)), explained
    )


def _unavoidable(
    forest: Forest | None, largest: NDArray[np.float64], precision: str
) -> NDArray[np.float64]:
    """What the precision leaves of sums whose order is not known, (n_outputs,)."""
    n_summands = 0 if forest is None else forest.n_trees
    if precision == "float64":
        return (64 + n_summands) * float(np.finfo(np.float64).eps) * largest
    if forest is None or forest.sections is None:  # whose order is known
        return np.zeros_like(largest)
    return (LAST_PLACES + int(forest.sections.max()) / 2) * np.spacing(largest.astype(np.float32))


def _in_single(forest: Forest, columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """What trees add up to in single precision, from the base on, (n_rows, n_outputs)."""
    answer = np.empty((len(columns), len(forest.base)))
    n_values = forest.values.shape[1]
    for some in blocks(len(columns), max(1, BLOCK // (forest.n_trees * n_values))):
        values = forest.values[forest.reached(columns[some]).T].astype(np.float32)
        for output in np.unique(forest.tree_outputs).tolist():
            added = values[:, forest.tree_outputs == output]
            those = slice(output, output + n_values)
            base = np.broadcast_to(forest.base[those], (len(added), 1, n_values))
            both = np.concatenate([base.astype(np.float32), added], axis=1)
            answer[some, those] = np.add.accumulate(both, axis=1, dtype=np.float32)[:, -1]
    return answer
