"""libsvm's class probabilities from a decision value, for two classes.

Platt, "Probabilistic outputs for support vector machines" (1999), gives a sigmoid r of the
decision value. libsvm then couples the pairs' probabilities by the iteration of Wu, Lin and Weng,
"Probability estimates for multi-class classification by pairwise coupling" (2004), algorithm 2,
for two classes as well, starting at 1/2, and stops it early. So what scikit-learn's SVC answers is
up to 0.0023 off the sigmoid, and the iteration has to be gone through to answer the same.

With two classes and x for the first one's probability, the paper's Q p is
`((1-r) (x-r), r (r-x))` and p'Q p is `(x-r)^2`, which leaves one number to iterate on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["coupled_probabilities"]

CLIPPED = 1e-7
STOP = 0.005 / 2
MOST_ITERATIONS = 100


def coupled_probabilities(
    decision: NDArray[np.float64], slope: float, offset: float
) -> NDArray[np.float64]:
    """Return what libsvm answers.

    Parameters
    ----------
    decision : float64 (...), positive for the first class.
    slope, offset : of Platt's sigmoid, `1 / (1 + exp(slope * decision + offset))`.

    Returns
    -------
    float64 (..., 2).
    """
    exponent = np.clip(slope * decision + offset, -700.0, 700.0)
    r = np.clip(1 / (1 + np.exp(exponent)), CLIPPED, 1 - CLIPPED)
    x = np.full_like(r, 0.5)
    for _ in range(MOST_ITERATIONS):
        off = x - r
        running = np.abs(off) * np.maximum(x, 1 - x) >= STOP
        if not running.any():
            break
        x = np.where(running, _swept(x, r), x)
    return np.stack([x, 1 - x], axis=-1)


def _swept(x: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
    """One sweep: the first class moves and both are normalised, then the second."""
    step = (r - x) * (1 - x) / (1 - r) ** 2
    x = (x + step) / (1 + step)
    step = (x - r) * x / r**2
    return x / (1 + step)
