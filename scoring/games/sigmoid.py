"""Owen's integral of a sigmoid of a sum, by a sine series.

The logistic function is a sum of sines, `1/2 + sum_k c_k sin(w_k s)` with `w_k = (2k + 1) pi / 2L`
and `c_k = pi / (L sinh(pi w_k))`: the series of its copies, of alternating sign, at distances 2L
(Poisson's summation formula; the transform of tanh). It is off by `exp(|s| - 2L)`, which is as
little as one likes for a large L.

Each sine of a sum over players is a product game. With half angles `C, S = cos, sin(w d / 2)` of
what a player moves the score by, and q = p - 1/2, a player's factor in the multilinear extension
is `1 + p (exp(i w d) - 1) = exp(i w d / 2) (C + 2iq S)`. So (Owen, "Multilinear extensions of
games", 1972) the value of player j is the integral over p of the imaginary part of

    exp(i psi) prod_i (C_i + 2iq S_i) * 2i S_j / (C_j + 2iq S_j)

where psi is w times the middle between the score of the background row and that of the row. At -q
the product is conjugate, so half of the nodes are enough and the two add up to
`2 cos(psi) Im(prod * 2i S_j / (C_j + 2iq S_j))`. An even number of nodes leaves q = 0 out, where
the denominator may vanish.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["FARTHEST", "TOLERANCE", "frequencies", "half_nodes", "interactions", "margin", "values"]

TOLERANCE = 1e-11
"""How far the series may be from the logistic function for values to be called exact."""

FARTHEST = 10_000.0
"""The largest score that a series is made for; it has 1.3 terms per unit."""

RESTART = 256
"""Terms after which angles are computed anew: each step of the recurrence adds a rounding."""


def margin(tolerance: float) -> float:
    """A score of this size is as good as infinite."""
    return math.log(10 / tolerance)


def frequencies(
    reach: float, tolerance: float = TOLERANCE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies (n_terms,) and coefficients of a series that is right up to a score.

    Parameters
    ----------
    tolerance : how far it may be from the logistic function up to there.
    """
    infinite = margin(tolerance)
    half_period = (reach + infinite) / 2
    n_terms = math.ceil((infinite + 3) * half_period / math.pi**2)
    w = (2 * np.arange(n_terms, dtype=np.float64) + 1) * math.pi / (2 * half_period)
    return w, np.asarray(math.pi / (half_period * np.sinh(math.pi * w)))


def half_nodes(n_players: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre nodes q > 0 and weights, exact for polynomials of degree n_players."""
    n_nodes = 2 * math.ceil((n_players + 1) / 4)
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    return nodes[n_nodes // 2 :] / 2, weights[n_nodes // 2 :] / 2


def values(
    moves: NDArray[np.float64],
    middles: NDArray[np.float64],
    weights: NDArray[np.float64],
    reach: float,
    tolerance: float = TOLERANCE,
) -> NDArray[np.float64]:
    """Values (n_pairs, n_players) of the logistic function of the score.

    Parameters
    ----------
    moves : float64 (n_pairs, n_players), what each player moves the score by, for pairs of a row
        and a background row.
    middles : float64 (n_pairs,), the middle between the two rows' scores.
    weights : float64 (n_pairs,).
    reach : the largest score that any coalition has.
    tolerance : how far the series may be from the logistic function.
    """
    w, coefficients = frequencies(reach, tolerance)
    n_pairs, n_players = moves.shape
    q, node_weights = half_nodes(n_players)
    answer = np.zeros((n_players, n_pairs))
    for start in range(0, len(w), RESTART):
        some = slice(start, start + RESTART)
        half = _half_angles(moves.T, w[some])  # (n_players, n_terms, n_pairs)
        c, s = half.real.reshape(n_players, -1).copy(), half.imag.reshape(n_players, -1).copy()
        real, imaginary = _products(c, s, q)  # (n_nodes, n_terms * n_pairs)
        scale = np.cos(np.outer(w[some], middles)) * (2 * weights)
        scale *= coefficients[some, np.newaxis]
        scaled = node_weights[:, np.newaxis] * scale.ravel()
        real *= scaled
        imaginary *= scaled
        answer += _shared(c, s, real, imaginary, q).reshape(n_players, -1, n_pairs).sum(axis=1)
    return answer.T


def interactions(
    moves: NDArray[np.float64],
    middles: NDArray[np.float64],
    weights: NDArray[np.float64],
    reach: float,
    tolerance: float = TOLERANCE,
) -> NDArray[np.float64]:
    """Interaction indices of all pairs of players, (n_pairs, n_players, n_players); see `values`.

    The second derivative has `2i S_i / (..) * 2i S_j / (..)`; what q and -q add up to is
    `2 sin(psi)` times the real part. The diagonal means nothing.
    """
    w, coefficients = frequencies(reach, tolerance)
    n_pairs, n_players = moves.shape
    q, node_weights = half_nodes(n_players)
    answer = np.zeros((n_pairs, n_players, n_players))
    for k, frequency in enumerate(w.tolist()):
        half = np.exp(0.5j * frequency * moves.T)  # (n_players, n_pairs)
        real, imaginary = _products(half.real, half.imag, q)
        scale = 2 * coefficients[k] * np.sin(frequency * middles) * weights
        product = (real + 1j * imaginary).T * scale[:, np.newaxis] * node_weights
        c, s = half.real.T[..., np.newaxis], half.imag.T[..., np.newaxis]
        share = 2j * s / (c + 2j * q * s)  # (n_pairs, n_players, n_nodes)
        answer += ((share * product[:, np.newaxis]) @ share.transpose(0, 2, 1)).real
    return answer


def _half_angles(moves: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.complex128]:
    """exp(i w d / 2) for equally spaced w, by its recurrence; (n_players, n_terms, n_pairs)."""
    answer = np.empty((moves.shape[0], len(w), moves.shape[1]), dtype=np.complex128)
    answer[:, 0] = np.exp(0.5j * w[0] * moves)
    if len(w) > 1:
        answer[:, 1:] = np.exp(0.5j * (w[1] - w[0]) * moves)[:, np.newaxis]
        np.multiply.accumulate(answer, axis=1, out=answer)
    return answer


def _products(
    c: NDArray[np.float64], s: NDArray[np.float64], q: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """prod_i (C_i + 2iq S_i) from (n_players, n) each: real and imaginary part, (n_nodes, n)."""
    shape = len(q), c.shape[1]
    real, imaginary = np.ones(shape), np.zeros(shape)
    turn, other, kept = np.empty(shape), np.empty(shape), np.empty(shape)
    twice = 2 * q[:, np.newaxis]
    for cosine, sine in zip(c, s, strict=True):
        np.multiply(twice, sine, out=turn)
        np.multiply(imaginary, turn, out=other)
        np.multiply(real, turn, out=kept)
        real *= cosine
        real -= other
        imaginary *= cosine
        imaginary += kept
    return real, imaginary


def _shared(
    c: NDArray[np.float64],
    s: NDArray[np.float64],
    real: NDArray[np.float64],
    imaginary: NDArray[np.float64],
    q: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Im(product * 2i S / (C + 2iq S)), summed over nodes; (n_players, n).

    That is `(2 Re SC + 4q Im S^2) / (C^2 + 4 q^2 S^2)`, in real numbers.
    """
    square = s * s
    first, second = np.zeros(square.shape), np.zeros(square.shape)
    below, term = np.empty(square.shape), np.empty(square.shape)
    for node, here in enumerate(q.tolist()):
        np.multiply(square, 4 * here * here - 1, out=below)
        below += 1.0  # C^2 + 4 q^2 S^2
        np.divide(1.0, below, out=below)
        np.multiply(real[node], below, out=term)
        first += term
        below *= 2 * here * imaginary[node]
        second += below
    first *= c
    second *= s
    first += second
    first *= 2 * s
    return first
