"""Trees of libraries as leaves: what a row must pass to end where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.games.leaves import Leaves

__all__ = ["Tree", "leaves_of", "lightgbm_trees", "sklearn_tree"]


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree as arrays over its nodes; a row goes left where `x <= threshold`.

    Parameters
    ----------
    left, right : int (n_nodes,), -1 at leaves.
    columns : int (n_nodes,), what a node tests.
    thresholds, values : float64 (n_nodes,).
    """

    left: NDArray[np.intp]
    right: NDArray[np.intp]
    columns: NDArray[np.intp]
    thresholds: NDArray[np.float64]
    values: NDArray[np.float64]


def leaves_of(trees: Sequence[Tree]) -> Leaves:
    """Turn trees into boxes: of several tests of one column the tightest count."""
    boxes: list[tuple[dict[int, tuple[float, float]], float]] = []
    for tree in trees:
        waiting: list[tuple[int, dict[int, tuple[float, float]]]] = [(0, {})]
        while waiting:
            node, box = waiting.pop()
            if tree.left[node] < 0:
                boxes.append((box, float(tree.values[node])))
                continue
            column, threshold = int(tree.columns[node]), float(tree.thresholds[node])
            low, high = box.get(column, (-np.inf, np.inf))
            waiting.append((int(tree.left[node]), box | {column: (low, min(high, threshold))}))
            waiting.append((int(tree.right[node]), box | {column: (max(low, threshold), high)}))
    shape = len(boxes), max(1, *(len(box) for box, _ in boxes))
    columns = np.full(shape, -1, dtype=np.intp)
    lower, upper = np.full(shape, -np.inf), np.full(shape, np.inf)
    for leaf, (box, _) in enumerate(boxes):
        for d, (column, (low, high)) in enumerate(box.items()):
            columns[leaf, d], lower[leaf, d], upper[leaf, d] = column, low, high
    return Leaves(columns, lower, upper, np.array([value for _, value in boxes]))


def sklearn_tree(tree: Any) -> Tree:
    """Read scikit-learn's compiled tree of one output; it compares float32 with its thresholds."""
    return Tree(
        tree.children_left, tree.children_right, tree.feature, tree.threshold, tree.value[:, 0, 0]
    )


def lightgbm_trees(booster: Any) -> list[Tree]:
    """Read a LightGBM booster that tests numbers without gaps only."""
    return [_lightgbm_tree(each["tree_structure"]) for each in booster.dump_model()["tree_info"]]


def _lightgbm_tree(root: dict[str, Any]) -> Tree:
    nodes: list[tuple[int, int, int, float, float]] = []
    waiting: list[tuple[dict[str, Any], int, int]] = [(root, -1, 0)]
    while waiting:
        node, parent, side = waiting.pop()
        number = len(nodes)
        if parent >= 0:
            links = list(nodes[parent])
            links[side] = number
            nodes[parent] = (int(links[0]), int(links[1]), int(links[2]), links[3], links[4])
        if "left_child" not in node:
            nodes.append((-1, -1, 0, 0.0, float(node["leaf_value"])))
            continue
        nodes.append((0, 0, int(node["split_feature"]), float(node["threshold"]), 0.0))
        waiting += [(node["left_child"], number, 0), (node["right_child"], number, 1)]
    left, right, columns, thresholds, values = zip(*nodes, strict=True)
    return Tree(
        np.array(left), np.array(right), np.array(columns), np.array(thresholds), np.array(values)
    )
