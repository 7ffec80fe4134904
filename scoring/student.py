"""Student's t distribution, as much of it as intervals need; scoring has no SciPy."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

__all__ = ["interval_factor"]

NODES = 128


@cache
def interval_factor(level: float, degrees_of_freedom: int) -> float:
    """Return how many standard errors to each side hold the truth with a probability.

    With t = sqrt(f) tan(angle) the density is proportional to cos(angle) ** (f - 1), on angles
    from -pi/2 to pi/2 (Student, "The probable error of a mean", 1908, section 3).

    Parameters
    ----------
    level : above 0 and below 1; 0.95 for a 95 % interval.
    degrees_of_freedom : at least 1.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)

    def mass(angle: float) -> float:
        density = np.cos((nodes + 1) / 2 * angle) ** (degrees_of_freedom - 1)
        return float(angle / 2 * weights @ density)

    whole, low, high = mass(math.pi / 2), 0.0, math.pi / 2
    while high - low > 1e-15 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if mass(middle) < level * whole else (low, middle)
    return math.sqrt(degrees_of_freedom) * math.tan(low)
