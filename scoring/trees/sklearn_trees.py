"""scikit-learn's trees and ensembles of them as forests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.trees.forest import Forest, Tree, forest_of
from scoring.trees.unreadable import Unreadable

__all__ = ["boosted", "hist_boosted", "one_tree", "voting"]

MOST_CODES = 256
"""Categories that HistGradientBoosting can tell apart."""

ASKED = 1000
"""Rows on which a start is asked whether it is the same for all."""


def one_tree(estimator: Any, *, classification: bool) -> Forest:
    """Read a DecisionTree or an ExtraTree."""
    return _averaged([estimator], classification=classification)


def voting(estimator: Any, *, classification: bool) -> Forest:
    """Read a forest: its trees' answers are averaged."""
    return _averaged(list(estimator.estimators_), classification=classification)


def boosted(estimator: Any) -> Forest:
    """Read a GradientBoosting: a start that is the same for all rows, and trees that add to it.

    Raises
    ------
    Unreadable
        An `init` estimator whose answers depend on the row.
    """
    rate, trees = estimator.learning_rate, []
    for each in estimator.estimators_:
        for output, member in enumerate(each):
            values = rate * _values(member.tree_, classification=False)
            trees.append(_compiled(member.tree_, values, output))
    starts = estimator._raw_predict_init(_far_and_near(estimator, trees))  # noqa: SLF001 no public name
    if (starts != starts[0]).any():
        raise Unreadable("its init estimator's answers depend on the row")
    return forest_of(trees, np.ravel(starts[0]), rounding="single")


def _far_and_near(estimator: Any, trees: list[Tree]) -> NDArray[np.float32]:
    """Rows at all distances from zero and around the trees' thresholds, to ask a start about."""
    rng = np.random.default_rng(0)
    n_columns = estimator.n_features_in_
    rows = rng.normal(size=(ASKED, n_columns)) * 10.0 ** rng.integers(-3, 7, (ASKED, n_columns))
    thresholds = np.concatenate([tree.thresholds[tree.left >= 0] for tree in trees])
    columns = np.concatenate([tree.columns[tree.left >= 0] for tree in trees])
    for column in np.unique(columns).tolist():
        near = rng.choice(thresholds[columns == column], ASKED)
        taken = rng.random(ASKED) < 0.5
        rows[taken, column] = (near + rng.normal(size=ASKED) * near.std())[taken]
    return np.concatenate([np.zeros((1, n_columns)), rows]).astype(np.float32)


def hist_boosted(estimator: Any) -> Forest:
    """Read a HistGradientBoosting; its columns are those of its own preprocessor."""
    start = np.ravel(estimator._baseline_prediction)  # noqa: SLF001 no public name
    categorical = getattr(estimator, "is_categorical_", None)
    known = None
    if categorical is not None and np.any(categorical):
        known = estimator._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001 no public name
    trees = []
    for each in estimator._predictors:  # noqa: SLF001 no public name
        for output, member in enumerate(each):
            trees.append(_histogram(member, known, output))
    return forest_of(trees, start)


def _averaged(members: list[Any], *, classification: bool) -> Forest:
    if members[0].tree_.n_outputs > 1 and classification:
        raise Unreadable("it has several targets with classes each")
    trees = [
        _compiled(each.tree_, _values(each.tree_, classification=classification), 0)
        for each in members
    ]
    n_outputs = trees[0].values.shape[1]
    return forest_of(trees, np.zeros(n_outputs), scale=len(members), rounding="single")


def _values(tree: Any, *, classification: bool) -> NDArray[np.float64]:
    """What nodes answer: (n_nodes, n_classes) or (n_nodes, n_targets)."""
    return np.asarray(tree.value[:, 0, :] if classification else tree.value[:, :, 0])


def _compiled(tree: Any, values: NDArray[np.float64], output: int) -> Tree:
    """scikit-learn's compiled tree; it compares single precision with its thresholds."""
    return Tree(
        tree.children_left,
        tree.children_right,
        tree.feature,
        tree.threshold,
        np.asarray(tree.missing_go_to_left, dtype=bool),
        values,
        output,
    )


def _histogram(member: Any, known: Any, output: int) -> Tree:
    nodes = member.nodes
    leaf = nodes["is_leaf"] == 1
    missing = nodes["missing_go_to_left"] == 1
    sets = {}
    for node in np.flatnonzero((nodes["is_categorical"] == 1) & ~leaf).tolist():
        lefts = _codes(member.raw_left_cat_bitsets[nodes["bitset_idx"][node]])
        rows, place = known
        seen = _codes(rows[place[nodes["feature_idx"][node]]])
        sets[node] = np.where(seen, lefts, missing[node])  # what training never saw is a gap
    return Tree(
        np.where(leaf, -1, nodes["left"].astype(np.int64)),
        np.where(leaf, -1, nodes["right"].astype(np.int64)),
        nodes["feature_idx"].astype(np.int64),
        nodes["num_threshold"].astype(np.float64),
        missing,
        nodes["value"][:, np.newaxis],
        output,
        sets,
    )


def _codes(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Bits of 32-bit words as flags per code."""
    little = np.ascontiguousarray(words, dtype="<u4").view(np.uint8)
    return np.unpackbits(little, bitorder="little")[:MOST_CODES].astype(bool)
