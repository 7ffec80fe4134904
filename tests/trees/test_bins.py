"""Bins of numbers: a row fails by them what it fails test by test."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import ensemble, tree

from scoring.trees import forest as hand_made
from scoring.trees.bins import bins_of
from scoring.trees.groups import GROWTH
from tests.trees.test_groups import groups_of
from tests.trees.test_trees import (
    ROOM,
    TREES,
    N,
    beside_thresholds,
    fitted,
    forest_of,
    game_of,
    lightgbm,
    with_categories,
)

OWNERS = {"a column each": np.arange(N), "shared columns": np.array([0, 1, 0, 1, 2])}


def assert_bins_fail_what_tests_fail(forest, rows, owners=OWNERS["a column each"], growth=GROWTH):
    """Group by group and bit by bit."""
    groups = groups_of(forest, owners, growth)
    bins = bins_of(groups)
    assert bins is not None  # for the type checker
    failed = groups.failed(forest.goes_left(rows)).T
    np.testing.assert_array_equal(bins.failed(forest.rounded(rows)), failed)


def odd_rows(forest, x):
    """Thresholds and their neighbours, gaps where rows have none, zeros and infinities."""
    rows = beside_thresholds(forest, x)
    rng = np.random.default_rng(1)
    odd = rows[:60].copy()
    strange = np.array([np.nan, 0.0, -0.0, 1e-36, -1e-36, 1e-35, np.inf, -np.inf, 1e300])
    odd[rng.random(odd.shape) < 0.4] = 7.0
    chosen = odd == 7.0
    odd[chosen] = rng.choice(strange, chosen.sum())
    return np.concatenate([rows, odd])


@pytest.mark.parametrize("growth", [GROWTH, 0])
@pytest.mark.parametrize("players", OWNERS)
@pytest.mark.parametrize("name", TREES)
def test_a_row_fails_by_bins_what_it_fails_test_by_test(name, players, growth):
    model, space, x, _ = fitted(name)
    forest = forest_of(model, space)
    assert_bins_fail_what_tests_fail(forest, odd_rows(forest, x), OWNERS[players], growth)


@pytest.mark.parametrize("library", ["LightGBM", "scikit-learn"])
def test_codes_of_categories_have_bins(library):
    x, y = with_categories()
    if library == "LightGBM":
        model = lightgbm(categorical_feature=[4], min_data_per_group=5, cat_smooth=1.0)
    else:
        columns = [False] * 4 + [True]
        model = ensemble.HistGradientBoostingRegressor(max_iter=12, categorical_features=columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forest = forest_of(model.fit(x, y), "value")
    assert (forest.set_of >= 0).any()
    column = forest.columns[forest.set_of >= 0][0]
    odd = [np.nan, -2, -1, -0.99, -0.5, 0, 0.99, 1, 2.7, 8, 8.9, 9, 40, 1e18, -1e18, 31, 32, 64]
    edges = np.arange(forest.sets.shape[1] + 2.0)
    codes = np.concatenate([odd, edges, np.nextafter(edges, -np.inf)])
    rows = np.repeat(x[:1], len(codes), axis=0)
    rows[:, column] = codes
    assert_bins_fail_what_tests_fail(forest, rows)


def test_the_last_code_of_a_set_is_known_and_the_next_is_not():
    forest = hand_made.forest_of(
        [
            hand_made.Tree(
                left=np.array([1, -1, -1]),
                right=np.array([2, -1, -1]),
                columns=np.array([0, -1, -1]),
                thresholds=np.zeros(3),
                missing_left=np.array([False, False, False]),
                values=np.array([[0.0], [1.0], [2.0]]),
                sets={0: np.array([True, False, True])},
            )
        ],
        np.zeros(1),
    )
    rows = np.array([[-1.0], [0.0], [1.0], [2.0], [2.99], [3.0], [np.nan]])
    assert_bins_fail_what_tests_fail(forest, rows, np.zeros(1, dtype=np.int64))
    assert forest.answers(rows)[:, 0].tolist() == [2, 1, 2, 1, 1, 2, 2]


@pytest.mark.parametrize("name", TREES)
def test_few_rows_and_many_get_the_same_answers_to_the_bit(name):
    model, space, x, _ = fitted(name)
    forest = forest_of(model, space)
    game = game_of(forest, x[:9], np.full(9, 1 / 9), np.arange(N), N)
    rows = beside_thresholds(forest, x)
    outputs, values = game.outputs_and_values(rows, ROOM)
    np.testing.assert_array_equal(outputs, forest.answers(rows))
    np.testing.assert_array_equal(values, game.values(rows, ROOM))
    for r in range(0, len(rows), 7):
        one, own = game.outputs_and_values(rows[r : r + 1], ROOM)
        np.testing.assert_array_equal(one, outputs[r : r + 1])
        np.testing.assert_array_equal(game.outputs(rows[r : r + 1]), outputs[r : r + 1])
        np.testing.assert_array_equal(own, values[r : r + 1])


def test_trees_whose_lines_take_too_much_room_are_asked_test_by_test(monkeypatch):
    model, space, x, _ = fitted("forest of two")
    forest = forest_of(model, space)
    assert bins_of(groups_of(forest, np.arange(N)), 1000) is None
    game, other = (game_of(forest, x[:9], np.full(9, 1 / 9), np.arange(N), N) for _ in range(2))
    expected = game.values(x[:3], ROOM)
    monkeypatch.setattr("scoring.trees.game.bins_of", lambda *_: None)
    np.testing.assert_array_equal(other.values(x[:3], ROOM), expected)


def test_trees_without_a_test_have_no_bins():
    model = tree.DecisionTreeRegressor().fit(np.zeros((4, N)), np.ones(4))
    forest = forest_of(model, "value")
    assert bins_of(groups_of(forest, np.arange(N))) is None
    game = game_of(forest, np.zeros((2, N)), np.full(2, 0.5), np.arange(N), N)
    assert (game.values(np.zeros((3, N)), ROOM) == 0).all()


def test_columns_that_most_trees_do_not_test_have_no_bins():
    x = np.random.default_rng(0).normal(size=(300, 60))
    model = ensemble.ExtraTreesRegressor(200, max_depth=1, random_state=0).fit(x, x.sum(axis=1))
    forest = forest_of(model, "value")
    game = game_of(forest, x[:5], np.full(5, 0.2), np.arange(60), 60)
    assert game._bins is None
    np.testing.assert_array_equal(game.outputs(x), forest.answers(x))
    gap = game.base_values + game.values(x[:9], ROOM).sum(axis=1) - game.outputs(x[:9])
    assert np.abs(gap).max() < 1e-12
