"""Bad input at distillation and scoring on the kernel path: no crash, no number made up."""

from __future__ import annotations

import json
import time
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import dummy, ensemble, linear_model, neural_network, svm

from scoring import (
    FidelityError,
    KernelScoringExplainer,
    ModelError,
    TabularExplainer,
    coalitions,
    kriging,
    load,
    save,
    solve,
)
from scoring.distillation import measure
from scoring.games.masked import MaskedGame
from scoring.games.twin import TwinGame
from scoring.manifest import plain
from tests import oracles

FEW, MANY = 5, 14  # features: all coalitions, and a sample of them


def table(n_features, n_rows=60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, n_features))
    return x, (x[:, 0] + x[:, -1] > 0).astype(int)


def beyond(answer, limit=4.0):
    """A model without an answer where the first feature is larger than in training."""

    def f(x):
        return np.where(x[:, 0] > limit, answer, np.sin(x.sum(axis=1)))

    return f


def told(scoring):
    """The report, as an artifact's manifest can hold it."""
    return json.loads(json.dumps(plain(scoring.report), allow_nan=False))


@pytest.mark.parametrize("n", [FEW, MANY])
@pytest.mark.parametrize("answer", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_finite_answer_has_no_values_and_the_others_have_theirs(n, answer):
    x, _ = table(n)
    rows = x[:4].copy()
    rows[2, 0] = 5.0
    scoring = KernelScoringExplainer(TabularExplainer(beyond(answer), x[:20]))
    found = scoring.explain_local(rows)
    assert not np.isfinite(found.values[2]).any()
    assert not np.isfinite(found.additivity_gap[2])
    some = [0, 1, 3]
    alone = scoring.explain_local(rows[some])
    np.testing.assert_allclose(found.values[some], alone.values, atol=1e-12)
    assert found.additivity_gap[some].max() < 1e-12
    assert found.standard_errors is not None
    assert np.isfinite(found.standard_errors[some]).all()
    if n == FEW:
        expected = oracles.shapley_rows(beyond(answer), rows[some], x[:20])[..., np.newaxis]
        np.testing.assert_allclose(found.values[some], expected, atol=1e-12)


@pytest.mark.parametrize("answer", [np.inf, -np.inf])
def test_an_infinite_value_has_no_known_gap(answer):
    x, _ = table(1)
    scoring = KernelScoringExplainer(TabularExplainer(beyond(answer), x[:20]))
    found = scoring.explain_local(np.array([[5.0], [1.0]]))
    assert not np.isfinite(found.values[0]).any()
    assert np.isnan(found.additivity_gap[0])
    assert found.additivity_gap[1] < 1e-12


@pytest.mark.parametrize("n", [FEW, MANY])
@pytest.mark.parametrize("answers", [(np.nan, np.nan), (np.inf, -np.inf)])
def test_coalitions_without_a_finite_answer_leave_a_row_without_values(n, answers):
    """The row itself is answered, as is the background; some of their mixtures are not."""
    x, _ = table(n)

    def f(a):
        mixed = (a[:, 0] > 4) & (a[:, 1] < 4)
        other = (a[:, 0] < 4) & (a[:, 1] > 4)
        return np.select([mixed, other], answers, np.sin(a.sum(axis=1)))

    rows = x[:3].copy()
    rows[1, :2] = 5.0
    scoring = KernelScoringExplainer(TabularExplainer(f, x[:20]))
    found = scoring.explain_local(rows)
    assert np.isfinite(found.outputs).all()
    assert np.isnan(found.values[1]).any()
    assert np.isfinite(found.values[[0, 2]]).all()


@pytest.mark.parametrize("n", [FEW, MANY])
def test_rows_without_an_answer_are_told_apart_when_measuring(n, monkeypatch):
    monkeypatch.setattr(measure, "MEASURED_CALLS", 100_000)  # time for two rows, or for all
    x, _ = table(n)
    validation = x[20:40].copy()
    validation[::4, 0] = 5.0
    explainer = TabularExplainer(beyond(np.nan), x[:20])
    asked = None if n == FEW else 1000
    scoring = KernelScoringExplainer(explainer, validation=validation, n_coalitions=asked)
    rows = told(scoring)["rows"]
    assert rows["unanswered"] > 0
    assert rows["measured"] > 0
    assert rows["measured"] == (8 - rows["unanswered"] if n == FEW else 2)
    assert scoring.report["relative_rms_error"] < 0.5
    assert scoring.report["additivity_gap"] < 1e-12
    validation[:, 0] = 5.0
    with pytest.raises(ModelError, match="not finite"):
        KernelScoringExplainer(explainer, validation=validation, n_coalitions=asked)


@pytest.mark.parametrize("n", [FEW, MANY])
@pytest.mark.parametrize("answer", [np.nan, np.inf])
def test_a_background_without_finite_answers_is_refused(n, answer):
    x, _ = table(n)
    models = (beyond(answer, 1.0), lambda a: np.full(len(a), answer))
    for model in models:
        with pytest.raises(ModelError, match="initialization set"):
            KernelScoringExplainer(TabularExplainer(model, x))


def test_what_a_summary_costs_is_unknown_where_training_has_rows_without_an_answer():
    x, _ = table(MANY, 200)
    x[7, 0] = 5.0  # alone in its cluster, or drawn to its centre
    seen = TabularExplainer(beyond(np.nan), x, n_background=10)
    kept = seen.summary.table.codes[:, 0].max()
    scoring = KernelScoringExplainer(TabularExplainer(beyond(np.nan, kept), x, n_background=10))
    error = told(scoring)["background_error"]
    assert error["relative_rms"] is None
    assert "unknown" in error["measured_by"]
    assert scoring.explain_local(x[:1]).background_error is None


@pytest.mark.parametrize("n", [FEW, MANY])
@pytest.mark.parametrize("constant", [0.0, 3.0, -1e9])
def test_a_constant_model_has_values_of_zero_and_no_error(n, constant):
    x, _ = table(n)
    explainer = TabularExplainer(lambda a: np.full(len(a), constant), x[:20])
    asked = None if n == FEW else 12 * n
    scoring = KernelScoringExplainer(explainer, tolerance=1e-6, n_coalitions=asked)
    found = scoring.explain_local(x[-3:])
    assert np.abs(found.values).max() <= 1e-12 * max(1.0, abs(constant))
    assert found.standard_errors is not None
    assert found.standard_errors.max() <= 1e-12 * max(1.0, abs(constant))
    assert told(scoring)["relative_rms_error"] == 0.0


@pytest.mark.parametrize("n", [FEW, MANY])
@pytest.mark.parametrize("n_rows", [1, 2, 60, 150])
def test_features_without_variance_get_nothing(n, n_rows):
    x, _ = table(n, 150)
    x[:, 2] = 1.0

    def f(a):
        return np.sin(a.sum(axis=1))

    scoring = KernelScoringExplainer(TabularExplainer(f, x[:n_rows]))
    found = scoring.explain_local(x[-3:])
    scale = np.abs(found.values).max()
    # Kriging gives a feature that does nothing what the sample of coalitions leaves open.
    assert np.abs(found.values[:, 2]).max() < (1e-12 if n == FEW else 0.15 * scale)
    assert found.additivity_gap.max() < 1e-12
    if n == FEW:
        weights = scoring.background.weights
        codes = scoring.background.table.codes
        expected = oracles.shapley_rows(f, x[-3:], codes, weights)[..., np.newaxis]
        np.testing.assert_allclose(found.values, expected, atol=1e-12)


def test_rows_that_are_all_the_same_have_values_of_zero():
    x = np.ones((10, MANY))
    scoring = KernelScoringExplainer(TabularExplainer(lambda a: np.sin(a.sum(axis=1)), x))
    assert np.abs(scoring.explain_local(x[:2]).values).max() < 1e-12
    assert told(scoring)["relative_rms_error"] == 0.0


@pytest.mark.parametrize("n", [1, FEW, MANY])
def test_training_data_of_one_class(n, tmp_path):
    x, _ = table(n)
    for model in (ensemble.RandomForestClassifier(3), dummy.DummyClassifier()):
        model.fit(x, np.zeros(len(x)))
        scoring = KernelScoringExplainer(TabularExplainer(model, x[:20], method="kernel"))
        found = scoring.explain_local(x[-2:])
        assert found.values.shape == (2, n, 1)
        assert np.abs(found.values).max() < 1e-12
        np.testing.assert_allclose(found.outputs, 1.0)
    machine = svm.SVC()
    with pytest.raises(ValueError, match="class"):
        machine.fit(x, np.zeros(len(x)))


ONE_FEATURE = {
    "function": (lambda x, y: lambda a: np.sin(3 * a[:, 0]), MaskedGame),
    "machine": (lambda x, y: svm.SVC().fit(x, y), TwinGame),
    "network": (
        lambda x, y: neural_network.MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs").fit(
            x, x[:, 0]
        ),
        TwinGame,
    ),
    "line": (lambda x, y: linear_model.LogisticRegression().fit(x, y), MaskedGame),
}


@pytest.mark.parametrize("name", ONE_FEATURE)
@pytest.mark.parametrize("n_rows", [1, 2, 60, 150])
def test_one_feature_gets_all_that_the_row_differs_by(name, n_rows, tmp_path):
    x, y = table(1, 150)
    make, game = ONE_FEATURE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged, nor has to
        model = make(x, y)
    explainer = TabularExplainer(model, x[:n_rows], method="kernel")
    assert isinstance(explainer.view.kernel.game, game)
    scoring = KernelScoringExplainer(explainer, method="kernel")
    every: list[Any] = [explainer, scoring]
    if name != "function":
        save(scoring, tmp_path / "artifact")
        every.append(load(tmp_path / "artifact"))
    for each in every:
        found = each.explain_local(x[-3:])
        expected = (found.outputs - found.base_values)[:, np.newaxis]
        np.testing.assert_allclose(found.values, expected, atol=1e-12)
        assert found.values.shape[:2] == (3, 1)


@pytest.mark.parametrize("n", [FEW, MANY])
@pytest.mark.parametrize("n_rows", [1, 2])
def test_one_or_two_rows_to_start_from(n, n_rows):
    x, _ = table(n)

    def f(a):
        return np.sin(a[:, 0] + a[:, 1]) + a[:, -1] * a[:, 2]

    scoring = KernelScoringExplainer(TabularExplainer(f, x[:n_rows]))
    found = scoring.explain_local(x[-3:])
    assert found.background == f"all rows ({n_rows})"
    assert found.additivity_gap.max() < 1e-12
    if n == FEW:
        expected = oracles.shapley_rows(f, x[-3:], x[:n_rows])[..., np.newaxis]
        np.testing.assert_allclose(found.values, expected, atol=1e-12)
    told(scoring)


def test_an_error_that_is_not_known_misses_every_tolerance():
    """Rows that are measured have values from the reference, and not from the design."""
    x, _ = table(MANY)
    reference = coalitions.sample(MANY, 112, 1).masks
    designs = [coalitions.sample(MANY, 56, 0).masks]
    only = next(m for m in designs[0][2 * MANY :] if not (reference == m).all(axis=1).any())

    def f(a):
        """No answer for one coalition of the design against any background."""
        hit = ((a > 10) == only).all(axis=1)
        return np.where(hit, np.nan, a.sum(axis=1))

    validation = np.full((20, MANY), 11.0) + x[:20]
    validation[validation < 10.5] = 10.5
    explainer = TabularExplainer(f, x[:20])
    knobs = {"validation": validation, "n_coalitions": 56}
    with pytest.raises(FidelityError):
        KernelScoringExplainer(explainer, tolerance=0.5, **knobs)
    missed = KernelScoringExplainer(explainer, tolerance=0.5, strict=False, **knobs)
    assert told(missed)["within_tolerance"] is False
    assert told(missed)["relative_rms_error"] is None


@pytest.mark.parametrize("n", [100, 500])
def test_additive_games_come_out_to_the_ninth_digit_with_many_features(n):
    rng = np.random.default_rng(n)
    design = coalitions.sample(n, coalitions.default_coalitions(n), 0)
    every = np.concatenate([np.zeros((1, n)), design.masks, np.ones((1, n))])
    worth = rng.normal(size=(n, 3))
    operators = [solve.regression_operator(design.masks, design.weights)]
    operators += [kriging.kriging_operator(design.masks, s) for s in ((0.03, 1e-8), (1.2, 1e-2))]
    for operator in operators:
        np.testing.assert_allclose(operator @ (every @ worth + 3.0), worth, atol=1e-9)


@pytest.mark.slow
def test_five_hundred_features_on_the_kernel_path_stay_small():
    """No array of (n_coalitions, n_features, n_features): that alone would be 6 GB."""
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(20, 500)), rng.normal(size=500)

    def f(a):
        return a @ weights

    start = time.perf_counter()
    tracemalloc.start()
    scoring = KernelScoringExplainer(TabularExplainer(f, x))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.perf_counter() - start < 300
    assert scoring.design is not None
    n_coalitions = scoring.design.n_coalitions
    assert peak < 0.25 * 8 * n_coalitions * 500 * 500
    rows = rng.normal(size=(3, 500))
    found = scoring.explain_local(rows)
    expected = (weights * (rows - x.mean(axis=0)))[..., np.newaxis]
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
