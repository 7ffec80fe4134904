"""Sums of trees of every kind: read, explained and served like the model that they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn import dummy, ensemble, linear_model, tree

from scoring import (
    ArtifactCorrupt,
    KernelScoringExplainer,
    TabularExplainer,
    artifact_sha256,
    load,
    save,
)
from scoring.artifact import read_manifest
from scoring.trees.forest import Forest
from scoring.trees.game import TreeGame
from scoring.trees.read import forest_in, why_not
from tests import oracles
from tests.trees.test_trees import N, beside_thresholds, numbers

FEW = {"n_estimators": 8}
LIGHT = {"n_estimators": 8, "verbosity": -1, "n_jobs": 1, "min_child_samples": 5}
CAT = {
    "iterations": 8, "depth": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1,
}  # fmt: skip
RF = {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}


class Constant:
    """An estimator that answers one number."""

    def fit(self, x, y, sample_weight=None):
        return self

    def predict(self, x):
        return np.full(len(x), 3.5)

    def get_params(self, deep=True):
        return {}

    def set_params(self, **params):
        return self


class Steep(Constant):
    """An estimator that answers one number, but for rows far out."""

    def predict(self, x):
        return np.where(x[:, 0] > 50, 4.5, 3.5)


def of(package, name, **options):
    module = pytest.importorskip(package, reason="an optional extra")
    return getattr(module, name)(**options)


def xgb(name="XGBRegressor", **options):
    return of("xgboost", name, **{**FEW, "n_jobs": 1, **options})


def lgb(name="LGBMRegressor", **options):
    return of("lightgbm", name, **{**LIGHT, **options})


def cat(name="CatBoostRegressor", **options):
    return of("catboost", name, **{**CAT, **options})


def bag(member, n=6, **options):
    kind = "Classifier" if hasattr(member, "predict_proba") else "Regressor"
    return getattr(ensemble, f"Bagging{kind}")(member, n, random_state=0, **options)


def vote(*members, **options):
    kind = "Classifier" if hasattr(members[0], "predict_proba") else "Regressor"
    if kind == "Classifier":
        options["voting"] = "soft"
    named = [(str(k), member) for k, member in enumerate(members)]
    return getattr(ensemble, f"Voting{kind}")(named, **options)


def forest(n=8, **options):
    return ensemble.RandomForestClassifier(n, random_state=0, **options)


def one(**options):
    return tree.DecisionTreeClassifier(random_state=0, **options)


def boosted(**options):
    return ensemble.GradientBoostingRegressor(**{**FEW, "random_state": 0, **options})


CODED = {"enable_categorical": True, "feature_types": ["q"] * (N - 1) + ["c"]}

MARGINS: dict[str, dict[str, Any]] = {
    "lightgbm": {"raw_score": True},
    "xgboost": {"output_margin": True},
    "catboost": {"prediction_type": "RawFormulaVal"},
}
"""How `predict` is asked for margins."""

# The model, what it learns, and where it takes gaps.
KINDS: dict[str, tuple[Callable[[], Any], str, bool]] = {
    "XGBoost DART": (lambda: xgb(booster="dart", rate_drop=0.5), "value", True),
    "XGBoost DART of three": (
        lambda: xgb("XGBClassifier", booster="dart", rate_drop=0.5), "three", True),
    "XGBoost forest": (lambda: xgb("XGBRFRegressor"), "value", True),
    "XGBoost forest of two": (lambda: xgb("XGBRFClassifier"), "two", True),
    "XGBoost forest of three": (lambda: xgb("XGBRFClassifier"), "three", True),
    "XGBoost of parallel trees": (
        lambda: xgb("XGBClassifier", num_parallel_tree=3, subsample=0.5), "three", True),
    "XGBoost of two targets": (xgb, "targets", True),
    "XGBoost of vectors": (lambda: xgb(multi_strategy="multi_output_tree"), "targets", True),
    "XGBoost poisson": (lambda: xgb(objective="count:poisson"), "counts", True),
    "XGBoost gamma": (lambda: xgb(objective="reg:gamma"), "counts", True),
    "XGBoost tweedie": (lambda: xgb(objective="reg:tweedie"), "counts", True),
    "XGBoost, ones are gaps": (lambda: xgb(missing=1.0), "value", True),
    "XGBoost of sets": (lambda: xgb(max_cat_to_onehot=1, **CODED), "codes", True),
    "XGBoost of single codes": (lambda: xgb(max_cat_to_onehot=99, **CODED), "codes", True),
    "XGBoost ranker": (lambda: xgb("XGBRanker"), "ranks", True),
    "LightGBM ranker": (lambda: lgb("LGBMRanker"), "ranks", True),
    "LightGBM forest": (lambda: lgb(**RF), "value", True),
    "LightGBM forest of two": (lambda: lgb("LGBMClassifier", **RF), "two", True),
    "LightGBM forest of three": (lambda: lgb("LGBMClassifier", **RF), "three", True),
    "LightGBM DART": (lambda: lgb("LGBMClassifier", boosting_type="dart"), "three", True),
    "LightGBM poisson": (lambda: lgb(objective="poisson"), "counts", True),
    "LightGBM gamma": (lambda: lgb(objective="gamma"), "counts", True),
    "LightGBM tweedie": (lambda: lgb(objective="tweedie"), "counts", True),
    "histograms poisson": (
        lambda: ensemble.HistGradientBoostingRegressor(max_iter=8, loss="poisson"), "counts", True),
    "boosting from a quantile": (
        lambda: boosted(init=dummy.DummyRegressor(strategy="quantile", quantile=0.9)),
        "value", False),
    "boosting from a class of somebody's": (lambda: boosted(init=Constant()), "value", False),
    "boosting from a flat line": (
        lambda: boosted(init=linear_model.Lasso(alpha=1e5)), "value", False),
    "boosting from shares": (
        lambda: ensemble.GradientBoostingClassifier(
            **FEW, init=dummy.DummyClassifier(strategy="prior")), "three", False),
    "bagged trees": (lambda: bag(one()), "texts", False),
    "bagged trees of some columns and classes": (
        lambda: bag(one(), 12, max_features=3, max_samples=5, bootstrap_features=True),
        "texts", False),
    "bagged forests": (lambda: bag(forest(), max_features=0.8), "texts", False),
    "bagged regressions": (
        lambda: bag(tree.DecisionTreeRegressor(max_depth=4), max_features=3), "value", False),
    "bagged boosting": (
        lambda: bag(ensemble.GradientBoostingClassifier(n_estimators=3), 3), "three-margin", False),
    "votes of trees and forests": (
        lambda: vote(one(max_depth=3), forest(), forest(5), weights=[1, 2, 0.3]), "texts", False),
    "votes of trees": (
        lambda: vote(one(max_depth=3), one(max_depth=5), weights=[0.7, 0.3]), "two-shares", False),
    "votes of bagged trees": (lambda: vote(bag(forest(3), 2), one()), "two-shares", False),
    "votes of all libraries": (
        lambda: vote(boosted(), lgb(), xgb(), tree.DecisionTreeRegressor(max_depth=4),
                     ensemble.HistGradientBoostingRegressor(max_iter=8),
                     weights=[1, 2, 3, 4, 0.5]), "value", False),
    "CatBoost": (cat, "value", True),
    "CatBoost, gaps are high": (lambda: cat(nan_mode="Max"), "value", True),
    "CatBoost of two": (lambda: cat("CatBoostClassifier"), "two", True),
    "CatBoost lossguide": (lambda: cat(grow_policy="Lossguide"), "value", True),
    "CatBoost poisson": (lambda: cat(loss_function="Poisson"), "counts", True),
    "CatBoost of two targets": (lambda: cat(loss_function="MultiRMSE"), "targets", True),
    "CatBoost ranker": (lambda: cat("CatBoostRanker"), "ranks", True),
}  # fmt: skip


class Known(NamedTuple):
    """A fitted model, the space in which its trees add up, its rows, and how it is asked."""

    model: Any
    space: Any
    x: Any
    ask: Callable[[Any], Any]


def target(x, learns):
    z = np.nan_to_num(x)
    z = z[:, 0] * z[:, 1] + z[:, 2] + (z[:, 3] > 0.5)
    return {
        "value": z,
        "codes": z + 3 * np.isin(x[:, -1], [1, 4, 7]),
        "counts": np.exp(z / 2),
        "targets": np.column_stack([z, z**2]),
        "two": (z > 0).astype(int),
        "three": np.digitize(z, [-0.5, 0.5]),
        "ranks": np.digitize(z, [-0.5, 0.5]),
        "texts": np.array(["b", "a", "z"])[np.digitize(z, [-0.5, 0.5])],
    }[learns.partition("-")[0]]


@cache
def known(name):
    make, learns, gaps = KINDS[name]
    model, x = make(), numbers(gaps=0.1 if gaps and "codes" not in learns else 0.0)
    if learns == "codes":
        x[:, -1] = np.random.default_rng(1).integers(0, 9, len(x))
    options: dict[str, Any] = {}
    if learns == "ranks":
        halves = np.repeat([0, 1], len(x) // 2)
        options = {"group_id": halves} if "Cat" in name else {"group": [len(x) // 2] * 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, target(x, learns), **options)
    shares = learns in {"texts", "two-shares"}
    values = learns in {"value", "codes", "targets", "ranks"}
    space = "probability" if shares else "value" if values else "margin"

    def ask(rows):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if space == "probability":
                told = model.predict_proba(rows)
            elif space == "value":
                told = model.predict(rows)
            elif hasattr(model, "decision_function"):
                told = model.decision_function(rows)
            elif "Hist" in type(model).__name__:
                told = np.log(model.predict(rows))
            else:
                word = type(model).__module__.partition(".")[0]
                told = model.predict(rows, **MARGINS[word])
        return np.asarray(told, dtype=np.float64).reshape(len(rows), -1)

    return Known(model, space, x, ask)


def wide(read, x, *, gaps):
    """Rows beside thresholds, at the ends of numbers, at odd codes, and with gaps."""
    rng = np.random.default_rng(0)
    ends = [1e30, -1e30, 3e38, 1e-40, -1e-40, 0.0, -0.0, 1e-36, 1.0, 0.5, -1, -0.5, 8, 9, 100, 2.5]
    far = np.repeat(x[:20], 4, axis=0)
    far[np.arange(80), rng.integers(0, N, 80)] = rng.choice(ends, 80)
    rows = np.concatenate([beside_thresholds(read, x), far])
    if gaps:
        some = rows[:60].copy()
        some[rng.random(some.shape) < 0.2] = np.nan
        rows = np.concatenate([rows, some])
    return rows


@pytest.mark.parametrize("name", KINDS)
def test_leaves_add_up_to_what_the_library_answers(name):
    model, space, x, ask = known(name)
    read = forest_in(model, space)
    assert isinstance(read, Forest)
    rows = wide(read, x, gaps=KINDS[name][2])
    expected = ask(rows)
    single = "XGB" in name or "all libraries" in name
    atol = (1e-6 if single else 1e-12) * np.ptp(expected, axis=0).max()
    np.testing.assert_allclose(read.answers(rows), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("name", KINDS)
def test_an_artifact_predicts_and_explains_like_the_model(name, tmp_path):
    model, space, x, ask = known(name)
    explainer = TabularExplainer(model, x[:25], output_space=space)
    assert explainer.method == "exact tree"
    save(KernelScoringExplainer(explainer, reference_rows=0), tmp_path)
    loaded = load(tmp_path, artifact_sha256(tmp_path))
    scale = np.ptp(ask(x), axis=0).max()
    expected = oracles.shapley_rows(ask, x[-2:], x[:25])
    found = loaded.explain_local(x[-2:])
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-6 * scale)
    assert found.additivity_gap.max() < 1e-6 * scale
    predicted, right = loaded.predict(x[30:]), np.asarray(model.predict(x[30:]))
    if KINDS[name][1].partition("-")[0] in {"two", "three", "texts"}:
        assert (predicted == right).all()
    else:
        assert np.abs(predicted - right).max() < 1e-6 * np.ptp(right)
    forest_averages = "LightGBM forest of" in name  # their margins are sums, their shares means
    expected_form = {"skops"} if forest_averages else {"arrays", "onnx"}
    assert read_manifest(tmp_path)["model"]["form"] in expected_form


@pytest.mark.parametrize("members", [(2, 2), (4, 6), (10, 10)])
def test_votes_that_tie_are_counted_as_the_library_counts_them(members, tmp_path):
    """Forests of few trees tie often: a last place would decide for another class."""
    x = np.random.default_rng(0).normal(size=(120, 4))
    y = np.where(x[:, 0] * x[:, 1] > 0, "yes", "no")
    forests = [forest(n, max_depth=None, max_features=k + 1) for k, n in enumerate(members)]
    model = vote(*forests).fit(x[:60], y[:60])
    rows = np.random.default_rng(1).normal(size=(3000, 4))
    shares = model.predict_proba(rows)
    assert (np.abs(shares[:, 0] - 0.5) < 1e-9).sum() > 30
    read = forest_in(model, "probability")
    assert read is not None
    assert (read.answers(rows) == shares).all()
    save(KernelScoringExplainer(TabularExplainer(model, x[:20]), reference_rows=0), tmp_path)
    assert read_manifest(tmp_path)["model"]["form"] == "arrays"
    assert (load(tmp_path).predict(rows) == model.predict(rows)).all()


def test_a_regression_with_a_log_link_predicts_from_its_margin(tmp_path):
    model, _, x, _ = known("histograms poisson")
    plain = TabularExplainer(model, x[:20])
    assert (plain.explain_local(x[:1]).output_space, plain.method) == ("value", "exact enumeration")
    scoring = KernelScoringExplainer(plain, output_spaces=["margin"], reference_rows=0)
    save(scoring, tmp_path)
    loaded = load(tmp_path)
    for space, link in (("value", lambda z: z), ("margin", np.log)):
        each = loaded.in_space(space) if space == "margin" else loaded
        found = each.explain_local(x[-3:])
        np.testing.assert_allclose(found.outputs[:, 0], link(model.predict(x[-3:])), atol=1e-12)
        np.testing.assert_allclose(each.predict(x[-3:]), model.predict(x[-3:]), rtol=1e-12)
        assert found.additivity_gap.max() < 1e-12


@pytest.mark.parametrize("broken", ["sections", "section_scales"])
def test_sections_that_do_not_fit_are_refused(broken, tmp_path):
    x = numbers()
    model = vote(forest(3), forest(2)).fit(x, target(x, "two"))
    scoring = KernelScoringExplainer(TabularExplainer(model, x[:9]), reference_rows=0)
    assert scoring.exact is not None
    assert isinstance(scoring.exact.game, TreeGame)
    array = getattr(scoring.exact.game.forest, broken)
    array += 1 if broken == "sections" else np.nan
    with pytest.raises(ArtifactCorrupt):
        save(scoring, tmp_path)


@pytest.mark.parametrize(
    ("make", "space", "why"),
    [
        (lambda: boosted(init=tree.DecisionTreeRegressor(max_depth=1)), "value", "init"),
        (lambda: boosted(init=Steep()), "value", "init"),
        (lambda: xgb(booster="gblinear"), "value", "linear"),
        (lambda: xgb(objective="count:poisson"), "value", "output_space='margin'"),
        (lambda: lgb(linear_tree=True), "value", "linear functions"),
        (lambda: bag(linear_model.LinearRegression()), "value", "LinearRegression"),
        (lambda: vote(boosted(), linear_model.Ridge()), "value", "Ridge"),
    ],
)
def test_what_is_no_sum_has_a_reason(make, space, why):
    x = numbers()
    model = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, target(x, "counts"))
    assert forest_in(model, space) is None
    assert why in str(why_not(model, space))
