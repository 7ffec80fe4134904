"""The logistic function as a sum of sines, and how exactly each of them has to be integrated.

The function is `1/2 + sum_k c_k sin(w_k s)` with `w_k = (2k + 1) pi / T` and
`c_k = 2 pi / (T sinh(pi w_k))`: the series of its copies, of alternating sign, at distances T
(Poisson's summation formula; the transform of tanh). With the tail `t(u) = 1 / (1 + exp(u))`, what
the copies add alternates and shrinks with their distance, so the sum is off by at most
`t(T - |s|) <= exp(|s| - T)`. The terms from a frequency w on are at most a geometric series,
`2/pi (1 + 2 pi^2 / T) exp(-pi w) / (1 - exp(-2 pi w))`.

A value is a mean of differences of two scores' functions, so a tolerance e is kept by e/8 for the
copies, e/8 for the terms left out, and e/2 for how the others are integrated.

Such an integral is `c_k 4 cos(psi) S_j` (see `sigmoid`) times a mean over z of a product of n - 1
factors `C_i + iz S_i`. The error of nodes is linear in each (C_i, S_i), a vector of length 1 in a
plane, and symmetric in them; so it is largest where they are all equal (Banach, "Ueber homogene
Polynome in (L2)", Studia Mathematica, 1938). That is a polynomial of one angle, whose maximum is
found on a grid (Ehlich and Zeller, "Schwankung von Polynomen zwischen Gitterpunkten", 1964). So
the bound holds whatever players move the score by.

High frequencies have small coefficients: single precision and few nodes are enough for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FARTHEST", "TOLERANCE", "Tier", "all_nodes", "coefficients", "half_nodes", "integral_error",
    "n_below", "n_terms", "periods", "rounding", "tiers",
]  # fmt: skip

TOLERANCE = 1e-10
"""How far values may be from the logistic function's to be called exact."""

FARTHEST = 10_000.0
"""The largest score that a series is made for; it has 1.3 terms per unit."""

ALL = 3.0
"""Upper bound on the sum of all coefficients of a series up to the farthest score."""

LOWEST = 0.65
"""A frequency from which on `1 - exp(-2 pi w)` is above 0.98."""

GRID = 4
"""Angles in half a turn, for each player."""

ROUNDINGS = 16
"""Upper bound on the roundings of a product, for each factor."""


@dataclass(frozen=True, eq=False)
class Tier:
    """How terms from a frequency on are integrated, up to the next tier.

    Parameters
    ----------
    start : the frequency.
    dtype : the precision that is enough.
    z, weights : float64 (n_nodes,), the nodes above 0 and their weights in a mean over [-1, 1].
    """

    start: float
    dtype: np.dtype[Any]
    z: NDArray[np.float64]
    weights: NDArray[np.float64]


def _margin(tolerance: float) -> float:
    """A score of this size is as good as infinite."""
    return math.log(8 / tolerance)


def periods(reach: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """T of series that are right up to scores."""
    return reach + _margin(tolerance)


def n_terms(period: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """How many terms a series takes."""
    left_out = 0.65 * (1 + 2 * math.pi**2 / period)  # 2/pi / 0.98
    return n_below((_margin(tolerance) + np.log(left_out)) / math.pi, period)


def n_below(w: NDArray[np.float64] | float, period: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many terms have a frequency below one."""
    return np.ceil(np.maximum(w * period / (2 * math.pi) - 0.5, 0.0)).astype(np.int64)


def coefficients(k: NDArray[np.int64], period: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return c_k of terms and periods, of whatever shape they have together."""
    decay = np.exp((2 * k + 1) * (-(math.pi**2) / period))  # sinh would overflow
    return np.asarray(4 * math.pi / period * decay / (1 - decay * decay))


@lru_cache(maxsize=64)
def tiers(n_players: int, tolerance: float) -> tuple[Tier, ...]:
    """Return how low and high frequencies are integrated; all of them alike where that is enough.

    Each tier may take e/8 for its nodes, and single precision e/4 for its roundings.
    """
    share, lost = tolerance / 8, rounding(n_players)
    single, double = np.dtype(np.float32), np.dtype(np.float64)
    if ALL * lost <= 2 * share:
        return (Tier(0.0, single, *_nodes(n_players, share / ALL)),)
    largest = 0.65 * (1 + 2 * math.pi**2 / _margin(tolerance))  # of the shortest period
    start = max(LOWEST, math.log(largest * lost / (2 * share)) / math.pi)
    high = _nodes(n_players, share / (largest * math.exp(-math.pi * start)))
    return (
        Tier(0.0, double, *_nodes(n_players, share / ALL)),
        Tier(start, single, *high),
    )


def rounding(n_players: int) -> float:
    """How far single precision may be from a value of the sine of a score."""
    return ROUNDINGS * n_players * float(np.finfo(np.float32).eps)


def half_nodes(n_nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of an even number of Gauss-Legendre nodes the half above 0; weights of a mean over both."""
    z, weights = np.polynomial.legendre.leggauss(n_nodes)
    return z[n_nodes // 2 :], weights[n_nodes // 2 :] / 2


def all_nodes(n_players: int) -> int:
    """The even number of nodes that leaves no error: the integrand's degree is n_players - 1."""
    return 2 * math.ceil(n_players / 4)


def integral_error(n_nodes: int, n_players: int) -> float:
    """How far nodes may be from a value of the sine of a score, whatever the players move."""
    angles = np.linspace(0.0, np.pi, GRID * n_players + 1)
    off = _means(angles, n_nodes, n_players) - _means(angles, all_nodes(n_players), n_players)
    between = math.cos(math.pi / (2 * GRID))  # a polynomial of degree m, at steps of h: cos(mh/2)
    return 2 * float(np.abs(off).max()) / between


def _nodes(n_players: int, error: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As few nodes as are never farther off."""
    few, enough = 0, all_nodes(n_players) // 2  # halves; errors fall with them
    while enough - few > 1:
        middle = (few + enough) // 2
        if integral_error(2 * middle, n_players) <= error:
            enough = middle
        else:
            few = middle
    return half_nodes(2 * enough)


def _means(angles: NDArray[np.float64], n_nodes: int, n_players: int) -> NDArray[np.float64]:
    """Means over z of `Re (C + iz S)^(n_players - 1)` by nodes, (n_angles,)."""
    z, weights = half_nodes(n_nodes)
    c, s = np.cos(angles)[:, np.newaxis], np.sin(angles)[:, np.newaxis]
    size, turn = np.hypot(c, z * s), np.arctan2(z * s, c)
    return np.asarray(2 * (size ** (n_players - 1) * np.cos((n_players - 1) * turn)) @ weights)
