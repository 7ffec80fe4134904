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
    degrees_of_freedom : of the standard errors; None where they are 0, unknown, or the same for
        all rows.
    method : how the values were computed.
    n_coalitions : how many coalitions were asked about.
    """

    values: NDArray[np.float64]
    standard_errors: NDArray[np.float64] | None
    degrees_of_freedom: int | None
    method: str
    n_coalitions: int

    @classmethod
    def exact(cls, values: NDArray[np.float64], method: str, error: float = 0.0) -> Estimate:
        """Values that have no error of sampling.

        Parameters
        ----------
        error : what distillation measured of another error, if there is one.
        """
        return cls(values, np.full(values.shape, error), None, method, 0)
