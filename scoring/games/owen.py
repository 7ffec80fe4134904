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
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["integrals", "legendre"]

RHO = 2.0 ** np.arange(1, 7)
"""Ellipses that are tried."""

WIDE = (RHO + 1 / RHO) / 2

EPSILON = float(np.finfo(np.float64).eps)


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
    factors, shares = np.empty(moved.shape), np.empty(moved.shape)
    by_row = shares.reshape(n_players, n_rows, -1).transpose(1, 0, 2)

    def products(p: float) -> NDArray[np.float64]:
        """All factors together, (n_rows, n_pairs, 1); `shares` are then m over each of them."""
        np.multiply(moved, p, out=factors)
        np.add(factors, kept, out=factors)
        np.divide(moved, factors, out=shares)
        product: NDArray[np.float64] = np.multiply.reduce(factors, axis=0)
        return product.reshape(n_rows, -1, 1)

    middle = products(0.5)
    answer = by_row @ (middle * pays)
    np.abs(shares, out=factors)
    nodes, weights = legendre(_n_nodes(factors.sum(axis=0) / 2, np.abs(middle * pays), n_players))
    half = len(nodes) // 2  # the node in the middle, which was the first
    answer *= weights[half]
    for number, (p, weight) in enumerate(zip(nodes.tolist(), weights.tolist(), strict=True)):
        if number != half:
            answer += by_row @ (products(p) * weight * pays)
    return np.asarray(answer)


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
