"""Values of a game, and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a way of computing values answers.

    Parameters
    ----------
    values : float64 (n_rows, n_players, n_outputs).
    standard_errors : as many, 0 for exact values; None where there is nothing to tell them from.
    degrees_of_freedom : of the standard errors; None where they are 0 or unknown.
    method : how the values were computed.
    n_coalitions : how many coalitions were asked about.
    """

    values: NDArray[np.float64]
    standard_errors: NDArray[np.float64] | None
    degrees_of_freedom: int | None
    method: str
    n_coalitions: int

    @classmethod
    def exact(cls, values: NDArray[np.float64], method: str) -> Estimate:
        """Values that have no error of sampling."""
        return cls(values, np.zeros(values.shape), None, method, 0)
