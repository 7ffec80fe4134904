"""XGBoost's boosters as forests."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.trees.forest import Forest, Tree, forest_of
from scoring.trees.unreadable import Unreadable

__all__ = ["booster", "log_link"]

LOGISTIC = {"binary:logistic", "reg:logistic"}

LOG_LINKS = {"count:poisson", "reg:gamma", "reg:tweedie", "survival:aft", "survival:cox"}
"""Objectives whose answer is the exponential function of the margin."""


def booster(model: Any, n_rounds: int | None = None, missing: float = np.nan) -> Forest:
    """Read a booster of trees: `gbtree` or `dart`, a number or a vector a leaf.

    Parameters
    ----------
    n_rounds : how many rounds predict, where it is not all of them.
    missing : the number that stands for a gap besides NaN.

    Raises
    ------
    Unreadable
    """
    learner = json.loads(model.save_raw("json"))["learner"]
    boosted = learner["gradient_booster"]
    dropped = boosted.get("weight_drop")
    content = boosted.get("gbtree", boosted).get("model", {})
    if "trees" not in content:
        raise Unreadable("its booster is linear")
    parameters = learner["learner_model_param"]
    n_outputs = max(1, int(parameters["num_class"]), int(parameters.get("num_target", "1")))
    n_trees = len(content["trees"])
    if n_rounds is not None:
        ends = content.get("iteration_indptr")
        if ends is None:
            raise Unreadable("its file does not say which rounds its trees are of")
        n_trees = ends[min(n_rounds, len(ends) - 1)]
    if not n_trees:
        raise Unreadable("it has no trees")
    weights = np.ones(n_trees) if dropped is None else np.array(dropped[:n_trees], np.float32)
    told = zip(content["trees"], content["tree_info"], weights.tolist(), strict=False)
    start = _start(parameters["base_score"], learner["objective"]["name"], n_outputs)
    trees = [_tree(each, group, weight) for each, group, weight in told]
    gap = float(np.float32(missing))
    return forest_of(trees, start, rounding="single", missing=gap, strangers_left=True)


def log_link(model: Any) -> bool:
    """Whether a booster answers the exponential function of its margin."""
    config = json.loads(model.save_config())
    return config["learner"]["objective"]["name"] in LOG_LINKS


def _tree(tree: dict[str, Any], output: int, weight: float) -> Tree:
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    left = np.array(tree["left_children"], dtype=np.int64)
    right = np.array(tree["right_children"], dtype=np.int64)
    values = conditions[:, np.newaxis]
    width = int(tree["tree_param"]["size_leaf_vector"])
    with np.errstate(over="ignore"):
        # A row goes left where x < t: in single precision, where x <= the number before t.
        limits = np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64)
    if width > 1:  # a leaf has the place of its vector for a right child
        vectors = np.array(tree["leaf_weights"], dtype=np.float32).reshape(-1, width)
        values = vectors[np.where(left < 0, right, 0)]
    return Tree(
        left,
        np.where(left < 0, -1, right),
        np.array(tree["split_indices"], dtype=np.int64),
        limits,
        np.array(tree["default_left"], dtype=bool),
        values.astype(np.float64) * weight,
        0 if width > 1 else int(output),
        _sets(tree),
    )


def _sets(tree: dict[str, Any]) -> dict[int, NDArray[np.bool_]]:
    """The codes that go left at nodes that test categories; those that are listed go right."""
    sets = {}
    listed = np.array(tree["categories"], dtype=np.int64)
    places = zip(
        tree["categories_nodes"],
        tree["categories_segments"],
        tree["categories_sizes"],
        strict=True,
    )
    for node, first, size in places:
        codes = listed[first : first + size]
        goes_left = np.ones(int(codes.max(initial=0)) + 2, dtype=bool)
        goes_left[codes] = False
        sets[int(node)] = goes_left
    return sets


def _start(told: str, objective: str, n_outputs: int) -> NDArray[np.float64]:
    """The base score as a margin in single precision; it is told in the units of the answer."""
    score = np.array(json.loads(told), dtype=np.float32).ravel()
    if objective in LOGISTIC:
        score = -np.log(1 / score - 1)
    elif objective in LOG_LINKS:
        score = np.log(score)
    return np.broadcast_to(score, (n_outputs,)).astype(np.float64)
