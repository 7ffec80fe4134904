"""The exact game of linear models: a column adds its coefficient times its way from the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LinearGame", "linear_game"]

LARGEST_MAP = 1_000_000
"""Entries of a map from columns to players that products are made with; above, columns are sorted
by their players and added up."""


@dataclass(frozen=True, eq=False)
class LinearGame:
    """Shapley values of sums of columns.

    Parameters
    ----------
    coefficients : float64 (n_outputs, n_columns).
    intercepts : float64 (n_outputs,).
    means : float64 (n_columns,), of the background.
    owners : int64 (n_columns,), the player that each column belongs to.
    n_players : how many players there are.
    base_values : float64 (n_outputs,), what the model says of the background.
    """

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    means: NDArray[np.float64]
    owners: NDArray[np.int64]
    n_players: int
    base_values: NDArray[np.float64]

    @property
    def method(self) -> str:
        """What to call it."""
        return "exact linear"

    @property
    def n_columns(self) -> int:
        """How many columns a row has."""
        return len(self.means)

    def outputs(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the model says of rows, (n_rows, n_outputs)."""
        return np.asarray(columns @ self.coefficients.T + self.intercepts)

    def values(self, columns: NDArray[np.float64], block_bytes: int) -> NDArray[np.float64]:  # noqa: ARG002 no room is needed
        """Explain rows; see `scoring.games.exact`."""
        moved = columns - self.means  # (n_rows, n_columns)
        if np.array_equal(self.owners, np.arange(self.n_players)):
            return np.asarray(moved[:, :, np.newaxis] * self.coefficients.T)
        answer = np.zeros((len(columns), self.n_players, len(self.coefficients)))
        if self.n_players * self.n_columns <= LARGEST_MAP:
            belongs = self.owners[:, np.newaxis] == np.arange(self.n_players)
            for output, coefficients in enumerate(self.coefficients):
                answer[:, :, output] = moved @ (belongs * coefficients[:, np.newaxis])
            return answer
        order = np.argsort(self.owners, kind="stable")
        owners, starts = np.unique(self.owners[order], return_index=True)
        for output, coefficients in enumerate(self.coefficients):
            effects = moved[:, order] * coefficients[order]
            answer[:, owners, output] = np.add.reduceat(effects, starts, axis=1)
        return answer

    def interactions(self, columns: NDArray[np.float64], block_bytes: int) -> NDArray[np.float64]:
        """Return interaction values: nothing off the diagonal."""
        own = self.values(columns, block_bytes)
        answer = np.zeros((len(own), self.n_players, self.n_players, own.shape[2]))
        diagonal = np.arange(self.n_players)
        answer[:, diagonal, diagonal] = own
        return answer


def linear_game(
    coefficients: NDArray[np.float64],
    intercepts: NDArray[np.float64],
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
    owners: NDArray[np.int64],
    n_players: int,
) -> LinearGame:
    """Make the game of a linear model.

    Parameters
    ----------
    coefficients, intercepts : float64 (n_outputs, n_columns) and (n_outputs,).
    background, weights : float64 (n_background, n_columns) and (n_background,), summing to 1.
    owners : int64 (n_columns,), the player that each column belongs to.
    """
    means = weights @ background
    base_values = coefficients @ means + intercepts
    return LinearGame(coefficients, intercepts, means, owners, n_players, base_values)
