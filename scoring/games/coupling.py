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

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coupled", "coupled_probabilities"]

CLIPPED = 1e-7
STOP = 0.005 / 2
MOST_ITERATIONS = 100

FARTHEST = 16.25
"""An exponent beyond which the sigmoid is clipped: `log(1 / CLIPPED)` and a little more."""

PER_UNIT = 128
"""Cells per unit of the exponent. The answer is smooth between its few jumps, its fourth derivative
below 4, so cubics are within 4 / 384 / 128**4 = 4e-11."""

INSIDE = 9
"""Points of a cell that must take as many iterations as each other, or it holds a jump."""


@dataclass(frozen=True, eq=False)
class Coupled:
    """The same by cubics in a table: iterating takes ten times as long.

    Parameters
    ----------
    slope, offset : of Platt's sigmoid.
    """

    slope: float
    offset: float

    def second(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the second class's probability (...), of margins that are positive for it."""
        exponents = np.clip(self.offset - self.slope * margins, -FARTHEST, FARTHEST)
        place = (exponents + FARTHEST) * PER_UNIT
        cell = place.astype(np.intp)
        np.minimum(cell, int(2 * FARTHEST * PER_UNIT) - 1, out=cell)
        place -= cell
        third, second, first, start = self._cubics
        answer = third.take(cell)
        for coefficients in (second, first, start):
            answer *= place
            answer += coefficients.take(cell)
        jumps = np.isnan(answer)
        if jumps.any():
            answer[jumps] = _second(exponents[jumps])
        return answer

    @cached_property
    def _cubics(self) -> tuple[NDArray[np.float64], ...]:
        """Coefficients of each cell's cubic, from the highest; NaN where the answer jumps."""
        n_cells = int(2 * FARTHEST * PER_UNIT)
        inside = np.linspace(0, 1, INSIDE)
        exponents = (np.arange(n_cells)[:, np.newaxis] + inside) / PER_UNIT - FARTHEST
        counts = _iterations(exponents)
        at = exponents[:, [0, INSIDE // 3, INSIDE - 1 - INSIDE // 3, INSIDE - 1]]
        places = inside[[0, INSIDE // 3, INSIDE - 1 - INSIDE // 3, INSIDE - 1]]
        powers = places[:, np.newaxis] ** np.arange(3, -1, -1)
        cubics = _second(at) @ np.linalg.inv(powers).T
        smooth = (counts == counts[:, :1]).all(axis=1, keepdims=True)
        clipped = np.abs(np.abs(exponents) - np.log(1 / CLIPPED)).min(axis=1, keepdims=True)
        smooth &= clipped > 1 / PER_UNIT
        return tuple(np.ascontiguousarray(np.where(smooth, cubics, np.nan).T))


def _second(exponents: NDArray[np.float64]) -> NDArray[np.float64]:
    return coupled_probabilities(exponents, 1.0, 0.0)[..., 1]


def _iterations(exponents: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many sweeps it takes."""
    r = np.clip(1 / (1 + np.exp(exponents)), CLIPPED, 1 - CLIPPED)
    x, count = np.full_like(r, 0.5), np.zeros(r.shape, dtype=np.int64)
    while (running := _running(x, r)).any() and count.max() < MOST_ITERATIONS:
        x = np.where(running, _swept(x, r), x)
        count += running
    return count


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
        running = _running(x, r)
        if not running.any():
            break
        x = np.where(running, _swept(x, r), x)
    return np.stack([x, 1 - x], axis=-1)


def _running(x: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(x - r) * np.maximum(x, 1 - x) >= STOP)


def _swept(x: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
    """One sweep: the first class moves and both are normalised, then the second."""
    step = (r - x) * (1 - x) / (1 - r) ** 2
    x = (x + step) / (1 + step)
    step = (x - r) * x / r**2
    return x / (1 + step)
