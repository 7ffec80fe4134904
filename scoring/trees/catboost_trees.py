"""CatBoost's models of numeric features as forests."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.trees.forest import Forest, Tree, forest_of
from scoring.trees.unreadable import Unreadable

__all__ = ["log_link", "model_trees"]

LOG_LINKS = {"Poisson", "Tweedie"}
"""Losses whose answer is the exponential function of the margin."""


def model_trees(model: Any) -> Forest:
    """Read a model whose trees test numbers only.

    Raises
    ------
    Unreadable
        A split on categories, texts or embeddings.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.json"
        model.save_model(str(path), format="json")
        content = json.loads(path.read_text())
    features = content["features_info"].get("float_features", [])
    columns = np.array([each["flat_feature_index"] for each in features], dtype=np.int64)
    gap_is_high = np.array([each["nan_value_treatment"] == "AsTrue" for each in features])
    scale, bias = content["scale_and_bias"]
    read = [_symmetric(each, len(bias)) for each in content.get("oblivious_trees", ())]
    read += [_any_shape(each) for each in content.get("trees", ())]
    if not read:
        raise Unreadable("it has no trees")
    trees = [
        Tree(left, right, columns[feature], border, ~gap_is_high[feature], scale * values)
        for left, right, feature, border, values in read
    ]
    return forest_of(trees, np.array(bias, dtype=np.float64), rounding="single")


def log_link(model: Any) -> bool:
    """Whether a model answers the exponential function of its margin."""
    return str(model.get_all_params().get("loss_function", "")).partition(":")[0] in LOG_LINKS


_Nodes = tuple[
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.float64],
]
"""Left and right children, features and borders of nodes, and values (n_nodes, n_outputs)."""


def _symmetric(tree: dict[str, Any], n_outputs: int) -> _Nodes:
    """A tree that asks the same on a whole level; the bits of a leaf's number are its answers."""
    splits = [_split(each) for each in tree.get("splits") or ()]
    depth = len(splits)
    inner, number = (1 << depth) - 1, np.arange((2 << depth) - 1)
    level = np.bitwise_count(_filled(number + 1)).astype(np.int64) - 1
    place = np.minimum(level, depth - 1)
    is_inner = number < inner
    feature = np.array([split[0] for split in splits] or [0])[place]
    border = np.array([split[1] for split in splits] or [0.0])[place]
    # The way to a leaf, root first, is its place among the leaves; the root's answer is bit 0.
    way = np.arange(1 << depth)
    leaf = sum((way >> (depth - 1 - k) & 1) << k for k in range(depth)) + np.zeros_like(way)
    values = np.zeros((len(number), n_outputs))
    values[inner:] = np.reshape(tree["leaf_values"], (-1, n_outputs))[leaf]
    left = np.where(is_inner, 2 * number + 1, -1)
    return left, np.where(is_inner, left + 1, -1), feature, border, values


def _filled(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers with all bits below their highest set."""
    for shift in (1, 2, 4, 8, 16):
        numbers = numbers | numbers >> shift
    return numbers


def _any_shape(root: dict[str, Any]) -> _Nodes:
    """A tree of the other grow policies, node by node."""
    nodes, links, waiting = [root], [(-1, -1)], [0]
    while waiting:
        number = waiting.pop()
        node = nodes[number]
        if "split" in node:
            links[number] = (len(nodes), len(nodes) + 1)
            waiting += links[number]
            nodes += [node["left"], node["right"]]
            links += [(-1, -1), (-1, -1)]
    left, right = np.array(links).T
    splits = [_split(node["split"]) if "split" in node else (0, 0.0) for node in nodes]
    feature, border = (np.array(part) for part in zip(*splits, strict=True))
    width = max(np.size(node.get("value", 0.0)) for node in nodes)
    values = np.array([np.broadcast_to(node.get("value", 0.0), (width,)) for node in nodes])
    return left, right, feature, border, values


def _split(split: dict[str, Any]) -> tuple[int, float]:
    """A row goes left where its number is at most the border."""
    if split["split_type"] != "FloatFeature":
        raise Unreadable("its trees test categories, texts or embeddings")
    return int(split["float_feature_index"]), float(split["border"])
