"""The logistic function as a sum of sines, and how many nodes their integrals take.

The function is `1/2 + sum_k c_k sin(w_k s)` with `w_k = (2k + 1) pi / T` and
`c_k = 2 pi / (T sinh(pi w_k))`: the series of its copies, of alternating sign, at distances T
(Poisson's summation formula; the transform of tanh). With the tail `t(u) = 1 / (1 + exp(u))`, what
the copies add alternates and shrinks with their distance, so the sum is off by at most
`t(T - |s|) <= exp(|s| - T)`. The terms from K on are at most a geometric series,
`2/pi (1 + 2 pi^2 / T) exp(-pi w_K) / (1 - exp(-2 pi w_K))`.

A value is a mean of differences of two scores' functions, so a tolerance e is kept by e/8 for the
copies, e/8 for the terms left out and e/2 for the integrals of the terms that stay.

Such an integral is `c_k 4 cos(psi) S_j` (see `sigmoid`) times a mean over z of a product of n - 1
factors `C_i + iz S_i`. The error of nodes is linear in each (C_i, S_i), a vector of length 1 in a
plane, and symmetric in them; so it is largest where they are all equal (Banach, "Ueber homogene
Polynome in (L2)", Studia Mathematica, 1938). That is a polynomial of one angle, whose maximum is
found on a grid (Ehlich and Zeller, "Schwankung von Polynomen zwischen Gitterpunkten", 1964). So
the bound holds whatever players move the score by.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FARTHEST", "TOLERANCE", "coefficients", "half_nodes", "integral_error", "n_terms", "nodes",
    "periods",
]  # fmt: skip

TOLERANCE = 1e-10
"""How far values may be from the logistic function's to be called exact."""

FARTHEST = 10_000.0
"""The largest score that a series is made for; it has 1.3 terms per unit."""

ALL = 4.0
"""Upper bound on the sum of all coefficients of a series up to the farthest score."""

GRID = 4
"""Angles in half a turn, for each player."""


def _margin(tolerance: float) -> float:
    """A score of this size is as good as infinite."""
    return math.log(8 / tolerance)


def periods(reach: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """T, half of a whole period, of series that are right up to scores."""
    return reach + _margin(tolerance)


def n_terms(period: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """How many terms a series takes."""
    left_out = 0.65 * (1 + 2 * math.pi**2 / period)  # 2/pi; 1 - exp(-2 pi w) is above 0.98
    highest = (_margin(tolerance) + np.log(left_out)) / math.pi
    return np.ceil(highest * period / (2 * math.pi) - 0.5).astype(np.int64)


def coefficients(k: NDArray[np.int64], period: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return c_k, (n_terms, n_series), of terms and periods."""
    x = np.outer(2 * k + 1, math.pi**2 / period)
    decay = np.exp(-x)  # sinh would overflow
    return np.asarray(4 * math.pi / period * decay / (1 - decay * decay))


def half_nodes(n_nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of an even number of Gauss-Legendre nodes the half above 0; weights of a mean over both."""
    z, weights = np.polynomial.legendre.leggauss(n_nodes)
    return z[n_nodes // 2 :], weights[n_nodes // 2 :] / 2


def all_nodes(n_players: int) -> int:
    """The even number of nodes that leaves no error: the integrand's degree is n_players - 1."""
    return 2 * math.ceil(n_players / 4)


@lru_cache(maxsize=64)
def nodes(n_players: int, tolerance: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return as many nodes above 0, and their weights, as keep to their part of the tolerance."""
    most = all_nodes(n_players)
    for n_nodes in range(2, most, max(2, 2 * (most // 16))):
        if ALL * integral_error(n_nodes, n_players) <= tolerance / 2:
            return half_nodes(n_nodes)
    return half_nodes(most)


def integral_error(n_nodes: int, n_players: int) -> float:
    """How far nodes may be from a value of the sine of a score, whatever the players move."""
    angles = np.linspace(0.0, np.pi, GRID * n_players + 1)
    off = _means(angles, n_nodes, n_players) - _means(angles, all_nodes(n_players), n_players)
    between = math.cos(math.pi / (2 * GRID))  # a polynomial of degree m, at steps of h: cos(mh/2)
    return 2 * float(np.abs(off).max()) / between


def _means(angles: NDArray[np.float64], n_nodes: int, n_players: int) -> NDArray[np.float64]:
    """Means over z of `Re (C + iz S)^(n_players - 1)` by nodes, (n_angles,)."""
    z, weights = half_nodes(n_nodes)
    c, s = np.cos(angles)[:, np.newaxis], np.sin(angles)[:, np.newaxis]
    size, turn = np.hypot(c, z * s), np.arctan2(z * s, c)
    return np.asarray(2 * (size ** (n_players - 1) * np.cos((n_players - 1) * turn)) @ weights)
