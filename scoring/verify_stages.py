"""A design's shorter parts and sub-designs, checked after reading and before use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.forms.refused import Unsound
from scoring.stages import Stage
from scoring.sub_designs import SubDesigns
from scoring.verify_exact import expect

__all__ = ["ADDITIVITY", "check", "check_adds_up"]

ADDITIVITY = 1e-6
"""How far the operator's columns may be from adding up, as a share of v."""


def check(state: Mapping[str, Any], n_players: int) -> None:
    """Check what the attributes of a kernel say of errors and of shorter designs.

    Raises
    ------
    Unsound
    """
    n_coalitions = state["design"].n_coalitions
    _check_parts(state.get("sub_designs"), n_players, n_coalitions)
    shorter = 0
    for stage in state.get("prefixes", ()):
        if stage.operator.ndim != 2 or not shorter < stage.n_coalitions < n_coalitions:
            raise Unsound("the shorter designs are not parts of the design, or out of order")
        shorter = stage.n_coalitions
        _check_stage(stage, n_players)


def _check_stage(stage: Stage, n_players: int) -> None:
    expect(stage.operator, (n_players, stage.n_coalitions + 2), "a shorter design's operator")
    check_adds_up(stage.operator)
    if stage.exact:
        raise Unsound("a shorter design says that it is exact")
    _check_parts(stage.sub_designs, n_players, stage.n_coalitions)


def _check_parts(parts: SubDesigns | None, n_players: int, n_coalitions: int) -> None:
    if parts is None:
        return
    if parts.members.ndim != 2 or len(parts.members) < 2:
        raise Unsound("the sub-designs are fewer than two")
    n_groups, width = parts.members.shape
    expect(parts.operators, (n_groups, n_players, width), "the sub-designs' operators")
    if not width or parts.members.min() < 0 or parts.members.max() > n_coalitions + 1:
        raise Unsound("the sub-designs are not parts of the design")
    if not 0 <= parts.factor < np.inf:
        raise Unsound("the sub-designs' factor is none")


def check_adds_up(operator: NDArray[np.float64]) -> None:
    """Whatever v is, the values must sum to v(full) - v(empty)."""
    sums = operator.sum(axis=0)
    sums[0] += 1.0
    sums[-1] -= 1.0
    if not np.abs(sums).max() <= ADDITIVITY:
        raise Unsound("operator does not make values that add up")
