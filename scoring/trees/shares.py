"""What a leaf pays to each of those who decide it.

Against one background row, with p players that only the row passes, q that only the background
passes and none that both fail, each of the p gets `(p-1)! q! / (p+q)!` of the leaf's value and
each of the q loses `p! (q-1)! / (p+q)!` of it: the share of the orders in which that player is the
last of the p, or the first of the q to come (Lundberg et al., "From local explanations to global
understanding with explainable AI for trees", 2020, algorithm 3, states the same weights).
"""

from __future__ import annotations

from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

__all__ = ["shares"]


@cache
def shares(n_bits: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares gained and lost, (n_bits + 1, n_bits + 1) each, by p and q; 0 where p + q > n_bits."""
    size = n_bits + 1
    gained, lost = np.zeros((size, size)), np.zeros((size, size))
    for p in range(size):
        for q in range(size - p):
            orders = comb(p + q, q)
            gained[p, q] = 1 / (p * orders) if p else 0.0
            lost[p, q] = 1 / (q * orders) if q else 0.0
    return gained, lost


@cache
def pair_shares(
    n_bits: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Shapley interaction indices of pairs, by p and q: both gain, one of each, both lose.

    `(p-2)! q! / (p+q-1)!`, `(p-1)! (q-1)! / (p+q-1)!` (to be taken away) and
    `p! (q-2)! / (p+q-1)!`: Owen's integral of the second derivative of `prod p * prod (1 - p)`.
    """
    size = n_bits + 1
    together, against, without = (np.zeros((size, size)) for _ in range(3))
    for p in range(size):
        for q in range(size - p):
            if p >= 2:
                together[p, q] = 1 / ((p - 1) * comb(p + q - 1, q))
            if p >= 1 and q >= 1:
                against[p, q] = 1 / (q * comb(p + q - 1, q))
            if q >= 2:
                without[p, q] = 1 / ((q - 1) * comb(p + q - 1, p))
    return together, against, without
