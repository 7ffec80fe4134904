"""The kernel machines' own value function against the generic one, and against the definition."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn import svm
from sklearn.kernel_ridge import KernelRidge

from scoring import KernelScoringExplainer, TabularExplainer, load, save
from scoring.artifact import read_manifest
from scoring.distillation import measure
from scoring.games.coupling import coupled_probabilities
from scoring.games.expansion import Expansion
from scoring.games.masked import MaskedGame
from scoring.games.twin import TwinGame
from tests import oracles

MACHINES = [
    (svm.SVC(gamma=0.2, C=10.0, probability=True, random_state=0), "probability"),
    (svm.SVC(gamma="scale"), "margin"),
    (svm.NuSVC(gamma="auto", probability=True, random_state=0), "probability"),
    (svm.SVR(), "value"),
    (svm.NuSVR(C=3.0), "value"),
    (svm.OneClassSVM(), "margin"),
    (KernelRidge(kernel="rbf"), "value"),
    (KernelRidge(kernel="rbf", gamma=0.05), "value"),
]


def is_machine(game):
    """Whether values come from a machine's numbers."""
    return isinstance(game, TwinGame) and isinstance(game.twin.numbers, Expansion)


def table(n_features, n_rows=90):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n_rows, n_features))
    return x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int)


def outputs(machine, space, rows):
    ask = {"probability": "predict_proba", "margin": "decision_function", "value": "predict"}
    return np.asarray(getattr(machine, ask[space])(rows)).reshape(len(rows), -1)


@pytest.mark.parametrize(("machine", "space"), MACHINES)
@pytest.mark.parametrize("block_bytes", [1, 50_000, 2**28])
def test_the_twin_answers_what_the_model_answers(machine, space, block_bytes):
    x, y = table(14)
    explainer = TabularExplainer(
        machine.fit(x, y), x[:20], output_space=space, n_coalitions=60, block_bytes=block_bytes
    )
    game = explainer.view.kernel.game
    assert is_machine(game)
    generic = MaskedGame(game.predictor, game.background, 2**28)
    rows = explainer.predictor.schema.encode(np.concatenate([x[-3:], 100 * x[:1]]))
    masks = np.random.default_rng(2).random((40, 14)) < 0.5
    expected = generic.values(rows, masks)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(game.values(rows, masks), expected, atol=1e-9 * scale)


@pytest.mark.parametrize(("machine", "space"), MACHINES)
def test_values_are_those_of_the_definition(machine, space):
    x, y = table(5)
    explainer = TabularExplainer(machine.fit(x, y), x[:12], output_space=space)
    assert is_machine(explainer.view.kernel.game)
    expected = oracles.shapley_rows(lambda r: outputs(machine, space, r), x[-2:], x[:12])
    found = explainer.explain_local(x[-2:]).values
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())


def test_coupling_is_libsvms_and_not_the_plain_sigmoid():
    x, y = table(4, 300)
    machine = svm.SVC(probability=True, random_state=0).fit(x, y)
    decision = -machine.decision_function(x)
    slope, offset = float(machine._probA[0]), float(machine._probB[0])
    served = machine.predict_proba(x)
    found = coupled_probabilities(decision, slope, offset)
    np.testing.assert_allclose(found, served, atol=1e-12)
    plain = 1 / (1 + np.exp(slope * decision + offset))
    assert np.abs(plain - served[:, 0]).max() > 1e-4
    extreme = coupled_probabilities(np.array([-1e300, -1e3, 0.0, 1e3, 1e300]), -1.0, 0.0)
    assert np.isfinite(extreme).all()


def test_memory_stays_within_the_blocks():
    x, y = table(20, 400)
    machine = svm.SVC(probability=True, random_state=0).fit(x, y)
    block_bytes = 16 * 2**20
    explainer = TabularExplainer(
        machine, x[:100], n_coalitions=400, n_background=100, block_bytes=block_bytes
    )
    explainer.explain_local(x[:1])
    tracemalloc.start()
    explainer.explain_local(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < block_bytes
    assert 400 * 400 * 100 * len(machine.support_vectors_) * 8 > 1000 * block_bytes


class Shifted(svm.SVC):  # type: ignore[misc]  # scikit-learn has no types
    """A subclass may answer anything."""

    def decision_function(self, x):
        return super().decision_function(x) + 1


@pytest.mark.parametrize(
    "machine",
    [svm.SVC(kernel="poly"), svm.SVC(kernel=lambda a, b: a @ b.T), Shifted(), KernelRidge()],
)
def test_other_machines_take_the_generic_path(machine):
    x, y = table(5)
    explainer = TabularExplainer(machine.fit(x, y), x[:12])
    assert isinstance(explainer.view.kernel.game, MaskedGame)


def test_three_classes_take_the_generic_path():
    x, _ = table(5)
    machine = svm.SVC().fit(x, np.digitize(x[:, 0], [-0.5, 0.5]))
    assert isinstance(TabularExplainer(machine, x[:12]).view.kernel.game, MaskedGame)


def test_a_machine_that_was_changed_after_fitting_takes_the_generic_path():
    """Its type and attributes look right, and the check against its own answers says no."""
    x, y = table(5)
    machine = svm.SVC().fit(x, y)
    machine.dual_coef_ = 2 * machine.dual_coef_  # libsvm goes on with its private copy
    assert isinstance(TabularExplainer(machine, x[:12]).view.kernel.game, MaskedGame)


@pytest.mark.parametrize(("machine", "space"), MACHINES)
def test_an_artifact_holds_the_machine_as_its_own_arrays(machine, space, monkeypatch, tmp_path):
    monkeypatch.setattr(measure, "MEASURED_CALLS", 1000)
    x, y = table(14)
    target = np.where(y, "yes", "no") if "C" in type(machine).__name__[-1:] else x[:, 0]
    machine.fit(x, target)
    explainer = TabularExplainer(machine, x[:20], output_space=space, n_coalitions=60)
    scoring = KernelScoringExplainer(explainer, method="kernel")
    manifest = read_manifest(save(scoring, tmp_path / "artifact"))
    assert manifest["model"]["form"] == "arrays"
    assert manifest["model"]["parity"]["label_differences"] == 0
    loaded = load(tmp_path / "artifact")
    assert is_machine(loaded.game)
    rows = np.concatenate([x, 30 * x])
    expected, found = (e.explain_local(rows[-3:]).values for e in (scoring, loaded))
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())
    predicted = machine.predict(rows)
    if predicted.dtype.kind == "f":
        np.testing.assert_allclose(loaded.predict(rows), predicted, atol=1e-12)
    else:
        assert (loaded.predict(rows) == predicted).all()
    again = load(save(loaded, tmp_path / "again"))
    assert (again.predict(rows) == loaded.predict(rows)).all()
