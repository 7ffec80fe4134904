"""Fitted estimators, looked through: whatever compiled code follows blindly is checked first.

The checks find their objects by walking the whole object graph, so that trees inside pipelines,
ensembles, calibrated or stacked models are found wherever they hang.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from scoring.forms.refused import Unsound
from scoring.forms.trees import check_branches, check_range

__all__ = ["check_estimator", "parts", "sklearn_trees"]

ATOMS = (str, bytes, bytearray, int, float, bool, type(None), type, ModuleType)


def parts(root: Any) -> Iterator[Any]:
    """Yield an object and everything it holds, each once, the items of a list in their order."""
    seen: set[int] = set()
    waiting = deque([root])
    while waiting:
        part = waiting.popleft()
        if isinstance(part, ATOMS) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, (list, tuple, set)):
            waiting += part
        elif isinstance(part, np.ndarray):
            waiting += part.ravel().tolist() if part.dtype == object else []
        else:
            waiting += getattr(part, "__dict__", {}).values()


def sklearn_trees(root: Any) -> Iterator[Any]:
    """Yield every compiled scikit-learn `Tree` in an estimator."""
    return (part for part in parts(root) if _name(part) == "sklearn.tree._tree.Tree")


def check_estimator(root: Any) -> None:
    """Check every tree, support vector machine and vectorizer of texts in an estimator.

    Raises
    ------
    Unsound
        Indices outside their arrays, cycles, shapes that contradict each other.
    """
    for part in parts(root):
        check = CHECKS.get(_name(part))
        if check is not None:
            check(part)
        if hasattr(part, "_dual_coef_"):
            _check_support_vectors(part)
        if hasattr(part, "n_features_in_"):
            _check_width(part)
        if hasattr(type(part), "build_analyzer"):
            _check_vectorizer(part)


def _name(part: Any) -> str:
    kind = type(part)
    return f"{kind.__module__}.{kind.__qualname__}"


def _check_tree(tree: Any) -> None:
    """scikit-learn's Tree: a node is a leaf when its left child is -1."""
    inner = np.flatnonzero(tree.children_left != -1)
    check_range(tree.feature[inner], tree.n_features, "a tree tests features")
    sides = [tree.children_left[inner], tree.children_right[inner]]
    check_branches(tree.node_count, inner, sides)
    if not tree.node_count:
        raise Unsound("a tree has no nodes")


def _check_predictor(predictor: Any) -> None:
    """The tree of HistGradientBoosting; categorical tests point into bit sets."""
    nodes = predictor.nodes
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    sides = [nodes["left"][inner].astype(np.int64), nodes["right"][inner].astype(np.int64)]
    check_branches(len(nodes), inner, sides)
    categorical = inner[nodes["is_categorical"][inner] != 0]
    n_sets = min(len(predictor.binned_left_cat_bitsets), len(predictor.raw_left_cat_bitsets))
    check_range(nodes["bitset_idx"][categorical].astype(np.int64), n_sets, "a tree has bit sets")
    if not len(nodes):
        raise Unsound("a tree has no nodes")


def _check_width(estimator: Any) -> None:
    """An ensemble hands its rows to its trees unseen, so they may not test features it lacks."""
    width = estimator.n_features_in_
    if hasattr(estimator, "_predictors"):  # HistGradientBoosting
        for nodes in (tree.nodes for round_ in estimator._predictors for tree in round_):  # noqa: SLF001 where it keeps them
            inner = nodes["is_leaf"] == 0
            check_range(
                nodes["feature_idx"][inner].astype(np.int64), width, "a tree tests features"
            )
    own = [estimator] if hasattr(estimator, "tree_") else []
    direct = [] if hasattr(estimator, "estimators_features_") else _members(estimator)
    for tree in (member.tree_ for member in own + direct if hasattr(member, "tree_")):
        if tree.n_features != width:
            raise Unsound(f"a tree takes {tree.n_features} features where its model has {width}")


def _members(ensemble: Any) -> list[Any]:
    """The members of an ensemble, however it keeps them."""
    members = np.asarray(getattr(ensemble, "estimators_", []), dtype=object)
    return list(members.ravel())


def _check_vectorizer(vectorizer: Any) -> None:
    """A vectorizer of texts opens the files that its rows name, unless they are the texts.

    Known by its class, because a file says which attributes it has.
    """
    given = getattr(vectorizer, "input", None)
    if type(given) is not str or given != "content":
        raise Unsound("a vectorizer opens the files that its rows name")


def _check_support_vectors(machine: Any) -> None:
    """Libsvm reads as many numbers as its counts say, not as many as there are."""
    counts = np.asarray(machine._n_support)  # noqa: SLF001 the name scikit-learn keeps it under
    n_vectors = len(machine.support_)
    coefficients = machine._dual_coef_
    n_classes = len(getattr(machine, "classes_", (0, 0)))
    n_pairs = n_classes * (n_classes - 1) // 2
    if (
        (counts < 0).any()
        or machine.support_vectors_.shape[0] not in (n_vectors, 0)
        or coefficients.shape != (n_classes - 1, n_vectors)
        or len(machine._intercept_) != n_pairs
    ):
        raise Unsound("a support vector machine's arrays do not fit each other")


def _check_xgboost(booster: Any) -> None:
    """XGBoost's trees, as it writes them itself."""
    model = json.loads(booster.save_raw("json"))["learner"]
    width = int(model["learner_model_param"]["num_feature"])
    n_groups = max(1, int(model["learner_model_param"]["num_class"]))
    boosted = model["gradient_booster"]
    boosted = boosted.get("gbtree", boosted)["model"]
    trees = boosted.get("trees", [])
    check_range(
        np.asarray(boosted.get("tree_info", []), dtype=np.int64), n_groups, "trees serve classes"
    )
    if len(boosted.get("tree_info", [])) != len(trees):
        raise Unsound("an XGBoost model does not say which class each tree serves")
    for tree in trees:
        left, right = np.asarray(tree["left_children"]), np.asarray(tree["right_children"])
        inner = np.flatnonzero(left != -1)
        check_branches(len(left), inner, [left[inner], right[inner]])
        check_range(np.asarray(tree["split_indices"])[inner], width, "a tree tests features")


CHECKS: dict[str, Callable[[Any], None]] = {
    "sklearn.tree._tree.Tree": _check_tree,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _check_predictor,
    "xgboost.core.Booster": _check_xgboost,
}
