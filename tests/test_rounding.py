"""Exactness is judged on the spread of the answers, and at the model's own precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import ensemble, linear_model

from scoring import KernelScoringExplainer, TabularExplainer, TreeScoringExplainer, load, save
from scoring.distillation import structure
from scoring.distillation.rounding import agreement
from scoring.trees.forest import Forest
from scoring.trees.game import tree_game
from scoring.trees.read import forest_in
from tests import oracles

OFFSET = 2_460_000.0


def dates(n=300):
    """Days that vary by a week around a Julian date."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 3))
    return x, OFFSET + 5 * x[:, 0] + 4 * rng.normal(size=n)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Trees of days in single precision, stopped early and loaded from their file."""
    xgboost = pytest.importorskip("xgboost", reason="an optional extra")
    x, y = dates(400)
    fitted = xgboost.XGBRegressor(
        n_estimators=120, learning_rate=0.3, early_stopping_rounds=50, n_jobs=1
    )
    fitted.fit(x[:250], y[:250], eval_set=[(x[250:], y[250:])], verbose=False)
    path = tmp_path_factory.mktemp("model") / "m.json"
    fitted.save_model(path)
    model = xgboost.XGBRegressor()
    model.load_model(path)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    return model, x


def test_a_large_offset_in_single_precision_is_explained_and_its_cost_told(stopped, tmp_path):
    model, x = stopped
    scoring = TreeScoringExplainer(TabularExplainer(model, x[:50]), reference_rows=0)
    save(scoring, tmp_path)
    expected = oracles.shapley_rows(
        lambda rows: model.predict(rows).astype(float) - OFFSET, x[300:304], x[:50]
    )
    for each in (scoring, load(tmp_path)):
        found = each.explain_local(x[300:304])
        assert found.method == "exact tree"
        atol = 0.05 * np.abs(expected).max()
        np.testing.assert_allclose(found.values[:, :, 0], expected, rtol=0, atol=atol)
        assert (each.predict(x) == model.predict(x)).all()
    told = scoring.report["model_rounding"]
    assert told["precision"] == "float32"
    assert 0.05 < told["largest_difference"] < 2  # float32 tells a quarter of a day apart there
    assert 0.001 < told["share_of_spread"] < 0.1


def test_trees_that_predict_and_are_not_read_are_no_rounding(stopped, monkeypatch):
    """Of an answer of 2,460,000 the last rounds are nothing, and of its spread they are much."""
    model, x = stopped
    few = forest_in(model, "value")
    all_of_them = forest_in(model.get_booster(), "value")
    assert isinstance(few, Forest)
    monkeypatch.setattr(structure, "forest_in", lambda *_: all_of_them)
    explainer = TabularExplainer(model, x[:50])
    assert explainer.method == "exact enumeration"
    assert "answers otherwise" in KernelScoringExplainer(explainer).report["structure"]


@pytest.mark.parametrize("moved", [1e-6, 1e-3])
def test_a_difference_is_measured_by_the_spread_in_double_precision(moved):
    x, y = dates()
    model = ensemble.RandomForestRegressor(5, max_depth=3, random_state=0).fit(x, y)
    read = forest_in(model, "value")
    assert read is not None
    told = model.predict(x)[:, np.newaxis]
    every = np.arange(3)
    for forest, explained in ((read, True), (replace(read, base=read.base + moved), False)):
        game = tree_game(forest, x[:5], np.full(5, 0.2), every, 3)
        assert game is not None
        found = agreement(game, x, told, single=False, targets=True)
        assert found.explained == explained
        assert found.precision == "float64"
        assert found.difference == pytest.approx(0 if explained else moved, abs=1e-8)


def test_every_target_has_a_spread_of_its_own():
    """A second target, a million times larger, hides nothing of the first."""
    x, _ = dates()
    y = np.column_stack([x[:, 0], 1e6 * x[:, 1]])
    model = ensemble.RandomForestRegressor(3, max_depth=3, random_state=0).fit(x, y)
    read = forest_in(model, "value")
    assert read is not None
    off = replace(read, base=np.array([1e-5, 0.0]))
    game = tree_game(off, x[:5], np.full(5, 0.2), np.arange(3), 3)
    assert game is not None
    assert not agreement(game, x, model.predict(x), single=False, targets=True).explained
    assert agreement(game, x, model.predict(x), single=False, targets=False).explained


def test_a_model_that_held_out_rows_show_to_answer_otherwise_is_asked_itself(monkeypatch):
    x = np.random.default_rng(0).normal(size=(80, 3))
    model = linear_model.LinearRegression().fit(x, x @ [1.0, 2.0, 3.0])
    own = model.predict
    monkeypatch.setattr(model, "predict", lambda rows: np.minimum(own(rows), 50.0))
    explainer = TabularExplainer(model, x[:20])
    assert explainer.method == "exact linear"
    scoring = KernelScoringExplainer(explainer, validation=50 * x[20:40], reference_rows=0)
    assert scoring.method == "exact enumeration"
    assert "asked itself" in scoring.report["structure"]
    assert scoring.explain_local(50 * x[20:40]).additivity_gap.max() < 1e-9
    honest = KernelScoringExplainer(explainer, validation=x[20:40], reference_rows=0)
    assert honest.method == "exact linear"
    assert honest.report["model_rounding"]["share_of_spread"] < 1e-12
