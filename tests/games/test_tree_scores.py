"""Probabilities of boosted trees without masked rows: the same numbers as masked rows through the
model."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import ensemble, tree
from sklearn.datasets import make_classification

from scoring import TabularExplainer
from scoring.games import tree_margins, tree_plan
from scoring.games.masked import MaskedGame
from scoring.games.tree_scores import PAIRS, TreeScores, tree_scores_of
from scoring.trees.forest import Tree, forest_of
from scoring.trees.leaf_words import LeafWords
from tests import oracles

ROOM = 2**28
EVERY = slice(None)
N = 6


def numbers(n=300, gaps=0.0):
    """Rows (n, 6): ties in one column, categories in the last, and perhaps gaps."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, N))
    x[:, 2] = np.rint(2 * x[:, 2])
    x[:, 5] = rng.integers(0, 9, n)
    x[rng.random(x.shape) < gaps] = np.nan
    return x


def classes(x, ends):
    z = np.nan_to_num(x)
    return np.digitize(z[:, 0] * z[:, 1] + z[:, 2] + 2 * np.isin(z[:, 5], [1, 4, 7]), ends)


def lightgbm(**options):
    module = pytest.importorskip("lightgbm", reason="an optional extra")
    return module.LGBMClassifier(**{"n_estimators": 15, "verbosity": -1, "n_jobs": 1} | options)


def xgboost(**options):
    module = pytest.importorskip("xgboost", reason="an optional extra")
    return module.XGBClassifier(**{"n_estimators": 15, "n_jobs": 1} | options)


MODELS = {
    "LightGBM": lambda: (lightgbm(), 2, 0.15),
    "LightGBM, categories": lambda: (
        lightgbm(categorical_feature=[5], min_data_per_group=5, cat_smooth=1.0), 2, 0.15),
    "LightGBM, three classes": lambda: (lightgbm(num_leaves=7), 3, 0.0),
    "LightGBM, 64 leaves": lambda: (lightgbm(num_leaves=64, min_child_samples=1), 2, 0.0),
    "XGBoost": lambda: (xgboost(base_score=0.3), 2, 0.15),
    "XGBoost, three classes": lambda: (xgboost(max_depth=3), 3, 0.0),
    "boosting": lambda: (ensemble.GradientBoostingClassifier(n_estimators=15), 2, 0.0),
    "boosting, three classes": lambda: (
        ensemble.GradientBoostingClassifier(n_estimators=15), 3, 0.0),
    "histograms": lambda: (ensemble.HistGradientBoostingClassifier(max_iter=15), 2, 0.15),
    "histograms, three classes": lambda: (
        ensemble.HistGradientBoostingClassifier(max_iter=15), 3, 0.15),
}  # fmt: skip
"""The model, how many classes, and the share of gaps."""


def fitted(name):
    """A model, its rows, its scores, and how exact its own answers are."""
    model, n_classes, gaps = MODELS[name]()
    x = numbers(gaps=gaps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, classes(x, (0.0, 1.0)[: n_classes - 1]))
    single = "XGBoost" in name  # adds its leaves in single precision
    return model, x, read(model, x), 1e-5 if single else 1e-9


def read(model, x) -> TreeScores:
    """The scores of a model that has to be read."""
    scores = tree_scores_of(model, x, probabilities(model, x))
    assert scores is not None  # for the type checker
    return scores


def probabilities(model, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM about names of columns
        return np.asarray(model.predict_proba(x), dtype=np.float64)


def masked(f, rows, background, weights, masks):
    """v (n_rows, n_coalitions, n_outputs) by the definition."""
    games = [oracles.interventional(f, row, background, weights) for row in rows]
    return np.array([[v(np.flatnonzero(mask).tolist()) for mask in masks] for v in games])


@pytest.mark.parametrize("name", MODELS)
def test_a_coalition_is_worth_what_masked_rows_are(name):
    model, x, scores, atol = fitted(name)
    np.testing.assert_allclose(scores.outputs(x), probabilities(model, x), rtol=0, atol=atol)
    view = TabularExplainer(model, x, n_background=20).view
    rows = view.predictor.schema.encode(x[:4])
    masks = np.random.default_rng(1).random((25, N)) < 0.5
    masks[:2] = [[False] * N, [True] * N]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = MaskedGame(view.predictor, view.summary, ROOM).values(rows, masks)
    given_ = view.summary.table.codes, view.summary.weights, masks
    worth = scores.prepared(*given_, ROOM)
    np.testing.assert_allclose(worth(rows.codes, EVERY), expected, rtol=0, atol=atol)
    found = worth(rows.codes, slice(3, 19))
    np.testing.assert_allclose(found, expected[:, 3:19], rtol=0, atol=atol)
    for alone in range(4):
        assert (worth(rows.codes[[alone]], slice(3, 19)) == found[[alone]]).all()
    for small in (1, 20_000):
        cut = scores.prepared(*given_, small)(rows.codes, EVERY)
        np.testing.assert_allclose(cut, worth(rows.codes, EVERY), rtol=0, atol=1e-14)


def test_categories_that_histograms_encode_themselves():
    x = numbers()
    model = ensemble.HistGradientBoostingClassifier(max_iter=15, categorical_features=[5])
    model.fit(x, classes(x, (0.0,)))
    seen = np.asarray(model._preprocessor.transform(x))  # categories to the front
    scores = tree_scores_of(model, seen, model.predict_proba(x))
    assert scores is not None
    assert (scores.forest.set_of >= 0).any()
    masks = np.random.default_rng(1).random((20, N)) < 0.5
    weights = np.full(9, 1 / 9)
    expected = masked(model.predict_proba, x[:2], x[-9:], weights, masks)
    worth = scores.prepared(seen[-9:], weights, masks[:, [5, 0, 1, 2, 3, 4]], ROOM)
    np.testing.assert_allclose(worth(seen[:2], EVERY), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_features", [12, 40])
@pytest.mark.parametrize("max_leaves", [4, 31])
def test_trees_of_many_players_and_players_of_several_columns(n_features, max_leaves):
    x, y = make_classification(500, n_features, n_informative=n_features // 2, random_state=0)
    model = ensemble.HistGradientBoostingClassifier(
        max_iter=20, max_leaf_nodes=max_leaves, min_samples_leaf=2, random_state=0
    ).fit(x, y)
    rng = np.random.default_rng(2)
    owners = np.arange(n_features) // 2 if n_features == 12 else np.arange(n_features)
    masks = (rng.random((2000, owners.max() + 1)) < 0.5)[:, owners]
    weights = rng.dirichlet(np.ones(8))
    worth = read(model, x).prepared(x[-8:], weights, masks, ROOM)
    some = slice(500, 530)
    expected = masked(model.predict_proba, x[:2], x[-8:], weights, masks[some])
    np.testing.assert_allclose(worth(x[:2], some), expected, rtol=0, atol=1e-12)


def random_tree(rng, n_leaves, n_columns):
    """A tree with that many leaves, of random shape, on small whole numbers."""
    left, right, open_leaves = [-1], [-1], [0]
    while len(open_leaves) < n_leaves:
        node = open_leaves.pop(rng.integers(len(open_leaves)))
        left[node], right[node] = len(left), len(left) + 1
        open_leaves += [left[node], right[node]]
        left += [-1, -1]
        right += [-1, -1]
    n = len(left)
    return Tree(
        np.array(left), np.array(right), rng.integers(0, n_columns, n),
        rng.integers(-2, 3, n).astype(float), rng.random(n) < 0.5, rng.normal(size=(n, 1)),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    most_leaves=st.sampled_from([1, 2, 31, 32, 33, 63, 64]),
    n_trees=st.integers(1, 6),
    n_columns=st.integers(1, 24),
    n_background=st.integers(1, 5),
)
def test_any_trees(seed, most_leaves, n_trees, n_columns, n_background):
    rng = np.random.default_rng(seed)
    sizes = [most_leaves, *rng.integers(1, most_leaves + 1, n_trees - 1)]
    forest = forest_of([random_tree(rng, size, n_columns) for size in sizes], rng.normal(size=1))
    x = rng.integers(-3, 4, (n_background + 2, n_columns)).astype(float)
    x[rng.random(x.shape) < 0.1] = np.nan
    weights = rng.dirichlet(np.ones(n_background))
    masks = rng.random((rng.integers(1, 40), n_columns)) < 0.5
    scores = TreeScores(forest, "logistic")
    expected = masked(scores.outputs, x[:2], x[2:], weights, masks)
    found = scores.prepared(x[2:], weights, masks, ROOM)(x[:2], EVERY)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def chain(n_leaves):
    """A tree that a row walks to leaf k where x lies between k - 1 and k; leaves answer 2k."""
    n = 2 * n_leaves - 1  # inner nodes first, each with its leaf and the next one
    inner = np.arange(n) < n_leaves - 1
    right = np.where(inner, np.arange(n) + 1, -1)
    right[n_leaves - 2] = n - 1
    return Tree(
        np.where(inner, np.arange(n) + n_leaves - 1, -1), right, np.zeros(n, dtype=int),
        np.arange(n).astype(float), inner & False,
        2.0 * np.maximum(np.arange(n) - n_leaves + 1, 0)[:, np.newaxis],
    )  # fmt: skip


@pytest.mark.parametrize("n_leaves", [2, 31, 32, 33, 63, 64])
def test_every_leaf_of_the_largest_words_is_found(n_leaves):
    scores = TreeScores(forest_of([chain(n_leaves)], np.full(1, -float(n_leaves))), "logistic")
    x = np.arange(n_leaves)[:, np.newaxis] - 0.5
    masks = np.ones((1, 1), dtype=bool)
    found = scores.prepared(x[:1], np.ones(1), masks, ROOM)(x, EVERY)[:, 0, 1]
    margins = 2 * np.arange(n_leaves) - n_leaves
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-margins)), rtol=1e-13)


def test_tables_of_some_trees_at_a_time(monkeypatch):
    monkeypatch.setattr(tree_margins, "TABLE_BYTES", 50_000)
    model, x, scores, _ = fitted("histograms, three classes")
    masks, weights = np.random.default_rng(0).random((30, N)) < 0.5, np.full(7, 1 / 7)
    found = scores.prepared(x[:7], weights, masks, ROOM)(x[-3:], EVERY)
    expected = masked(model.predict_proba, x[-3:], x[:7], weights, masks)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_trees_of_few_players_are_asked_about_few_coalitions():
    _, _, scores, _ = fitted("boosting")
    masks = np.random.default_rng(0).random((3000, N)) < 0.5
    words = LeafWords(scores.forest, np.arange(N))
    (group,) = tree_plan.plan(words, masks).groups
    assert group.which is not None
    assert len(group.trees) == 15
    assert group.codes[0].shape[1] <= 2**N


def test_groups_cost_less_than_asking_about_all_coalitions():
    x, y = make_classification(500, 40, n_informative=20, random_state=0)
    model = ensemble.GradientBoostingClassifier(n_estimators=80, max_depth=2).fit(x, y)
    masks = np.random.default_rng(0).random((2000, 40)) < 0.5
    groups = tree_plan.plan(LeafWords(read(model, x).forest, np.arange(40)), masks).groups
    assert sorted(np.concatenate([group.trees for group in groups]).tolist()) == list(range(80))
    for group in groups:
        assert group.which is not None
        asked = tree_plan.EVALUATED * len(group.trees) * group.codes[0].shape[1] + len(masks)
        assert asked < tree_plan.EVALUATED * len(group.trees) * len(masks)
        assert group.codes[0].shape[1] <= 256


def test_trees_without_tests_are_the_same_for_every_coalition():
    leaf = replace(single(0.7), output=1)
    forest = forest_of([leaf, leaf], np.array([0.1, 0.2, 0.3]))
    scores = TreeScores(forest, "softmax")
    found = scores.prepared(np.zeros((1, 2)), np.ones(1), np.eye(2, dtype=bool)[:1], ROOM)
    expected = np.exp([0.1, 1.6, 0.3]) / np.exp([0.1, 1.6, 0.3]).sum()
    np.testing.assert_allclose(found(np.ones((1, 2)), EVERY)[0, 0], expected, atol=1e-15)


def test_a_background_of_more_rows_than_are_taken_at_a_time():
    model, x, scores, _ = fitted("boosting")
    masks, weights = np.eye(N, dtype=bool), np.random.default_rng(0).dirichlet(np.ones(PAIRS + 9))
    background = x[: len(weights)]
    found = scores.prepared(background, weights, masks, ROOM)(x[-3:], EVERY)
    expected = masked(model.predict_proba, x[-3:], background, weights, masks)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_no_rows_and_no_coalitions_are_worth_nothing():
    _, x, scores, _ = fitted("boosting, three classes")
    masks = np.eye(N, dtype=bool)
    worth = scores.prepared(x[:3], np.full(3, 1 / 3), masks, ROOM)
    assert worth(x[:0], EVERY).shape == (0, N, 3)
    assert worth(x[:2], slice(2, 2)).shape == (2, 0, 3)


def single(value):
    """A tree of one leaf."""
    none = np.array([-1])
    return Tree(none, none, none + 1, np.zeros(1), np.zeros(1, bool), np.array([[value]]))


@pytest.mark.parametrize(("value", "second"), [(-2000.0, 0.0), (0.0, 0.5), (2000.0, 1.0)])
def test_margins_beyond_the_largest_exponent(value, second):
    x = np.zeros((1, 1))
    two = TreeScores(forest_of([single(value)], np.zeros(1)), "logistic")
    assert two.outputs(x).tolist() == [[1 - second, second]]
    several = TreeScores(forest_of([single(value)], np.array([0.0, value, -2000.0])), "softmax")
    np.testing.assert_allclose(several.outputs(x).sum(axis=1), 1, rtol=1e-15)


class Bolder(ensemble.GradientBoostingClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """A subclass that may answer anything."""


@pytest.mark.parametrize(
    "make",
    [
        lambda: lightgbm(num_leaves=90, min_child_samples=1),  # too many for a word
        lambda: lightgbm(sigmoid=2.0),
        lambda: lightgbm(linear_tree=True),
        lambda: lightgbm(boosting_type="rf", bagging_freq=1, bagging_fraction=0.5),
        lambda: xgboost(booster="gblinear"),
        lambda: ensemble.GradientBoostingClassifier(n_estimators=5, loss="exponential"),
        lambda: Bolder(n_estimators=5),
        lambda: ensemble.RandomForestClassifier(5),
        tree.DecisionTreeClassifier,
    ],
)
def test_what_is_no_link_of_small_trees_is_not_read(make):
    x = numbers(600)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make().fit(x, classes(x, (0.0,)))
    assert tree_scores_of(model, x, probabilities(model, x)) is None


def test_one_against_the_rest_is_no_softmax():
    x = numbers()
    model = lightgbm(objective="multiclassova").fit(x, classes(x, (0.0, 1.0)))
    assert tree_scores_of(model, x, probabilities(model, x)) is None
