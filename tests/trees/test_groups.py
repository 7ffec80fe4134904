"""Groups of leaves: what a row fails of them tells what it fails of every leaf."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import ensemble, tree

from scoring.trees.forest import Tree
from scoring.trees.forest import forest_of as of_trees
from scoring.trees.groups import GROWTH, MOST_BITS, Groups, tops_of
from scoring.trees.paths import Paths
from scoring.trees.tables import Cap, Layout, Tables, chosen, tables_of
from tests import oracles
from tests.trees.test_trees import (
    ROOM,
    TREES,
    N,
    answer,
    beside_thresholds,
    fitted,
    forest_of,
    game_of,
    numbers,
)


def groups_of(forest, owners, growth=GROWTH, leaves=None, n_factors=1, n_values=1, *, shared=True):
    """All leaves of a forest, or some, in groups."""
    paths = Paths(forest, owners)
    some = np.arange(forest.n_leaves) if leaves is None else leaves
    return Groups(paths, tops_of(paths, some, growth, n_factors, n_values), shared)


@pytest.mark.parametrize("growth", [0, 1, GROWTH, 100])
@pytest.mark.parametrize("owners", [np.arange(N), np.array([0, 1, 0, 1, 2])])
@pytest.mark.parametrize("name", TREES)
def test_what_a_row_passes_of_a_group_is_what_it_passes_of_its_leaves(name, owners, growth):
    model, space, x, _ = fitted(name)
    forest = forest_of(model, space)
    groups = groups_of(forest, owners, growth)
    rows = beside_thresholds(forest, x)
    failed = groups.failed(forest.goes_left(rows)).astype(np.int64)
    passed = (1 << groups.n_bits[:, np.newaxis]) - 1 - failed
    walked = groups.paths.passed(rows)
    assert sorted(groups.leaves) == list(range(forest.n_leaves))
    assert (len(groups.tops) == forest.n_leaves) == (growth == 0)
    for leaf in range(forest.n_leaves):
        found = groups.patterns(leaf)[passed[groups.of_leaves[leaf]]]
        np.testing.assert_array_equal(found, walked[leaf])


@pytest.mark.parametrize("name", TREES)
def test_tables_are_no_larger_than_allowed(name):
    model, space, *_ = fitted(name)
    forest = forest_of(model, space)
    own, none, twice = (Layout(groups_of(forest, np.arange(N), g), 1, 1) for g in (0, 1, GROWTH))
    assert none.n_entries <= own.n_entries
    assert len(twice.groups.tops) <= len(none.groups.tops) < len(own.groups.tops)
    n_bits = twice.groups.n_bits
    assert n_bits.max() <= max(MOST_BITS, own.groups.n_bits.max())


def test_leaves_without_a_table_are_in_no_group():
    model, space, *_ = fitted("histograms")
    forest = forest_of(model, space)
    chosen = np.flatnonzero(np.random.default_rng(0).random(forest.n_leaves) < 0.8)
    groups = groups_of(forest, np.arange(N), 100, chosen)
    assert sorted(groups.leaves) == chosen.tolist()
    assert (np.flatnonzero(groups.of_leaves < 0) == np.setdiff1d(
        np.arange(forest.n_leaves), chosen)).all()  # fmt: skip
    assert 1 < len(groups.tops) < len(chosen)


def test_where_growth_is_over_the_cap_tables_do_not_grow():
    """A tree whose leaves' own tables just fit: with growth they would not."""
    x = numbers()
    model = tree.DecisionTreeRegressor(max_depth=6, random_state=0).fit(x, answer(x))
    paths = Paths(forest_of(model, "value"), np.arange(N))
    every = np.arange(paths.forest.n_leaves)
    grown, kept = (
        Layout(Groups(paths, tops_of(paths, every, growth, 1, 1), shared=True), 1, 1).n_entries
        for growth in (GROWTH, 1)
    )
    own = Layout(Groups(paths, tops_of(paths, every, 0, 1, 1), shared=True), 1, 1).n_entries
    assert kept < grown
    for cap in (8 * grown, 8 * grown - 8):
        leaves = chosen(paths, x[:4], Cap(8 * own, 0))
        assert len(leaves) == len(every)
        tables = tables_of(paths, leaves, x[:4], np.full(4, 0.25), cap)
        assert tables.entries.nbytes == (8 * grown if cap == 8 * grown else 8 * kept)


@pytest.mark.parametrize("name", TREES)
def test_groups_that_are_far_from_each_other_add_up_too(name, monkeypatch):
    model, space, x, _ = fitted(name)
    forest = forest_of(model, space)
    rows, background = beside_thresholds(forest, x)[:5], x[:4]
    of = forest, background, np.full(4, 0.25), np.arange(N), N
    expected = game_of(*of).values(rows, ROOM)
    monkeypatch.setattr("scoring.trees.entries.NEAR", 2)
    found = game_of(*of).values(rows, ROOM)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_far_groups_that_pay_other_players(monkeypatch):
    """The first trees pay the second player, and the others the first one."""
    monkeypatch.setattr("scoring.trees.entries.NEAR", 2)
    x = np.random.default_rng(0).normal(size=(60, 2))
    model = ensemble.GradientBoostingRegressor(
        n_estimators=2, max_depth=1, warm_start=True, random_state=0
    )
    model.fit(x * [0, 1], x[:, 1]).set_params(n_estimators=4).fit(x * [1, 0], x[:, 0])
    forest = forest_of(model, "value")
    weights = np.full(9, 1 / 9)
    game = game_of(forest, x[:9], weights, np.arange(2), 2)
    expected = oracles.shapley_rows(forest.answers, x[9:12], x[:9], weights)
    np.testing.assert_allclose(game.values(x[9:12], ROOM), expected, rtol=0, atol=1e-12)


def symmetric(depth):
    """A tree that asks the same on a whole level, and its leaves."""
    inner, number = (1 << depth) - 1, np.arange((2 << depth) - 1)
    level = np.floor(np.log2(number + 1)).astype(int)
    left = np.where(number < inner, 2 * number + 1, -1)
    values = np.random.default_rng(0).normal(size=(len(number), 1))
    gaps = np.zeros(len(number), dtype=bool)
    right = np.where(left < 0, -1, left + 1)
    return Tree(left, right, level % 3, 0.1 * level, gaps, values)


def test_a_symmetric_tree_is_one_table_with_a_bit_for_every_level():
    forest = of_trees([symmetric(6), symmetric(4)], np.zeros(1))
    groups = groups_of(forest, np.arange(3))
    assert groups.n_bits.tolist() == [6, 4]
    x = np.random.default_rng(1).normal(size=(40, 3))
    weights = np.full(7, 1 / 7)
    game = game_of(forest, x[:7], weights, np.arange(3), 3)
    assert game.tables.entries.size == (3 + 1) * (2**6 + 2**4)
    expected = oracles.shapley_rows(forest.answers, x[7:], x[:7], weights)
    np.testing.assert_allclose(game.values(x[7:], ROOM), expected, atol=1e-12)
    np.testing.assert_array_equal(game.outputs(x), forest.answers(x))


def test_tables_of_older_artifacts_have_a_bit_for_every_node():
    forest = of_trees([symmetric(3)], np.zeros(1))
    groups = groups_of(forest, np.arange(3), shared=False)
    assert groups.n_bits.tolist() == [7]
    x = np.random.default_rng(1).normal(size=(40, 3))
    passed = (1 << groups.n_bits[:, np.newaxis]) - 1 - groups.failed(forest.goes_left(x))
    walked = groups.paths.passed(x)
    for leaf in range(forest.n_leaves):
        np.testing.assert_array_equal(groups.patterns(leaf)[passed[0]], walked[leaf])
    assert not Tables(groups.tops, np.empty(0)).shared
