"""A design's first parts, each with an operator of its own: what a deadline leaves time for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring import kriging
from scoring.coalitions import kernel_weights
from scoring.solve import regression_operator
from scoring.sub_designs import SubDesigns, sub_designs

__all__ = ["Stage", "prefix_sizes", "solved", "with_errors"]

PREFIXES = 3
"""Shorter designs in a design, each half as long as the next."""

PER_PLAYER = 4
"""Coalitions a player in the shortest of them."""


@dataclass(frozen=True, eq=False)
class Stage:
    """The first part of a design, or the whole of it.

    Parameters
    ----------
    operator : float64 (n_players, n_coalitions + 2), see `scoring.solve`.
    method : `exact enumeration`, `kernel kriging` or `kernel regression`.
    sub_designs : what the standard errors come from; None where the values are exact, or where
        there are too few coalitions.
    """

    operator: NDArray[np.float64]
    method: str
    sub_designs: SubDesigns | None = None

    @property
    def n_coalitions(self) -> int:
        """How many of the design's coalitions are asked about."""
        return int(self.operator.shape[1]) - 2

    @property
    def exact(self) -> bool:
        """Whether these are all coalitions."""
        return self.method == "exact enumeration"

    @property
    def degrees_of_freedom(self) -> int | None:
        """Of the standard errors; None where they are exactly 0, or unknown."""
        return None if self.sub_designs is None else self.sub_designs.degrees_of_freedom

    def standard_errors(self, v: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """From v (n_coalitions + 2, n_games) to standard errors (n_players, n_games)."""
        if self.sub_designs is not None:
            return self.sub_designs.standard_errors(v)
        return np.zeros((len(self.operator), v.shape[1])) if self.exact else None


def prefix_sizes(n_coalitions: int, n_players: int) -> list[int]:
    """Sizes of the shorter designs in a design, whole pairs, the smallest first."""
    halves = [n_coalitions // 2**k // 2 * 2 for k in range(PREFIXES, 0, -1)]
    return [size for size in halves if size >= PER_PLAYER * n_players]


def solved(masks: NDArray[np.bool_], smoothness: kriging.Smoothness | None) -> Stage:
    """Solve a design: by kriging where its smoothness is known, else by least squares."""
    if smoothness is not None and len(masks) <= kriging.LARGEST:
        return Stage(kriging.kriging_operator(masks, smoothness), "kernel kriging")
    return Stage(regression_operator(masks, kernel_weights(masks)), "kernel regression")


def with_errors(
    stage: Stage, masks: NDArray[np.bool_], smoothness: kriging.Smoothness | None
) -> Stage:
    """Return the same estimate with what its standard errors come from.

    Parameters
    ----------
    masks : bool (n_coalitions, n_players), of this stage.
    """
    if stage.exact:
        return stage
    own = smoothness if stage.method == "kernel kriging" else None
    parts = sub_designs(masks, stage.operator, lambda some: solved(some, own).operator, own)
    return Stage(stage.operator, stage.method, parts)
