"""The trees that predict are the trees that are explained, however the rounds were cut short."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble

from scoring.trees.read import forest_in

LONG = {"n_estimators": 60, "learning_rate": 0.5, "max_depth": 3}


def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    return x, x[:, 0] + rng.normal(size=300)


def halves():
    x, y = table()
    return (x[:200], y[:200]), {"eval_set": [(x[200:], y[200:])]}


def agrees(model, n_trees=None, space="value", ask=None):
    """Whether the leaves of the trees that were read add up to predictions."""
    x = table()[0]
    read = forest_in(model, space)
    assert read is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray((ask or model.predict)(x), dtype=np.float64).reshape(len(x), -1)
    np.testing.assert_allclose(read.answers(x), expected, atol=1e-6 * np.ptp(expected))
    assert n_trees is None or read.n_trees == n_trees
    return read.n_trees


@pytest.fixture
def xgboost():
    return pytest.importorskip("xgboost", reason="an optional extra")


@pytest.fixture
def lightgbm():
    return pytest.importorskip("lightgbm", reason="an optional extra")


@pytest.fixture
def catboost():
    return pytest.importorskip("catboost", reason="an optional extra")


@pytest.mark.parametrize("how", ["parameter", "callback", "best", "dart"])
def test_xgboost_stops_early(xgboost, how, tmp_path):
    ways: dict[str, dict[str, Any]] = {
        "parameter": {"early_stopping_rounds": 5},
        "callback": {"callbacks": [xgboost.callback.EarlyStopping(rounds=5)]},
        "best": {"callbacks": [xgboost.callback.EarlyStopping(rounds=5, save_best=True)]},
        "dart": {"early_stopping_rounds": 5, "booster": "dart", "rate_drop": 0.2},
    }
    given, held_out = halves()
    model = xgboost.XGBRegressor(**LONG, **ways[how]).fit(*given, **held_out, verbose=False)
    n_trees = agrees(model)
    assert n_trees < LONG["n_estimators"]
    assert how == "best" or n_trees < model.get_booster().num_boosted_rounds()
    agrees(pickle.loads(pickle.dumps(model)), n_trees)
    for suffix in ("json", "ubj"):
        model.save_model(tmp_path / f"m.{suffix}")
        loaded = xgboost.XGBRegressor()
        loaded.load_model(tmp_path / f"m.{suffix}")
        agrees(loaded, n_trees)


def test_xgboost_of_several_classes_and_trees_a_round(xgboost):
    (x, y), held_out = halves()
    classes = np.digitize(y, [-0.5, 0.5])
    held_out["eval_set"] = [(a, np.digitize(b, [-0.5, 0.5])) for a, b in held_out["eval_set"]]
    model = xgboost.XGBClassifier(
        **LONG, early_stopping_rounds=3, num_parallel_tree=2, subsample=0.7
    ).fit(x, classes, **held_out, verbose=False)
    n_trees = agrees(model, None, "margin", lambda rows: model.predict(rows, output_margin=True))
    assert n_trees == 6 * (model.best_iteration + 1)


def test_xgboost_is_sliced(xgboost):
    model = xgboost.XGBRegressor(**LONG).fit(*table())
    model._Booster = model.get_booster()[3:20]
    agrees(model, 17)
    given, held_out = halves()
    model = xgboost.XGBRegressor(**LONG, early_stopping_rounds=5)
    model.fit(*given, **held_out, verbose=False)
    model._Booster = model.get_booster()[:2]
    agrees(model, 2)


def test_a_native_booster_of_xgboost_predicts_with_all_its_rounds(xgboost):
    (x, y), held_out = halves()
    watched = [(xgboost.DMatrix(*held_out["eval_set"][0]), "watched")]
    booster = xgboost.train(
        {"max_depth": 3}, xgboost.DMatrix(x, y), 60, evals=watched, early_stopping_rounds=5,
        verbose_eval=False,
    )  # fmt: skip
    n_trees = agrees(booster, None, "value", lambda rows: booster.predict(xgboost.DMatrix(rows)))
    assert n_trees > booster.best_iteration + 1


@pytest.mark.parametrize("boosting", ["gbdt", "rf"])
def test_lightgbm_stops_early(lightgbm, boosting):
    given, held_out = halves()
    options = {"verbosity": -1, "n_jobs": 1, "boosting_type": boosting}
    if boosting == "rf":
        options |= {"bagging_freq": 1, "bagging_fraction": 0.6}
    stop = [lightgbm.early_stopping(5, verbose=False)]
    model = lightgbm.LGBMRegressor(**LONG, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eval_set has another name in later versions
        model.fit(*given, **held_out, callbacks=stop)
    agrees(model, model.best_iteration_)
    agrees(pickle.loads(pickle.dumps(model)), model.best_iteration_)
    model.booster_.best_iteration = 1
    agrees(model, 1)
    native = lightgbm.Booster(model_str=model.booster_.model_to_string(num_iteration=2))
    agrees(native, 2)


def test_catboost_shrinks(catboost):
    (x, y), held_out = halves()
    options = {"verbose": 0, "allow_writing_files": False, "thread_count": 1, "depth": 3}
    model = catboost.CatBoostRegressor(60, learning_rate=0.5, **options)
    model.fit(x, y, **held_out, early_stopping_rounds=5)
    assert agrees(model, model.tree_count_) < 60
    model = catboost.CatBoostRegressor(60, **options).fit(x, y)
    model.shrink(20, ntree_start=5)
    agrees(model, 15)
    model.set_scale_and_bias(2.0, 5.0)
    agrees(model, 15)


def test_scikit_learn_stops_early():
    given, _ = table(), None
    boosted = ensemble.GradientBoostingRegressor(n_estimators=200, n_iter_no_change=2).fit(*given)
    agrees(boosted, boosted.n_estimators_)
    histograms = ensemble.HistGradientBoostingRegressor(
        max_iter=200, early_stopping=True, n_iter_no_change=2
    ).fit(*given)
    agrees(histograms, histograms.n_iter_)
