"""A coreset: few points, weighted, whose mean is nearly that of all.

Points are known by their inner products alone, so they may be functions as well as vectors: of
points p_i around their mean, the squared distance of sum_i w_i p_i from it is w' gram w.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coreset", "coresets"]

Coreset = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Which points (n,), and their weights (n,), above 0 and summing to 1."""

NOTHING = 1e-14
"""A squared distance, as a share of the points' mean own, that is rounding."""

RIDGE = 1e-10
"""What keeps points that are sums of one another apart, as a share of the same."""


def coresets(gram: NDArray[np.float64], sizes: tuple[int, ...]) -> Iterator[Coreset]:
    """Yield a coreset of each size, the smallest first; a smaller one where that is exact.

    The greedy algorithm of Frank and Wolfe in its fully corrective form (Clarkson, "Coresets,
    sparse greedy approximation, and the Frank-Wolfe algorithm", 2010, section 4): the point that
    brings the mean nearest joins, and the weights of all are fitted anew, by non-negative least
    squares, which may let others go.

    Parameters
    ----------
    gram : float64 (n_points, n_points), inner products of the points around their mean.
    sizes : ascending.
    """
    own = np.diag(gram)
    nothing = NOTHING * own.mean()
    chosen, weights = np.array([own.argmin()]), np.ones(1)
    for size in sizes:
        for _ in range(3 * size):  # who is let go may come back, so more rounds than points
            toward = gram[:, chosen] @ weights  # (n_points,)
            far = float(weights @ toward[chosen])
            if len(chosen) == min(size, len(own)):
                break
            # On the line to a point, the squared distance falls by (far - toward)^2 / length^2.
            length = np.maximum(far - 2 * toward + own, nothing)
            falls = np.maximum(far - toward, 0) ** 2 / length
            falls[chosen] = 0
            if falls.max() <= nothing:
                break
            chosen, weights = _fitted(gram, np.append(chosen, falls.argmax()))
        yield chosen, weights


def _fitted(gram: NDArray[np.float64], some: NDArray[np.intp]) -> Coreset:
    """The weights on the simplex that bring the mean nearest, and the points that have any.

    Scaling weights down brings the squared distance down with them; one more equation, that they
    sum to 1, leaves their proportions as on the simplex, whatever it weighs (Lawson and Hanson,
    "Solving Least Squares Problems", 1974, chapter 23).
    """
    from scipy.linalg import cholesky
    from scipy.optimize import nnls

    inner = gram[np.ix_(some, some)]
    scale = np.trace(inner) / len(some)
    factor = cholesky(inner / scale + RIDGE * np.eye(len(some)))
    weights, _ = nnls(np.vstack([factor, np.ones(len(some))]), np.eye(len(some) + 1)[-1])
    kept = weights > 0
    return some[kept], weights[kept] / weights.sum()
