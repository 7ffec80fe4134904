"""Batched KernelSHAP: one design and one operator for every row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring import coalitions, kriging
from scoring.coalitions import Design
from scoring.games.game import Game, blocks
from scoring.players import Players
from scoring.solve import definition_operator, regression_operator
from scoring.table import Table

__all__ = ["BLOCK_BYTES", "Kernel", "base_values_of", "fit"]

BLOCK_BYTES = 256 * 2**20
"""What an explanation may allocate at a time, whatever the request, beyond its own answer."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """A value function, the coalitions it is asked about, and the way to Shapley values.

    Parameters
    ----------
    operator : float64 (n_players, n_coalitions + 2), see `scoring.solve`.
    base_values : float64 (n_outputs,), the value of the empty coalition.
    method : `exact enumeration`, `kernel kriging` or `kernel regression`.
    players : who the coalitions are made of; by default every feature by itself.
    """

    game: Game
    design: Design
    operator: NDArray[np.float64]
    base_values: NDArray[np.float64]
    method: str
    players: Players | None = None

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """The features (n_coalitions, n_features) in each coalition."""
        masks = self.design.masks
        return masks if self.players is None else self.players.features(masks)

    @cached_property
    def _worth(self) -> Callable[[Table], NDArray[np.float64]]:
        """What the design's coalitions are worth; what depends on no row is made once."""
        prepared = getattr(self.game, "prepared", None)
        if prepared is not None:
            worth: Callable[[Table], NDArray[np.float64]] = prepared(self.masks)
            return worth
        return lambda rows: self.game.values(rows, self.masks)

    def over(self, game: Game) -> Kernel:
        """Return the same coalitions and operator over another game."""
        return replace(self, game=game, base_values=base_values_of(game))

    def values(self, rows: Table, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Explain rows, given what the model says of them: outputs (n_rows, n_outputs).

        Returns
        -------
        float64 (n_rows, n_players, n_outputs).
        """
        n_players, n_columns = self.operator.shape
        n_outputs = len(self.base_values)
        values = np.empty((rows.n_rows, n_players, n_outputs))
        # v is held twice: as the game answers it, and with both ends in the product's order.
        per_block = max(1, self.game.block_bytes // 4 // (16 * n_columns * n_outputs))
        for some in blocks(rows.n_rows, per_block):
            v = np.empty((n_columns, some.stop - some.start, n_outputs))
            v[0] = self.base_values
            v[1:-1] = self._worth(rows.take(some)).transpose(1, 0, 2)
            v[-1] = outputs[some]
            product = self.operator @ v.reshape(n_columns, -1)  # (n_players, rows * n_outputs)
            values[some] = product.reshape(n_players, -1, n_outputs).transpose(1, 0, 2)
        return values


def base_values_of(game: Game) -> NDArray[np.float64]:
    """What the model says of the background, (n_outputs,)."""
    nobody = np.zeros((1, game.predictor.schema.n_features), bool)
    return np.asarray(game.values(game.background.table.take(slice(0, 1)), nobody)[0, 0])


def fit(
    game: Game,
    examples: Table,
    n_coalitions: int | None,
    seed: int,
    players: Players | None = None,
) -> Kernel:
    """Fix the design and its operator.

    Up to `coalitions.ENUMERATED_FEATURES` players, or where as many coalitions are asked for as
    there are, every coalition is taken and the operator is the definition. Otherwise the operator
    is kriging, its smoothness fitted to how the model behaves on the examples; with more than
    `kriging.LARGEST` coalitions it is weighted least squares.

    Parameters
    ----------
    examples : a few rows like those that will be explained.
    n_coalitions : None for the default.
    seed : of the design.
    players : by default every feature by itself.
    """
    players = players or Players.of(game.predictor.schema.names)
    n_players = players.n_players
    base_values = base_values_of(game)
    if n_players <= coalitions.ENUMERATED_FEATURES and n_coalitions is None:
        design = coalitions.all_coalitions(n_players)
    else:
        asked = coalitions.default_coalitions(n_players) if n_coalitions is None else n_coalitions
        design = coalitions.sample(n_players, asked, seed)
    if design.exact:
        operator, method = definition_operator(design.masks), "exact enumeration"
    elif design.n_coalitions > kriging.LARGEST:
        operator = regression_operator(design.masks, design.weights)
        method = "kernel regression"
    else:
        some = np.random.default_rng(seed).permutation(design.n_coalitions)[: kriging.FITTED]
        v = game.values(examples, players.features(design.masks[some])) - base_values
        games = v.transpose(0, 2, 1).reshape(-1, len(some))
        smoothness = kriging.fit_smoothness(design.masks[some], games)
        operator, method = kriging.kriging_operator(design.masks, smoothness), "kernel kriging"
    return Kernel(game, design, operator, base_values, method, players)
