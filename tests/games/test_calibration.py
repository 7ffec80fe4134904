"""Calibrated margins without masked rows: the same numbers as masked rows through the model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from scoring import KernelScoringExplainer, TabularExplainer, load, save
from scoring.artifact import read_manifest
from scoring.distillation import measure
from scoring.games.coupling import Coupled, coupled_probabilities
from scoring.games.expansion import Expansion
from scoring.games.layers import Layers
from scoring.games.masked import MaskedGame
from scoring.games.twin import TwinGame
from tests import oracles

N = 6


def table(n_classes=2, n_rows=120):
    rng = np.random.default_rng(3)
    x = 5 + 3 * rng.normal(size=(n_rows, N))
    score = x[:, 0] + x[:, 1] * x[:, 2] / 5 + rng.normal(size=n_rows)
    return x, np.digitize(score, np.quantile(score, np.linspace(0, 1, n_classes + 1)[1:-1]))


def base(name):
    return {
        "svc": svm.SVC(),
        "scaled svc": make_pipeline(StandardScaler(), MinMaxScaler(), svm.SVC(gamma=0.5)),
        "nu": make_pipeline(RobustScaler(), svm.NuSVC(nu=0.3)),
        "linear": svm.LinearSVC(max_iter=20_000),
        "scaled linear": make_pipeline(
            MaxAbsScaler(), StandardScaler(with_mean=False), LogisticRegression()
        ),
        "ridge": RidgeClassifier(),
    }[name]


MACHINES = ["svc", "scaled svc", "nu"]
LINEAR = ["linear", "scaled linear", "ridge"]


def held_against_masked_rows(model, x, numbers):
    view = TabularExplainer(model, x, n_background=5).view
    game = view.game(view.summary)
    assert isinstance(game, TwinGame)
    assert isinstance(game.twin.numbers, numbers)
    rows = view.predictor.schema.encode(np.concatenate([x[:3], 100 * x[:1]]))
    masks = np.random.default_rng(0).random((12, N)) < 0.5
    expected = MaskedGame(view.predictor, view.summary, 2**24).values(rows, masks)
    np.testing.assert_allclose(game.values(rows, masks), expected, atol=1e-9)
    worth = game.prepared(masks)
    np.testing.assert_allclose(worth(rows, slice(3, 9)), expected[:, 3:9], atol=1e-9)
    small = TwinGame(view.predictor, view.summary, 1, game.twin)
    np.testing.assert_allclose(small.values(rows, masks), expected, atol=1e-9)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("name", MACHINES)
def test_a_calibrated_machine_is_worth_what_masked_rows_are(name, ensemble, method):
    x, y = table()
    model = CalibratedClassifierCV(base(name), method=method, ensemble=ensemble, cv=3).fit(x, y)
    held_against_masked_rows(model, x, Expansion)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", LINEAR)
def test_calibrated_linear_margins_are_worth_what_masked_rows_are(name, n_classes, method):
    x, y = table(n_classes)
    model = CalibratedClassifierCV(base(name), method=method, cv=3).fit(x, y)
    held_against_masked_rows(model, x, Layers)


@pytest.mark.parametrize("name", LINEAR)
def test_one_sigmoid_of_one_linear_margin_is_an_exact_link(name):
    x, y = table()
    model = CalibratedClassifierCV(base(name), ensemble=False, cv=3).fit(x, y)
    explainer = TabularExplainer(model, x[:9])
    assert explainer.method == "exact link"
    expected = oracles.shapley_rows(model.predict_proba, x[-2:], x[:9])
    found = explainer.explain_local(x[-2:]).values
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_frozen_machine_is_read_through():
    x, y = table()
    frozen = FrozenEstimator(svm.SVC().fit(x[:60], y[:60]))
    model = CalibratedClassifierCV(frozen).fit(x[60:], y[60:])
    held_against_masked_rows(model, x, Expansion)


@pytest.mark.parametrize(
    "model",
    [
        CalibratedClassifierCV(GaussianNB(), cv=3),  # calibrates probabilities
        CalibratedClassifierCV(RandomForestClassifier(5), cv=3),
        CalibratedClassifierCV(svm.SVC(), cv=3, method="temperature"),
        CalibratedClassifierCV(make_pipeline(PowerTransformer(), svm.SVC()), cv=3),
        CalibratedClassifierCV(svm.SVC(kernel="poly"), cv=3),
    ],
)
def test_other_calibrated_models_take_the_generic_path(model):
    x, y = table()
    view = TabularExplainer(model.fit(x, y), x, n_background=4).view
    assert isinstance(view.game(view.summary), MaskedGame)


class Bolder(CalibratedClassifierCV):  # type: ignore[misc]  # scikit-learn has no types
    """A subclass that answers something else."""

    def predict_proba(self, x):
        return super().predict_proba(x) ** 2


def test_what_only_looks_calibrated_is_asked_itself():
    x, y = table()
    model = Bolder(svm.SVC(), cv=3).fit(x, y)
    view = TabularExplainer(model, x, n_background=4).view
    assert isinstance(view.game(view.summary), MaskedGame)
    honest = CalibratedClassifierCV(svm.SVC(), cv=3).fit(x, y)
    honest.calibrated_classifiers_[1].estimator.dual_coef_ *= 2  # libsvm has a copy of its own
    honest.calibrated_classifiers_[1].estimator.__dict__["dual_coef_"] = (
        honest.calibrated_classifiers_[1].estimator.dual_coef_
    )
    view = TabularExplainer(honest, x, n_background=4).view
    assert isinstance(view.game(view.summary), MaskedGame)


@pytest.mark.parametrize(("name", "method"), [("scaled svc", "isotonic"), ("linear", "sigmoid")])
def test_an_artifact_holds_a_calibrated_model_as_its_own_arrays(
    name, method, monkeypatch, tmp_path
):
    monkeypatch.setattr(measure, "MEASURED_CALLS", 1000)
    x, y = table()
    labels = np.where(y, "yes", "no")
    model = CalibratedClassifierCV(base(name), method=method, cv=3).fit(x, labels)
    made = KernelScoringExplainer(TabularExplainer(model, x, n_background=4))
    manifest = read_manifest(save(made, tmp_path / "artifact"))
    assert manifest["model"]["form"] == "arrays"
    again = load(tmp_path / "artifact")
    assert isinstance(again.game, TwinGame)
    rows = np.concatenate([x[:5], 30 * x[:1]])
    assert (again.predict(rows) == model.predict(rows)).all()
    one, other = made.explain_local(rows), again.explain_local(rows)
    np.testing.assert_allclose(one.values, other.values, atol=1e-12)
    np.testing.assert_allclose(other.outputs, model.predict_proba(rows), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(slope=st.floats(-5, 5), offset=st.floats(-3, 3), seed=st.integers(0, 10**6))
def test_the_table_of_couplings_is_the_iteration(slope, offset, seed):
    margins = np.random.default_rng(seed).uniform(-20, 20, 2000)
    expected = coupled_probabilities(-margins, slope, offset)[:, 1]
    np.testing.assert_allclose(Coupled(slope, offset).second(margins), expected, atol=1e-10)
