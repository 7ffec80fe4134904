"""What an exact game is to those who use one: Shapley values without coalitions.

Such a game has the structure of one kind of model, its background and its players as arrays, and
answers in closed form or by a quadrature that is exact.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExactGame"]


class ExactGame(Protocol):
    """Interventional Shapley values over engineered columns, every column one player's."""

    @property
    def method(self) -> str:
        """What to call it, `exact tree` for instance."""

    @property
    def base_values(self) -> NDArray[np.float64]:
        """What the model says of the background, (n_outputs,)."""

    def outputs(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the model says of rows (n_rows, n_columns); (n_rows, n_outputs)."""

    def values(self, columns: NDArray[np.float64], block_bytes: int) -> NDArray[np.float64]:
        """Explain rows (n_rows, n_columns); float64 (n_rows, n_players, n_outputs).

        Parameters
        ----------
        block_bytes : upper bound on what is allocated at a time, beyond the answer.
        """

    def interactions(self, columns: NDArray[np.float64], block_bytes: int) -> NDArray[np.float64]:
        """Return Shapley interaction values (n_rows, n_players, n_players, n_outputs).

        By shap's convention: symmetric, off the diagonal half of the Shapley interaction index
        of the pair (Grabisch and Roubens, 1999), and every row sums to the player's value.
        """
