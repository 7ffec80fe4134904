"""Values without coalitions: an exact game, and the way from raw rows to its columns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scoring.encoding import Encoding
from scoring.errors import ModelError
from scoring.features import engineered, split
from scoring.games.linear import LinearGame
from scoring.games.link import LinkGame
from scoring.games.rbf_exact import RbfExactGame
from scoring.predictor import Predictor
from scoring.table import Table
from scoring.trees.game import TreeGame

__all__ = ["Exact", "Game"]

ADDS_UP = 1e-6
"""How far base value and values may miss an output, as a share of the larger of both."""

Game = TreeGame | LinearGame | LinkGame | RbfExactGame


@dataclass(frozen=True, eq=False)
class Exact:
    """An exact game over a model's columns.

    Parameters
    ----------
    game : the structure of the model, its background and its players.
    encoding : from raw features to columns; None where the model's own first half is asked.
    background : what stands for an absent feature, in words.
    """

    game: Game
    encoding: Encoding | None
    background: str

    def light(self) -> Exact:
        """Return the same game without the background's rows where values do not need them."""
        if not isinstance(self.game, TreeGame):
            return self
        return replace(self, game=self.game.without_background())

    @property
    def method(self) -> str:
        """What to call it."""
        return self.game.method

    @property
    def error(self) -> float:
        """The measured error of values where a series was cut short; 0 for exact ones."""
        return self.game.error if isinstance(self.game, LinkGame) else 0.0

    @property
    def base_values(self) -> NDArray[np.float64]:
        """What the model says of the background, (n_outputs,)."""
        return self.game.base_values

    def columns(self, rows: Table, predictor: Predictor) -> NDArray[np.float64]:
        """From raw rows to columns (n_rows, n_columns).

        Raises
        ------
        ModelError
            The columns come from a pipeline, and the model is none any more.
        """
        if self.encoding is not None:
            return self.encoding.columns(rows.codes)
        halves = split(predictor.model)
        if halves is None:
            raise ModelError("the model is no pipeline, so it has no engineered columns")
        if not rows.n_rows:  # many transformers refuse to transform nothing
            return np.zeros((0, self.game.n_columns))
        return engineered(halves[0], predictor.schema, rows)

    def values(self, rows: Table, predictor: Predictor, block_bytes: int) -> NDArray[np.float64]:
        """Explain rows; float64 (n_rows, n_players, n_outputs), NaN for rows that are too far."""
        columns = self.columns(rows, predictor)
        values = self.game.values(columns, block_bytes)
        if isinstance(self.game, (TreeGame, LinearGame)):  # which add up wherever a row is
            return values
        return self._added_up(values, self.game.outputs(columns))

    def outputs_and_values(
        self, rows: Table, predictor: Predictor, block_bytes: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the game itself says of rows, (n_rows, n_outputs), and their values."""
        columns = self.columns(rows, predictor)
        if isinstance(self.game, TreeGame):
            return self.game.outputs_and_values(columns, block_bytes)
        outputs, values = self.game.outputs(columns), self.game.values(columns, block_bytes)
        if isinstance(self.game, LinearGame):
            return outputs, values
        return outputs, self._added_up(values, outputs)

    def _added_up(
        self, values: NDArray[np.float64], outputs: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Values (n_rows, n_players, n_outputs), NaN for rows whose numbers rounding has eaten."""
        with np.errstate(invalid="ignore"):
            gap = np.abs(self.base_values + values.sum(axis=1) - outputs).max(axis=1, initial=0.0)
        largest = np.maximum(np.abs(outputs), np.abs(self.base_values)).max(axis=1, initial=0.0)
        each = self.game.precision if isinstance(self.game, LinkGame) else 0.0
        allowed = ADDS_UP * largest + each * (values.shape[1] + 1)
        lost = ~(gap <= allowed)
        return np.where(lost[:, np.newaxis, np.newaxis], np.nan, values) if lost.any() else values

    @property
    def has_interactions(self) -> bool:
        """Whether what pairs of features do is known: trees need their background for it."""
        return not isinstance(self.game, TreeGame) or self.game.has_interactions

    def interactions(
        self, rows: Table, predictor: Predictor, block_bytes: int
    ) -> NDArray[np.float64]:
        """Explain pairs; float64 (n_rows, n_players, n_players, n_outputs)."""
        return self.game.interactions(self.columns(rows, predictor), block_bytes)
