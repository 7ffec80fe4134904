"""Trees as arrays: their answers are the libraries' own, their values those of the definition."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import ensemble, tree

from scoring import ModelError
from scoring.trees.forest import Forest
from scoring.trees.game import TreeGame, tree_game
from scoring.trees.read import forest_in
from tests import oracles

N = 5
ROOM = 2**28


def forest_of(model, space) -> Forest:
    """The arrays of a model that has to be read."""
    forest = forest_in(model, space)
    assert forest is not None  # for the type checker
    return forest


def game_of(*arguments) -> TreeGame:
    """The game of trees whose paths are not too long."""
    game = tree_game(*arguments)
    assert game is not None  # for the type checker
    return game


def numbers(n=260, *, gaps=0.0, zeros=0.0):
    """Rows (n, 5) with many ties in one column, and perhaps gaps or zeros."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, N))
    x[:, 2] = np.rint(2 * x[:, 2])
    x[rng.random(x.shape) < gaps] = np.nan
    x[rng.random(x.shape) < zeros] = 0.0
    return x


def answer(x):
    """What is to be learnt: a number that several columns share."""
    z = np.nan_to_num(x)
    return z[:, 0] * z[:, 1] + z[:, 2] + (z[:, 3] > 0.5)


def classes(x, ends=(0.0,)):
    return np.digitize(answer(x), ends)


def with_categories():
    x = numbers()
    x[:, 4] = np.random.default_rng(1).integers(0, 9, len(x))
    return x, answer(x) + 3 * np.isin(x[:, 4], [1, 4, 7])


def lightgbm(name="LGBMRegressor", **options):
    module = pytest.importorskip("lightgbm", reason="an optional extra")
    return getattr(module, name)(n_estimators=12, num_leaves=15, verbosity=-1, **options)


def xgboost(name="XGBRegressor", **options):
    module = pytest.importorskip("xgboost", reason="an optional extra")
    return getattr(module, name)(n_estimators=12, **options)


BOOSTED = {"n_estimators": 12, "random_state": 0}
TREES = {
    "decision tree": lambda: (tree.DecisionTreeClassifier(random_state=0), 3, 0.0),
    "extra tree": lambda: (tree.ExtraTreeRegressor(random_state=0), 0, 0.0),
    "two targets": lambda: (tree.DecisionTreeRegressor(max_depth=5), -2, 0.0),
    "forest of two": lambda: (ensemble.RandomForestClassifier(12, random_state=0), 2, 0.0),
    "forest of three": lambda: (ensemble.RandomForestClassifier(12, random_state=0), 3, 0.0),
    "forest with gaps": lambda: (ensemble.RandomForestClassifier(12, random_state=0), 2, 0.15),
    "extra trees": lambda: (ensemble.ExtraTreesRegressor(12, random_state=0), 0, 0.0),
    "boosting of two": lambda: (ensemble.GradientBoostingClassifier(**BOOSTED), 2, 0.0),
    "boosting of three": lambda: (ensemble.GradientBoostingClassifier(**BOOSTED), 3, 0.0),
    "boosting from zero": lambda: (
        ensemble.GradientBoostingRegressor(**BOOSTED, init="zero"), 0, 0.0),
    "histograms of two": lambda: (
        ensemble.HistGradientBoostingClassifier(max_iter=12), 2, 0.15),
    "histograms of three": lambda: (
        ensemble.HistGradientBoostingClassifier(max_iter=12), 3, 0.15),
    "histograms": lambda: (ensemble.HistGradientBoostingRegressor(max_iter=12), 0, 0.15),
    "LightGBM of two": lambda: (lightgbm("LGBMClassifier"), 2, 0.15),
    "LightGBM of three": lambda: (lightgbm("LGBMClassifier"), 3, 0.0),
    "LightGBM": lambda: (lightgbm(), 0, 0.15),
    "LightGBM without gaps": lambda: (lightgbm(use_missing=False), 0, 0.0),
    "LightGBM, zeros are gaps": lambda: (lightgbm(zero_as_missing=True), 0, 0.15),
    "XGBoost of two": lambda: (xgboost("XGBClassifier", base_score=0.3), 2, 0.15),
    "XGBoost of three": lambda: (xgboost("XGBClassifier"), 3, 0.0),
    "XGBoost": lambda: (xgboost(), 0, 0.15),
}  # fmt: skip
"""The model, how many classes (0 for a regression, -2 for two targets), and the share of gaps."""


@cache
def fitted(name):
    """A model, the space in which its trees add up, its rows, and a function that asks it."""
    model, n_classes, gaps = TREES[name]()
    x = numbers(gaps=gaps, zeros=0.3 if "zeros" in name else 0.0)
    targets = {0: answer(x), -2: np.column_stack([answer(x), answer(x) ** 2])}
    y = targets.get(n_classes, classes(x, (0.0, 1.0)[: n_classes - 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    sums = "value" if n_classes <= 0 else "margin"
    boosts = any(word in type(model).__name__ for word in ("Boost", "LGBM", "XGB"))
    space = "probability" if n_classes > 0 and not boosts else sums

    def ask(rows):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # LightGBM about names of columns
            if space == "probability":
                told = model.predict_proba(rows)
            elif space == "value":
                told = model.predict(rows)
            elif hasattr(model, "decision_function"):
                told = model.decision_function(rows)
            elif "LGBM" in type(model).__name__:
                told = model.predict(rows, raw_score=True)
            else:
                told = model.predict(rows, output_margin=True)
        return np.asarray(told, dtype=np.float64).reshape(len(rows), -1)

    return model, space, x, ask


def beside_thresholds(forest, x):
    """Rows at thresholds and at their neighbours in both precisions, and 1,000 times out."""
    rng = np.random.default_rng(3)
    rows = np.repeat(x[:1], 60, axis=0)
    for row in rows:
        for node in rng.integers(0, len(forest.columns), 3):
            t = forest.thresholds[node]
            if not np.isfinite(t):  # gaps to the right, all numbers to the left
                continue
            single = np.float32(t)
            with np.errstate(over="ignore"):  # CatBoost tests for the least number there is
                near = [t, np.nextafter(t, -np.inf), np.nextafter(t, np.inf), single,
                        np.nextafter(single, np.float32(-np.inf)),
                        np.nextafter(single, np.float32(np.inf))]  # fmt: skip
            row[forest.columns[node]] = near[rng.integers(len(near))]
    return np.concatenate([rows, x[:20], 1000 * x[:20], np.zeros((1, N))])


@pytest.mark.parametrize("name", TREES)
def test_the_arrays_answer_what_the_library_answers(name):
    model, space, x, ask = fitted(name)
    forest = forest_of(model, space)
    rows = beside_thresholds(forest, x)
    expected = ask(rows)
    single = "XGBoost" in name  # adds its leaves in single precision
    scale = np.abs(expected).max()
    atol = (1e-5 if single else 1e-12) * scale
    np.testing.assert_allclose(forest.answers(rows), expected, rtol=0, atol=atol)
    if space == "probability":  # votes that tie are counted as the library counts them
        assert (forest.answers(rows) == expected).all()


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("cap_bytes", [2**29, 4000, 0])
def test_values_are_those_of_the_definition_with_tables_and_without(name, cap_bytes):
    model, space, x, _ = fitted(name)
    forest = forest_of(model, space)
    weights = np.random.default_rng(0).dirichlet(np.ones(7))
    background, rows = x[10:17], np.concatenate([x[:3], beside_thresholds(forest, x)[:3]])
    game = game_of(forest, background, weights, np.arange(N), N, cap_bytes)
    tabled = game.share_of_leaves
    assert {2**29: tabled == 1, 0: tabled == 0}.get(cap_bytes, tabled < 1)
    expected = oracles.shapley_rows(forest.answers, rows, background, weights)
    scale = np.abs(forest.answers(x)).max()
    np.testing.assert_allclose(game.values(rows, ROOM), expected, rtol=0, atol=1e-12 * scale)
    one_by_one = np.concatenate([game.values(rows[r : r + 1], 1) for r in range(len(rows))])
    np.testing.assert_allclose(one_by_one, expected, rtol=0, atol=1e-12 * scale)
    assert game.values(rows[:0], ROOM).shape == (0, *expected.shape[1:])


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 7), n_background=st.integers(1, 9),
       cap_bytes=st.sampled_from([2**29, 2000, 0]))  # fmt: skip
def test_any_tree_with_players_of_several_columns(seed, n, n_background, cap_bytes):
    rng = np.random.default_rng(seed)
    n_columns = n + int(rng.integers(0, 4))
    owners = np.concatenate([np.arange(n), rng.integers(0, n, n_columns - n)])
    x = rng.integers(-2, 3, (60, n_columns)) / 2
    y = x.sum(axis=1) + rng.normal(size=60)
    model = ensemble.RandomForestRegressor(3, random_state=seed).fit(x, y)
    weights = rng.dirichlet(np.ones(n_background))
    forest, background, row = forest_of(model, "value"), x[:n_background], x[-1]

    def worth(players):
        masked = background.copy()
        mine = np.isin(owners, list(players))
        masked[:, mine] = row[mine]
        return weights @ model.predict(masked)

    game = game_of(forest, background, weights, owners, n, cap_bytes)
    found = game.values(row[np.newaxis], ROOM)[0, :, 0]
    np.testing.assert_allclose(
        found, oracles.shapley(worth, n), rtol=0, atol=1e-12 * np.abs(y).max()
    )


def test_many_players_and_many_background_rows_walk_in_words():
    """More than 64 players and background rows: their sets are several words long."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 70))
    model = ensemble.RandomForestRegressor(5, random_state=0).fit(x, x[:, :40].sum(axis=1))
    forest = forest_of(model, "value")
    weights = rng.dirichlet(np.ones(150))
    tabled, walked = (
        game_of(forest, x[:150], weights, np.arange(70), 70, cap).values(x[200:204], ROOM)
        for cap in (2**29, 0)
    )
    np.testing.assert_allclose(walked, tabled, rtol=0, atol=1e-12 * np.abs(tabled).max())
    gap = weights @ model.predict(x[:150]) + walked[:, :, 0].sum(axis=1) - model.predict(x[200:204])
    assert np.abs(gap).max() < 1e-12 * np.abs(x.sum(axis=1)).max()


def interaction_oracle(worth, n):
    """The Shapley interaction index of every pair, by its sum over coalitions, halved."""
    from math import factorial

    answer = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            others = [k for k in range(n) if k not in (i, j)]
            for s in oracles.coalitions(len(others)) if i != j else ():
                base = {others[k] for k in s}
                share = factorial(len(s)) * factorial(n - len(s) - 2) / factorial(n - 1) / 2
                parts = [worth(frozenset(base | more)) for more in ({i, j}, {i}, {j}, set())]
                answer[i, j] += share * (parts[0] - parts[1] - parts[2] + parts[3])
    return answer


@pytest.mark.parametrize("name", ["forest of two", "boosting of three", "LightGBM"])
def test_interactions_are_those_of_the_definition(name):
    model, space, x, _ = fitted(name)
    forest = forest_of(model, space)
    weights = np.random.default_rng(0).dirichlet(np.ones(6))
    game = game_of(forest, x[:6], weights, np.arange(N), N)
    found, values = (f(x[-2:], ROOM) for f in (game.interactions, game.values))
    for output in range(values.shape[-1]):
        worth = oracles.interventional(lambda r, k=output: forest.answers(r)[:, k], x[-1], x[:6],
                                       weights)  # fmt: skip
        expected = interaction_oracle(worth, N)
        off = ~np.eye(N, dtype=bool)
        np.testing.assert_allclose(found[-1, :, :, output][off], expected[off], atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=2), values, atol=1e-12)
    light = game.without_background()
    np.testing.assert_array_equal(light.values(x[-2:], ROOM), values)
    with pytest.raises(ModelError, match="interactions=True"):
        light.interactions(x[-2:], ROOM)


def test_a_game_without_tables_keeps_its_background():
    x = numbers()
    model = tree.DecisionTreeRegressor(max_depth=4).fit(x, answer(x))
    game = game_of(forest_of(model, "value"), x[:6], np.full(6, 1 / 6), np.arange(N), N, 0)
    assert game.without_background() is game


def test_a_stump_of_one_leaf_gives_nothing_to_anybody():
    x = numbers(20)
    model = tree.DecisionTreeRegressor().fit(x, np.full(20, 7.0))
    game = game_of(forest_of(model, "value"), x[:5], np.full(5, 0.2), np.arange(N), N)
    assert (game.values(x, ROOM) == 0).all()
    assert (game.outputs(x) == 7).all()


def test_categories_go_where_the_libraries_send_them():
    x, y = with_categories()
    odd = np.repeat(x[:1], 5, axis=0)
    odd[:, 4] = [np.nan, 20, 3, -1, 0]
    booster = lightgbm(categorical_feature=[4], min_data_per_group=5, cat_smooth=1.0)
    histograms = ensemble.HistGradientBoostingRegressor(
        max_iter=12, categorical_features=[False] * 4 + [True]
    )
    for model in (booster, histograms):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, y)
        forest = forest_of(model, "value")
        assert (forest.set_of >= 0).any()
        columns = np.concatenate([x, odd[:3] if model is histograms else odd])
        seen = columns
        if model is histograms:  # it encodes and brings categories to the front itself
            seen = np.asarray(model._preprocessor.transform(columns))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = model.predict(columns)
        np.testing.assert_allclose(forest.answers(seen)[:, 0], expected, atol=1e-12)
        weights = np.full(6, 1 / 6)
        game = game_of(forest, seen[:6], weights, np.arange(N), N)
        expected = oracles.shapley_rows(forest.answers, seen[-4:], seen[:6], weights)
        np.testing.assert_allclose(game.values(seen[-4:], ROOM), expected, atol=1e-12)


class Doubled(ensemble.RandomForestClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """A subclass may answer anything."""


@pytest.mark.parametrize(
    ("model", "space"),
    [
        (Doubled(3), "probability"),
        (ensemble.GradientBoostingClassifier(n_estimators=3), "probability"),
        (ensemble.GradientBoostingClassifier(
            n_estimators=3, init=tree.DecisionTreeClassifier(max_depth=1)), "margin"),
        (ensemble.IsolationForest(n_estimators=3), "margin"),
        (ensemble.AdaBoostClassifier(n_estimators=3), "probability"),
    ],
)  # fmt: skip
def test_what_is_no_sum_of_leaves_is_not_read(model, space):
    x = numbers(60)
    assert forest_in(model.fit(x, classes(x)), space) is None


def test_linear_leaves_and_several_targets_with_classes_are_not_read():
    x = numbers()
    linear = lightgbm(linear_tree=True).fit(x, answer(x))
    several = tree.DecisionTreeClassifier(max_depth=2).fit(
        x, np.column_stack([classes(x), classes(x)])
    )
    assert forest_in(linear, "value") is None
    assert forest_in(several, "probability") is None


def test_early_stopping_counts_the_rounds_that_predict():
    x = numbers(300)
    model = xgboost(early_stopping_rounds=2, learning_rate=1.0)
    model.fit(x[:200], answer(x[:200]), eval_set=[(x[200:], answer(x[200:]))], verbose=False)
    forest = forest_of(model, "value")
    assert isinstance(forest, Forest)
    np.testing.assert_allclose(forest.answers(x)[:, 0], model.predict(x), rtol=1e-4, atol=1e-5)
