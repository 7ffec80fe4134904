"""Whether a value function in single precision is as good as in double: measured, not guessed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoring.games.game import Asked

__all__ = ["single_will_do"]

CHECKED_ROWS = 2

CHECKED = 64
"""Coalitions on which both are asked."""

GAP = 2.5e-7
"""Largest difference, as a share of the largest value: a quarter of what a twin may differ."""


def single_will_do(
    double: Asked, single: Asked, rows: NDArray[np.float64], n_coalitions: int
) -> bool:
    """Hold single precision against double on a few rows and coalitions.

    Parameters
    ----------
    rows : float64 (n_rows, n_columns), such as the background.
    n_coalitions : how many both were made for.
    """
    some = slice(0, n_coalitions, max(1, n_coalitions // CHECKED))
    expected, found = double(rows[:CHECKED_ROWS], some), single(rows[:CHECKED_ROWS], some)
    return bool(np.abs(found - expected).max() <= GAP * np.abs(expected).max())
