"""Trees as index arrays: no path leaves the arrays, and none comes back to where it was.

scikit-learn, LightGBM and XGBoost follow these indices without looking; ONNX Runtime looks at
their range, but not at every cycle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.forms.refused import Unsound

__all__ = ["check_branches", "check_range"]

DEEPEST = 10_000
"""Levels. Real trees have tens; some libraries recurse, and a stack has an end."""


def check_range(indices: NDArray[np.integer], stop: int, what: str) -> None:
    """Raise Unsound unless all indices lie in 0..stop-1."""
    if indices.size and not (int(indices.min()) >= 0 and int(indices.max()) < stop):
        raise Unsound(f"{what} outside 0..{stop - 1}")


def check_branches(
    n_nodes: int, parents: NDArray[np.integer], children: Sequence[NDArray[np.integer]]
) -> None:
    """Raise Unsound unless every path from node to child ends.

    Parameters
    ----------
    n_nodes : how many nodes there are, the leaves included.
    parents : (n_inner,) the nodes that have children.
    children : arrays (n_inner,), the children of each on one side.
    """
    for side in children:
        check_range(side, n_nodes, "a tree has children")
    heads = np.concatenate(children).astype(np.intp)
    incoming = np.bincount(heads, minlength=n_nodes)
    next_nodes = [np.full(n_nodes, -1) for _ in children]
    for of, side in zip(next_nodes, children, strict=True):
        of[parents] = side
    # Peel off, level by level, the nodes that nothing points to any more; a cycle stays behind.
    frontier, peeled = np.flatnonzero(incoming == 0), 0
    for _ in range(DEEPEST):
        if not frontier.size:
            break
        peeled += frontier.size
        below = np.concatenate([of[frontier] for of in next_nodes])
        below = below[below >= 0]
        np.subtract.at(incoming, below, 1)
        frontier = np.unique(below[incoming[below] == 0])
    if peeled < n_nodes:
        raise Unsound(f"a tree runs in a cycle, or is deeper than {DEEPEST} levels")
