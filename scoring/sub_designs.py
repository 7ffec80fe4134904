"""How sure a sampled value is: what disjoint parts of its design say, each by itself.

A design is cut into groups that share no sampled coalition, and each group estimates the values
alone. How far the groups are apart, times a factor, is the standard error of the whole design's
estimate. Distillation measures the factor (`scoring.distillation.calibrate`); here is where it
starts.

For least squares it is that of a mean of draws without replacement (Cochran, "Sampling
Techniques", 1977, section 2.6). For kriging the whole design is better than the mean of its parts
by more than that, and by how much follows from its own prior: the factor is the ratio of the
expected error of the whole to the expected spread of the groups. The prior's variance cancels in
it, so the scale of an error is always measured, on the row at hand.

With n_groups - 1 degrees of freedom, Student's t makes intervals of it (Student, "The probable
error of a mean", 1908).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring import kriging
from scoring.coalitions import complete, existing, kernel_weights
from scoring.games.game import blocks

__all__ = ["SubDesigns", "kriging_factor", "sub_designs"]

GROUPS = 4
"""Sub-designs of a design: more make narrower intervals, fewer are each of more use."""

PER_PLAYER = 3
"""Coalitions a player that a sub-design needs: half of them are complements, which say little of
what is additive."""

MOST = 2**62
"""Coalitions of a size, of which what a design has is as good as none."""

BLOCK = 512
"""Columns of the covariance that exist at a time: it has the square of the design."""

Operator = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""From masks (n_coalitions, n_players) to an operator (n_players, n_coalitions + 2)."""


@dataclass(frozen=True, eq=False)
class SubDesigns:
    """Operators of parts of a design.

    Parameters
    ----------
    members : int64 (n_groups, width), the places of each group in v, which starts with the empty
        coalition and ends with the full one. Shorter groups are filled up with the empty one.
    operators : float64 (n_groups, n_players, width).
    factor : from the spread of the groups' estimates to the standard error of the whole's.
    """

    members: NDArray[np.int64]
    operators: NDArray[np.float64]
    factor: float

    @property
    def degrees_of_freedom(self) -> int:
        """Of the spread."""
        return len(self.members) - 1

    def standard_errors(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """From v (n_coalitions + 2, n_games) to standard errors (n_players, n_games)."""
        pairs = zip(self.members, self.operators, strict=True)
        estimates = np.stack([operator @ v[members] for members, operator in pairs])
        return np.asarray(self.factor * estimates.std(axis=0, ddof=1))


def sub_designs(
    masks: NDArray[np.bool_],
    whole: NDArray[np.float64],
    solve: Operator,
    smoothness: kriging.Smoothness | None,
) -> SubDesigns | None:
    """Cut a design into groups of whole complement pairs; None where it is too small for two.

    Sizes of which the design has every coalition are in all groups: they are not sampled.

    Parameters
    ----------
    masks : bool (n_coalitions, n_players), each followed by its complement.
    whole : the operator (n_players, n_coalitions + 2) of the whole design.
    solve : how an operator is made.
    smoothness : of the kriging; None for least squares.
    """
    n_coalitions, n_players = masks.shape
    n_groups = min(GROUPS, n_coalitions // (PER_PLAYER * n_players))
    shared = complete(masks)
    sampled = np.flatnonzero(~shared)
    if n_groups < 2 or len(sampled) < 2 * n_groups:
        return None
    group_of = np.arange(len(sampled)) // 2 % n_groups
    parts = [
        np.sort(np.concatenate([np.flatnonzero(shared), sampled[group_of == group]]))
        for group in range(n_groups)
    ]
    width = max(map(len, parts)) + 2
    members = np.zeros((n_groups, width), dtype=np.int64)
    operators = np.zeros((n_groups, n_players, width))
    for group, part in enumerate(parts):
        own = len(part) + 2
        members[group, :own] = [0, *(part + 1), n_coalitions + 1]
        operators[group, :, :own] = solve(masks[part])
    if smoothness is None:
        factor = (_share_left(masks) / n_groups) ** 0.5
    else:
        factor = kriging_factor(masks, smoothness, whole, members, operators)
    return SubDesigns(members, operators, factor)


def _share_left(masks: NDArray[np.bool_]) -> float:
    """The share of the sampled sizes' coalitions that the design does not have."""
    sampled = masks[~complete(masks)]
    sizes, drawn = np.unique(sampled.sum(axis=1), return_counts=True)
    exist = np.array([existing(masks.shape[1], size, MOST) for size in sizes.tolist()])
    weights = kernel_weights(sampled)
    left = dict(zip(sizes.tolist(), (1 - drawn / exist).tolist(), strict=True))
    each = np.array([left[size] for size in sampled.sum(axis=1).tolist()])
    return float(weights @ each / weights.sum())


def kriging_factor(
    masks: NDArray[np.bool_],
    smoothness: kriging.Smoothness,
    whole: NDArray[np.float64],
    members: NDArray[np.int64],
    operators: NDArray[np.float64],
) -> float:
    """Expected error of the whole's estimate over the expected spread of the groups'.

    Both are quadratic forms in the prior's covariance K of v. With a the operator's line of a
    player, k the covariance of its Shapley value with v, and s that value's own variance, the
    error's expected square is `a K a - 2 a k + s`; the spread's is the mean of `d K d` over the
    groups' deviations d from their mean. What is additive comes out right in all of them.
    """
    n_groups, n_players, _ = operators.shape
    deviations = np.zeros((n_groups, n_players, whole.shape[1]))
    for group in range(n_groups):
        np.add.at(deviations[group].T, members[group], operators[group].T)
    deviations -= deviations.mean(axis=0)
    lines = np.concatenate([whole, deviations.reshape(-1, whole.shape[1])])
    forms = np.zeros(len(lines))
    for some in blocks(whole.shape[1], BLOCK):
        covariance = kriging.covariance_columns(masks, smoothness, some)
        forms += ((lines @ covariance) * lines[:, some]).sum(axis=1)
    with_v, own = kriging.shapley_covariances(masks, smoothness)
    error = forms[:n_players].mean() - 2 * (whole * with_v).sum(axis=1).mean() + own
    spread = forms[n_players:].sum() / n_players / (n_groups - 1)
    return float(np.sqrt(max(error, 0.0) / spread))
