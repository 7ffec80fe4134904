"""XGBoost's boosters as forests."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from scoring.trees.forest import Forest, Tree, forest_of

__all__ = ["booster"]


def booster(model: Any, n_rounds: int | None = None) -> Forest | None:
    """Read a booster of trees with one value a leaf and numeric tests; None for others.

    Parameters
    ----------
    n_rounds : how many rounds predict, where it is not all of them.
    """
    learner = json.loads(model.save_raw("json"))["learner"]
    boosted = learner["gradient_booster"]
    if boosted.get("name") != "gbtree":
        return None  # linear, or trees with weights of their own
    content, parameters = boosted["model"], learner["learner_model_param"]
    n_outputs = max(1, int(parameters["num_class"]))
    if int(parameters.get("num_target", "1")) > 1:
        return None
    ends = content.get("iteration_indptr")
    trees, groups = content["trees"], content["tree_info"]
    if n_rounds is not None and ends is not None:
        trees, groups = trees[: ends[n_rounds]], groups[: ends[n_rounds]]
    read = [_tree(each, group) for each, group in zip(trees, groups, strict=True)]
    if not read or any(tree is None for tree in read):
        return None
    start = _start(parameters["base_score"], learner["objective"]["name"], n_outputs)
    return forest_of([tree for tree in read if tree is not None], start, rounding="single")


def _tree(tree: dict[str, Any], output: int) -> Tree | None:
    sizes = tree["tree_param"]
    if any(tree["split_type"]) or int(sizes["size_leaf_vector"]) > 1:
        return None
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    left = np.array(tree["left_children"], dtype=np.int64)
    return Tree(
        left,
        np.where(left < 0, -1, np.array(tree["right_children"], dtype=np.int64)),
        np.array(tree["split_indices"], dtype=np.int64),
        # A row goes left where x < t: in single precision, where x <= the number before t.
        np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64),
        np.array(tree["default_left"], dtype=bool),
        conditions.astype(np.float64)[:, np.newaxis],
        int(output),
    )


def _start(told: str, objective: str, n_outputs: int) -> Any:
    """The base score as a margin; it is told in the units of the answer."""
    score = np.array(json.loads(told), dtype=np.float64).ravel()
    if objective in {"binary:logistic", "reg:logistic"}:
        score = np.log(score / (1 - score))
    elif objective in {"count:poisson", "reg:gamma", "reg:tweedie"}:
        score = np.log(score)
    return np.broadcast_to(score, (n_outputs,)).copy()
