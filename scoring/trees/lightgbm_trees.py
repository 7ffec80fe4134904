"""LightGBM's boosters as forests."""

from __future__ import annotations

from typing import Any

import numpy as np

from scoring.trees.forest import Forest, Tree, forest_of
from scoring.trees.unreadable import Unreadable

__all__ = ["booster", "log_link"]

LOG_LINKS = ("poisson", "gamma", "tweedie")
"""Objectives whose answer is the exponential function of the margin."""


def booster(model: Any, *, averaged: bool) -> Forest:
    """Read a booster: the rounds that its `predict` uses.

    Parameters
    ----------
    averaged : whether a booster that averages its rounds is asked for their mean; its raw scores
        are their sum.

    Raises
    ------
    Unreadable
        Leaves that are no constants, or no trees.
    """
    told = model.dump_model()  # up to the best iteration, as `predict` does it
    if not told["tree_info"]:
        raise Unreadable("it has no trees")
    per_round = told["num_tree_per_iteration"]
    trees = [
        _tree(each["tree_structure"], number % per_round)
        for number, each in enumerate(told["tree_info"])
    ]
    scale = len(trees) // per_round if averaged and told["average_output"] else 1
    return forest_of(trees, np.zeros(per_round), scale=scale, rounding="tiny")


def log_link(model: Any) -> bool:
    """Whether a booster answers the exponential function of its margin."""
    told = str(model.dump_model(num_iteration=1).get("objective", ""))
    return told.partition(" ")[0] in LOG_LINKS


def _tree(root: dict[str, Any], output: int) -> Tree:
    """Nodes are numbered as they are met, a parent before its children."""
    nodes, links = [root], [(-1, -1)]
    waiting = [0]
    while waiting:
        number = waiting.pop()
        node = nodes[number]
        if "leaf_coeff" in node:
            raise Unreadable("its leaves are linear functions")
        if "left_child" in node:
            links[number] = (len(nodes), len(nodes) + 1)
            waiting += links[number]
            nodes += [node["left_child"], node["right_child"]]
            links += [(-1, -1), (-1, -1)]
    sets = {
        number: _set(node) for number, node in enumerate(nodes) if node.get("decision_type") == "=="
    }
    left, right = np.array(links).T
    return Tree(
        left,
        right,
        np.array([node.get("split_feature", 0) for node in nodes]),
        np.array([_threshold(node) for node in nodes]),
        np.array([_gap_goes_left(node) for node in nodes]),
        np.array([[float(node.get("leaf_value", 0.0))] for node in nodes]),
        output,
        sets,
        np.array([_is_number(node) and node["missing_type"] == "Zero" for node in nodes]),
    )


def _is_number(node: dict[str, Any]) -> bool:
    return node.get("decision_type") == "<="


def _threshold(node: dict[str, Any]) -> float:
    return float(node["threshold"]) if _is_number(node) else 0.0


def _gap_goes_left(node: dict[str, Any]) -> bool:
    """A gap is zero where a node does not know gaps; a missing category is in no set."""
    if not _is_number(node):
        return False
    if node["missing_type"] == "None":
        return bool(_threshold(node) >= 0)
    return bool(node["default_left"])


def _set(node: dict[str, Any]) -> Any:
    codes = np.array([int(code) for code in str(node["threshold"]).split("||")])
    members = np.zeros(int(codes.max()) + 2, dtype=bool)
    members[codes] = True
    return members
