"""The exact game of linear models: a column adds its coefficient times its way from the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LinearGame", "linear_game"]


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
        n_outputs = len(self.coefficients)
        belongs = self.owners[:, np.newaxis] == np.arange(self.n_players)
        answer = np.empty((len(columns), self.n_players, n_outputs))
        for output, coefficients in enumerate(self.coefficients):
            answer[:, :, output] = moved @ (belongs * coefficients[:, np.newaxis])
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
