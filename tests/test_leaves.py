"""Exact values of sums of leaves against the definition, at thresholds above all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeRegressor

from scoring.games import leaves as room
from scoring.games.boxes import leaves_of, lightgbm_trees, sklearn_tree
from scoring.games.leaves import Patterns
from tests import oracles


def data(seed, n_features=5, n=80):
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (n, n_features)) / 2  # many ties
    return x, x[:, 0] * x[:, 1] + np.abs(x[:, 2]) + 0.1 * rng.normal(size=n)


def weights_of(n, seed=0):
    weights = np.random.default_rng(seed).random(n)
    return weights / weights.sum()


@given(seed=st.integers(0, 1000), n_features=st.integers(1, 6), n_background=st.integers(1, 9))
def test_a_tree_is_explained_as_the_definition_says(seed, n_features, n_background):
    x, y = data(seed, max(n_features, 3))
    x = x[:, :n_features]
    tree = DecisionTreeRegressor(random_state=0).fit(x, y)
    weights = weights_of(n_background, seed)
    patterns = Patterns.of(leaves_of([sklearn_tree(tree.tree_)]), x[:n_background], weights)
    found = patterns.values(x[-4:])
    expected = oracles.shapley_rows(tree.predict, x[-4:], x[:n_background], weights)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(y).max())


def test_a_booster_is_explained_as_the_definition_says_on_both_sides_of_its_thresholds():
    lightgbm = pytest.importorskip("lightgbm", reason="an optional extra")
    x, y = data(1, n=300)
    x = x + np.random.default_rng(0).normal(size=x.shape)
    model = lightgbm.LGBMRegressor(n_estimators=15, min_child_samples=5, verbosity=-1).fit(x, y)
    trees = lightgbm_trees(model.booster_)
    inner = [(int(c), t) for tree in trees for c, t in zip(tree.columns[tree.left >= 0],
             tree.thresholds[tree.left >= 0], strict=True)]  # fmt: skip
    rows = np.repeat(x[:1], 12, axis=0)
    for r, (column, threshold) in enumerate(inner[:12]):
        rows[r, column] = np.nextafter(threshold, (-np.inf, threshold, np.inf)[r % 3])
    weights = np.full(20, 1 / 20)
    found = Patterns.of(leaves_of(trees), x[:20], weights).values(rows)
    expected = oracles.shapley_rows(model.predict, rows, x[:20], weights)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(y).max())
    np.testing.assert_allclose(leaves_of(trees).answers(rows), model.predict(rows), atol=1e-12)


def test_blocks_change_nothing(monkeypatch):
    x, y = data(2)
    tree = DecisionTreeRegressor(random_state=0).fit(x, y)
    leaves, weights = leaves_of([sklearn_tree(tree.tree_)]), weights_of(30)
    whole = Patterns.of(leaves, x[:30], weights).values(x)
    monkeypatch.setattr(room, "BLOCK", 100)
    np.testing.assert_allclose(Patterns.of(leaves, x[:30], weights).values(x), whole, atol=1e-14)


def test_a_stump_of_one_leaf_gives_nothing_to_anybody():
    x, _ = data(3)
    tree = DecisionTreeRegressor().fit(x, np.full(len(x), 7.0))
    leaves = leaves_of([sklearn_tree(tree.tree_)])
    patterns = Patterns.of(leaves, x[:5], np.full(5, 0.2))
    assert (patterns.values(x[:3]) == 0).all()
    assert (leaves.answers(x[:3]) == 7).all()
