"""Owen's integral of products of linear factors, with no more nodes than double precision tells.

A player's value is `m_j ∫_0^1 prod_{i≠j} (b_i + p m_i) dp`, where it moves its own factor from b_j
by m_j (Owen, "Multilinear extensions of games", 1972). The integrand is a polynomial of degree
n - 1, so Gauss-Legendre with n / 2 nodes is exact. Mostly fewer are as good.

A rule of m nodes is wrong by at most `32/15 M rho**-2m / (1 - rho**-2)`, where M bounds the
integrand in the ellipse around [0, 1] whose half axes add up to rho / 2: the tail of its Chebyshev
series (Trefethen, "Approximation Theory and Approximation Practice", theorems 8.1 and 19.3). There
a factor is at most `c_i (1 + a t_i)`, with c_i what it is in the middle, a = (rho + 1/rho) / 2 and
t_i = |m_i| / 2c_i <= 1; so all of them together are at most `(1 + a T / N)**N prod c_i` for T the
sum of the t_i and any N >= n.

Nodes come in pairs 1/2 -+ q, where a factor is c_i (1 -+ q s_i) for s_i = m_i / c_i. The shares
s_i / (1 -+ q s_i) of both are d_i (1 +- q s_i), with one division: d_i = s_i / (1 - q^2 s_i^2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache, reduce

import numpy as np
from numpy.typing import NDArray

from scoring.games.game import blocks

__all__ = ["integrals", "legendre"]

RHO = 2.0 ** np.arange(1, 7)
"""Ellipses that are tried."""

WIDE = (RHO + 1 / RHO) / 2

EPSILON = float(np.finfo(np.float64).eps)

TINY = 1e-290
"""Below this, a product has lost digits, or all."""

PART = 256
"""Players whose factors are multiplied apart from the others': in relation to the middle, so many
are as much as 2**256 together, and the middle is as little as 2**-256."""


@cache
def legendre(n_nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes in [0, 1] and weights of Gauss-Legendre quadrature, (n_nodes,) each."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    return (nodes + 1) / 2, weights / 2


def integrals(
    moved: NDArray[np.float64], kept: NDArray[np.float64], pays: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Add up the values of product games; float64 (n_rows, n_players, n_outputs).

    Parameters
    ----------
    moved, kept : float64 (n_players, n_rows * n_pairs), m and b of every factor of every game.
    pays : float64 (n_rows, n_pairs, n_outputs), what the games are multiplied by.
    """
    n_players, n_rows = len(moved), len(pays)
    factors = np.multiply(moved, 0.5)
    factors += kept
    parts = list(blocks(n_players, PART))
    middles = _products(factors, parts)
    middle = _whole(middles)
    in_middle = np.abs(middle.reshape(n_rows, -1, 1) * pays)
    slopes = moved / factors
    squares, shares = slopes * slopes, np.abs(slopes)
    n_nodes = _n_nodes(shares.sum(axis=0) / 2, in_middle, n_players)

    def paid(shares: NDArray[np.float64], games: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shares of games that are worth so much, (n_rows, n_players, n_outputs)."""
        by_row = shares.reshape(n_players, n_rows, -1).transpose(1, 0, 2)
        answer: NDArray[np.float64] = by_row @ (games.reshape(n_rows, -1, 1) * pays)
        return answer

    nodes, weights = legendre(n_nodes)
    half = n_nodes // 2
    answer = paid(slopes, middle * weights[half])
    pairs = zip(nodes[half + 1 :].tolist(), weights[half + 1 :].tolist(), strict=True)
    for q, weight in ((node - 0.5, weight) for node, weight in pairs):
        np.multiply(squares, -q * q, out=factors)
        np.add(factors, 1, out=factors)
        both = _products(factors, parts)
        np.divide(slopes, factors, out=shares)
        np.multiply(slopes, q, out=factors)
        np.add(factors, 1, out=factors)
        ones = _products(factors, parts)
        others = map(_other, both, ones, (factors[part] for part in parts))
        after = _whole(map(np.multiply, middles, ones))
        before = _whole(map(np.multiply, middles, others))
        answer += paid(shares, (after + before) * weight)
        np.multiply(shares, slopes, out=shares)
        answer += paid(shares, (before - after) * (q * weight))
    return answer


def _products(factors: NDArray[np.float64], parts: list[slice]) -> list[NDArray[np.float64]]:
    """The product of each part of the players' factors, (n,) each."""
    return [np.multiply.reduce(factors[part], axis=0) for part in parts]


def _whole(parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The product of parts, (n,)."""
    return reduce(np.multiply, parts)


def _other(
    both: NDArray[np.float64], one: NDArray[np.float64], factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The product of 2 - factors, (n,), from what it is together with that of factors."""
    lost = (both < TINY) | (one < TINY)
    if not lost.any():
        return both / one
    answer = np.divide(both, one, out=np.empty(both.shape), where=~lost)
    answer[lost] = np.multiply.reduce(2 - factors[:, lost], axis=0)
    return answer


def _n_nodes(spread: NDArray[np.float64], sizes: NDArray[np.float64], n_players: int) -> int:
    """The least odd number of nodes whose error double precision does not tell from none.

    Parameters
    ----------
    spread : float64 (n_rows * n_pairs,), T of every game.
    sizes : float64 (n_rows, n_pairs, n_outputs), what the games are worth in the middle.
    """
    doublings = math.ceil(math.log2(max(2, n_players)))
    # What is too large for a number bounds nothing, nor do games that are worth nothing.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        growth = 1 + np.multiply.outer(WIDE, spread / 2**doublings)
        for _ in range(doublings):
            np.multiply(growth, growth, out=growth)
        by_row = growth.reshape(len(RHO), len(sizes), 1, -1)
        largest = (by_row @ sizes)[:, :, 0] / sizes.sum(axis=1)  # (n_rho, n_rows, n_outputs)
        bound = 32 / 15 * largest.max(axis=(1, 2)) / (1 - RHO**-2)
        needed = np.log(bound / EPSILON) / (2 * np.log(RHO))
    needed = needed[np.isfinite(needed)]
    exact = (n_players + 1) // 2
    fewer = max(2, math.ceil(needed.min())) if len(needed) else exact
    return min(exact, fewer) | 1
