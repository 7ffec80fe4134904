"""Moves of a score that are so large that they alone decide what the logistic function says.

A player whose move is larger than all that is left of the score by a margin saturates every
coalition that it is in: whether it moves the score by as much, or by just the margin more than the
rest, changes no coalition's value by more than `exp(-margin)`. So the larger such moves are cut
down, from the smallest on, and a series need not reach as far. One value in another unit, say, is
mostly such a move.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_down"]


def cut_down(
    moves: NDArray[np.float64], start: NDArray[np.float64], reach: float, tolerance: float
) -> NDArray[np.float64]:
    """Return moves (n_pairs, n_players) whose games are the same, to a tenth of a tolerance.

    Parameters
    ----------
    start : float64 (n_pairs,), the score without any move.
    reach : how far scores may go before anything is done.
    tolerance : how far a value may be from the logistic function's.
    """
    with np.errstate(over="ignore"):
        size = np.abs(moves)
        farthest = np.abs(start) + size.sum(axis=1)
    far = np.flatnonzero((farthest > reach) & np.isfinite(farthest))
    if not far.size:
        return moves
    margin = math.log(40 / tolerance)
    order = np.argsort(-size[far], axis=1, kind="stable")
    largest_first = np.take_along_axis(size[far], order, axis=1)
    rest = np.abs(start[far, np.newaxis]) + margin
    after = np.cumsum(largest_first[:, ::-1], axis=1)[:, ::-1] - largest_first
    decides = np.logical_and.accumulate(largest_first >= rest + after, axis=1)
    n_deciding = decides.sum(axis=1, keepdims=True)
    # The smallest of them exceeds the rest by the margin, and each larger one doubles the whole.
    base = rest + np.where(decides, 0.0, largest_first).sum(axis=1, keepdims=True)
    doublings = n_deciding - 1 - np.arange(moves.shape[1])
    enough = np.where(decides, np.ldexp(base, np.maximum(doublings, 0)), largest_first)
    answer = moves.copy()
    cut = np.empty_like(enough)
    np.put_along_axis(cut, order, enough, axis=1)
    answer[far] = np.copysign(cut, moves[far])
    return answer
