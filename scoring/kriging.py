"""Shapley values from few coalitions: Gaussian-process regression on the cube of coalitions.

Least squares treats every interaction beyond the first order as noise. Here v is taken for a
smooth function of the coalition, with covariance `rho ** |S xor T|` between v(S) and v(T): the
fewer features tell two coalitions apart, the more their values have in common. Given the values
of a design, the Shapley values are a linear functional of that process, so their best estimate is
again one fixed matrix times v (Bayesian quadrature: O'Hagan, "Bayes-Hermite quadrature", 1991;
universal kriging: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006,
section 2.7). An additive part of unbounded variance is added, so additive games come out exactly;
and the full coalition is known without noise, so the values add up.

What is needed of the prior is the Shapley value of `S -> rho ** |S xor T|`, a product game, which
is a one-dimensional integral of a polynomial (Owen, "Multilinear extensions of games", 1972).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LARGEST",
    "Smoothness",
    "covariance_columns",
    "fit_smoothness",
    "kriging_operator",
    "shapley_covariances",
]

LARGEST = 8192
"""The most coalitions that are solved this way: the covariance matrix has their square."""

FITTED = 600
"""Coalitions that the smoothness is fitted on; the likelihood costs their cube."""

DECAYS = np.geomspace(0.03, 1.2, 9)
NUGGETS = (1e-8, 1e-6, 1e-4, 1e-2)
LINEAR_VARIANCE = 10.0
"""Of the additive part while fitting; large beside the unit variance of the smooth part."""

KNOWN = 1e-6
"""Of the nugget, what the full coalition has: no noise, but the matrix has to stay regular."""

EPSILON = float(np.finfo(np.float64).eps)

Smoothness = tuple[float, float]
"""(decay, nugget): `-log(rho)`, and the share of v's variance that has no pattern at all."""


def fit_smoothness(masks: NDArray[np.bool_], v: NDArray[np.float64]) -> Smoothness:
    """Choose decay and nugget by marginal likelihood (Rasmussen and Williams, section 5.4.1).

    Parameters
    ----------
    masks : bool (n_coalitions, n_features).
    v : float64 (n_games, n_coalitions), minus the value of the empty coalition; a game is one row
        and one output. Each has a variance of its own.
    """
    spread = np.abs(v).max(axis=1, initial=0.0)
    games = v[np.isfinite(spread) & (spread > 0)]
    if not len(games):
        return (0.1, 1e-8)
    z = masks.astype(np.float64)
    y = (games / np.abs(games).max(axis=1, keepdims=True)).T
    linear = LINEAR_VARIANCE * (1 + z @ z.T / z.shape[1])
    apart = _distances(z)
    likelihood = {
        (float(decay), nugget): _log_likelihood(np.exp(-decay * apart) + linear, nugget, y)
        for decay in DECAYS
        for nugget in NUGGETS
    }
    return max(likelihood, key=lambda smoothness: likelihood[smoothness])


def kriging_operator(masks: NDArray[np.bool_], smoothness: Smoothness) -> NDArray[np.float64]:
    """Return the matrix from the values of a design to Shapley values.

    Parameters
    ----------
    masks : bool (n_coalitions, n_features), at most `LARGEST` of them.

    Returns
    -------
    float64 (n_features, n_coalitions + 2): empty coalition, the masks, full coalition. Its
    columns sum to -1, 0, ..., 0, 1, so the values add up whatever v is.
    """
    from scipy.linalg import cho_factor, cho_solve

    decay, nugget = smoothness
    n = masks.shape[1]
    z = _with_ends(masks)
    covariance = np.exp(-decay * _distances(z))
    shapley = _shapley_of_covariance(z, decay)  # (n_features, n_coalitions + 2)
    # u(S) = v(S) - v(empty) is what is observed; the empty coalition itself is no news.
    of_u = covariance[1:, 1:] - covariance[1:, :1] - covariance[:1, 1:] + covariance[0, 0]
    of_u[np.diag_indices_from(of_u)] += np.append(np.full(len(masks), nugget), KNOWN * nugget)
    shapley = shapley[:, 1:] - shapley[:, :1]
    additive = z[1:]  # a feature's own part is 1 wherever the feature is
    factor = cho_factor(of_u, overwrite_a=True)
    weighed = cho_solve(factor, additive)
    # Generalised least squares; of the least norm where few coalitions leave some slopes open.
    normal = additive.T @ weighed
    slopes = np.linalg.pinv((normal + normal.T) / 2, rcond=n * EPSILON, hermitian=True) @ weighed.T
    smooth = cho_solve(factor, shapley.T).T
    gain = slopes + smooth - (smooth @ additive) @ slopes
    whole = np.append(np.zeros(len(masks)), 1.0)
    gain += (whole - gain.sum(axis=0)) / n  # to the last digit, not to the solver's
    return np.column_stack([-gain.sum(axis=1), gain])


def covariance_columns(
    masks: NDArray[np.bool_], smoothness: Smoothness, some: slice
) -> NDArray[np.float64]:
    """Return the smooth part's covariance of v with some of v, noise included.

    Returns
    -------
    float64 (n_coalitions + 2, n_some): empty coalition, the masks, full coalition.
    """
    decay, nugget = smoothness
    z = _with_ends(masks)
    sizes = z.sum(axis=1)
    apart = sizes[:, np.newaxis] + sizes[some] - 2 * z @ z[some].T
    covariance: NDArray[np.float64] = np.exp(-decay * apart)
    noise = np.concatenate([[0.0], np.full(len(masks), nugget), [KNOWN * nugget]])
    columns = np.arange(len(z))[some]
    covariance[columns, columns - columns[0]] += noise[columns]
    return covariance


def shapley_covariances(
    masks: NDArray[np.bool_], smoothness: Smoothness
) -> tuple[NDArray[np.float64], float]:
    """Return the smooth part's covariance of Shapley values with v, and their own variance.

    Returns
    -------
    float64 (n_features, n_coalitions + 2), and the variance, which all features share: the
    Shapley value of S -> (covariance of a Shapley value with v(S)) is again a mean over sizes.
    """
    by_size = _by_size(masks.shape[1], smoothness[0])
    return _shapley_of_covariance(_with_ends(masks), smoothness[0]), float(2 * by_size.mean())


def _with_ends(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    n = masks.shape[1]
    return np.concatenate([np.zeros((1, n)), masks, np.ones((1, n))])


def _distances(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many features tell two coalitions apart; (n, n) from 0/1 rows."""
    sizes = z.sum(axis=1)
    return np.asarray(sizes[:, np.newaxis] + sizes - 2 * z @ z.T)


def _log_likelihood(
    covariance: NDArray[np.float64], nugget: float, y: NDArray[np.float64]
) -> float:
    """Of columns y (n, n_games) under a zero-mean process, each with its best scale."""
    noisy = covariance.copy()
    noisy[np.diag_indices_from(noisy)] += nugget
    try:
        factor = np.linalg.cholesky(noisy)
    except np.linalg.LinAlgError:
        return -np.inf
    whitened = np.linalg.solve(factor, y)
    n, n_games = y.shape
    scale = (whitened**2).mean(axis=0)
    half_log_determinant = np.log(np.diag(factor)).sum()
    return float(-n_games * half_log_determinant - n / 2 * np.log(scale).sum())


def _shapley_of_covariance(z: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """Shapley values of `S -> rho ** |S xor T|` for every row T of z; (n_features, n).

    Only the size of T and whether the feature is in it matter:
    `+-(1 - rho) * integral of (p + q rho)^t (q + p rho)^(n-1-t) dp` with q = 1 - p and t the size
    of T without the feature. Gauss-Legendre with n/2 nodes is exact for this degree.
    """
    by_size = _by_size(z.shape[1], decay)
    inside = z == 1
    others = z.sum(axis=1, keepdims=True).astype(np.intp) - inside
    signed: NDArray[np.float64] = np.where(inside, by_size[others], -by_size[others])
    return signed.T


def _by_size(n: int, decay: float) -> NDArray[np.float64]:
    """What a feature inside T gets, by the number of T's other features; (n,)."""
    nodes, node_weights = np.polynomial.legendre.leggauss((n + 1) // 2)
    p, rho = (nodes + 1) / 2, np.exp(-decay)
    t = np.arange(n)[:, np.newaxis]
    terms = (p + (1 - p) * rho) ** t * (1 - p + p * rho) ** (n - 1 - t)
    return np.asarray((1 - rho) * terms @ node_weights / 2)
