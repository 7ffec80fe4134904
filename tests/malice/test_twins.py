"""Models' numbers that were changed, hashes corrected: refused before they are used."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn import calibration, ensemble, linear_model, neural_network, svm

from scoring import ArtifactCorrupt, KernelScoringExplainer, TabularExplainer, load, save
from scoring.artifact import read_manifest
from scoring.distillation import measure
from tests import saved
from tests.malice.test_exact import last

MODELS: dict[str, Any] = {
    "machine": svm.SVC(probability=True, random_state=0),
    "calibrated": calibration.CalibratedClassifierCV(
        saved.scaled(svm.SVC()), method="isotonic", cv=3
    ),
    "lines": calibration.CalibratedClassifierCV(linear_model.RidgeClassifier(), cv=3),
    "network": neural_network.MLPClassifier((5,), max_iter=20, random_state=0),
    "trees": LGBMClassifier(n_estimators=5, verbosity=-1),
    "scaled trees": saved.scaled(ensemble.GradientBoostingClassifier(n_estimators=5)),
}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """One artifact of each kind of numbers."""
    x, y = saved.rows()
    made = {}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a network that has not converged, nor has to
        patch.setattr(measure, "MEASURED_CALLS", 1000)
        for name, model in MODELS.items():
            explainer = TabularExplainer(model.fit(x, y), x[:30])
            made[name] = tmp_path_factory.mktemp(name) / "artifact"
            save(KernelScoringExplainer(explainer, method="kernel"), made[name])
    return made


def first(array):
    """Its first number, without any axis."""
    return array.ravel()[0]


CHANGES = [
    ("machine", "numbers.coefficients", first),
    ("machine", "numbers.ends", first),
    ("network", "numbers.biases.0", first),
    ("trees", "encoding.sources", first),
    ("trees", "numbers.forest.is_inner", first),
    ("calibrated", "numbers.calibration.slopes", first),
    ("machine", "numbers.supports", lambda a: a[:, :-1]),
    ("machine", "numbers.supports", last(np.nan)),
    ("machine", "numbers.scales", lambda a: -a),
    ("machine", "numbers.coefficients", lambda a: a[:-1]),
    ("machine", "numbers.coefficients", lambda a: -a),
    ("machine", "numbers.intercepts", lambda a: np.append(a, 0.0)),
    ("machine", "numbers.ends", lambda a: a - 1),
    ("machine", "numbers.ends", lambda a: np.append(a, a)),
    ("machine", "numbers.calibration.slopes", last(np.inf)),
    ("machine", "numbers.calibration.offsets", lambda a: a + 1),
    ("machine", "numbers.calibration.heights", lambda a: np.zeros((1, 3))),
    ("machine", "encoding.sources", last(9)),
    ("calibrated", "numbers.ends", lambda a: a[::-1]),
    ("calibrated", "numbers.calibration.thresholds", lambda a: a[:, ::-1]),
    ("calibrated", "numbers.calibration.thresholds", lambda a: a[:, :-1]),
    ("calibrated", "numbers.calibration.heights", last(np.nan)),
    ("calibrated", "numbers.calibration.slopes", lambda a: a[:-1]),
    ("lines", "numbers.weights.0", lambda a: a[:, :-1]),
    ("lines", "numbers.biases.0", lambda a: a[:-1]),
    ("lines", "numbers.calibration.slopes", lambda a: -a),
    ("network", "numbers.weights.1", lambda a: a.T),
    ("network", "numbers.biases.0", last(np.nan)),
    ("network", "numbers.biases.1", lambda a: a + 3),
    ("trees", "numbers.forest.columns", last(9)),
    ("trees", "numbers.forest.columns", last(-1)),
    ("trees", "numbers.forest.thresholds", last(np.nan)),
    ("trees", "numbers.forest.is_inner", last(True)),
    ("trees", "numbers.forest.values", lambda a: np.repeat(a, 2, axis=1)),
    ("trees", "numbers.forest.values", lambda a: 9 * a),
    ("trees", "numbers.forest.outputs", last(1)),
    ("trees", "numbers.forest.base", lambda a: np.append(a, a)),
    ("scaled trees", "encoding.centers", last(np.nan)),
    ("scaled trees", "encoding.scales", last(0.0)),
]


@pytest.mark.parametrize(("name", "array", "change"), CHANGES)
def test_what_does_not_fit_is_refused(artifacts, tmp_path, name, array, change):
    damaged = saved.copy(artifacts[name], tmp_path / "damaged")
    saved.change_array(damaged, f"twin.{array}", change)
    with pytest.raises(ArtifactCorrupt):
        load(damaged)


@pytest.mark.parametrize("name", MODELS)
def test_what_was_not_changed_is_read_and_is_the_model(artifacts, name):
    assert read_manifest(artifacts[name])["model"]["form"] == "arrays"
    loaded = load(artifacts[name])
    x, _ = saved.rows()
    model = MODELS[name]
    assert (loaded.predict(x) == model.predict(x)).all()
    told = loaded.explain_local(x[:5])
    np.testing.assert_allclose(told.outputs, model.predict_proba(x[:5]), atol=1e-9)
    assert told.additivity_gap.max() < 1e-9
