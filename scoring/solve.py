"""From the values of coalitions to Shapley values: always one matrix.

An operator has shape (n_features, n_coalitions + 2). Its columns belong to the empty coalition,
the design's masks in order, and the full coalition: `values = operator @ v`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["definition_operator", "regression_operator"]


def definition_operator(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shapley's own sum (1953) as a matrix.

    Parameters
    ----------
    masks : bool (2**n_features - 2, n_features), every coalition but the empty and the full one.

    Returns
    -------
    float64 (n_features, 2**n_features). A feature inside a coalition of size s counts its value
    with (s-1)! (n-s)! / n!, one outside takes away s! (n-s-1)! / n! of it.
    """
    n = masks.shape[1]
    every = np.concatenate([np.zeros((1, n), bool), masks, np.ones((1, n), bool)])
    sizes = every.sum(axis=1)
    inside = np.array([0.0] + [1 / (n * math.comb(n - 1, s - 1)) for s in range(1, n + 1)])
    outside = np.array([1 / (n * math.comb(n - 1, s)) for s in range(n)] + [0.0])
    return np.where(every, inside[sizes, np.newaxis], -outside[sizes, np.newaxis]).T.copy()


def regression_operator(
    masks: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """KernelSHAP's weighted least squares, with the values made to add up exactly.

    Lundberg and Lee, "A unified approach to interpreting model predictions" (2017), theorem 2.
    The constraint is built in: every feature starts with an equal share of the whole, and least
    squares chooses among the vectors that sum to zero. Solved by QR, so no digits are lost to
    normal equations.

    Parameters
    ----------
    masks : bool (n_coalitions, n_features).
    weights : float64 (n_coalitions,), positive.

    Returns
    -------
    float64 (n_features, n_coalitions + 2).
    """
    n = masks.shape[1]
    root = np.sqrt(weights)[:, np.newaxis]
    basis = _zero_sum_basis(n)
    # With t(S) = v(S) - v(empty) - |S|/n (v(full) - v(empty)), the values are 1/n of the whole
    # plus gain @ t.
    gain = basis @ _left_inverse(root * (masks @ basis)) * root.T  # (n_features, n_coalitions)
    share = masks.sum(axis=1) / n
    full = 1 / n - gain @ share
    empty = -full - gain.sum(axis=1)
    return np.column_stack([empty, gain, full])


def _zero_sum_basis(n: int) -> NDArray[np.float64]:
    """Orthonormal vectors (n, n - 1) that each sum to zero: a Householder reflection's columns."""
    axis = np.full(n, 1 / math.sqrt(n))
    axis[0] -= 1.0
    norm = axis @ axis
    if norm == 0.0:
        return np.empty((n, 0))
    reflection: NDArray[np.float64] = np.eye(n) - 2 * np.outer(axis, axis) / norm
    return reflection[:, 1:]


def _left_inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least-squares inverse (columns, rows); minimum norm where columns depend."""
    q, r = np.linalg.qr(matrix)
    diagonal = np.abs(np.diag(r))
    if diagonal.size and diagonal.min() <= 1e-10 * diagonal.max():
        return np.asarray(np.linalg.pinv(matrix))
    return np.asarray(np.linalg.solve(r, q.T))
