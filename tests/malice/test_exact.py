"""Exact games whose arrays were changed, hashes corrected: refused before they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import ensemble, linear_model, svm

from scoring import ArtifactCorrupt, KernelScoringExplainer, TabularExplainer, load, save
from scoring.predictor import OutputSpace
from tests import saved

MODELS: dict[str, tuple[Any, OutputSpace]] = {
    "tree": (ensemble.RandomForestClassifier(4, max_depth=4, random_state=0), "probability"),
    "link": (saved.scaled(linear_model.LogisticRegression()), "probability"),
    "linear": (linear_model.LogisticRegression(), "margin"),
    "rbf": (svm.SVC(), "margin"),
}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """One artifact of each game."""
    x, y = saved.rows()
    made = {}
    for name, (model, space) in MODELS.items():
        explainer = TabularExplainer(model.fit(x, y), x[:30], output_space=space)
        made[name] = tmp_path_factory.mktemp(name) / "artifact"
        save(KernelScoringExplainer(explainer, interactions=True), made[name])
    return made


def last(value):
    """The same array with another last number."""

    def change(array):
        array = array.copy()
        array.reshape(-1)[-1] = value
        return array

    return change


CHANGES = [
    ("tree", "game.forest.columns", last(4)),
    ("tree", "game.forest.columns", last(-1)),
    ("tree", "game.forest.columns", lambda a: a[:-1]),
    ("tree", "game.forest.thresholds", last(np.nan)),
    ("tree", "game.forest.thresholds", lambda a: a[:-1]),
    ("tree", "game.forest.is_inner", last(True)),
    ("tree", "game.forest.is_inner", lambda a: a[:-1]),
    ("tree", "game.forest.is_inner", lambda a: np.append(a, False)),
    ("tree", "game.forest.is_inner", np.zeros_like),
    ("tree", "game.forest.set_of", last(0)),
    ("tree", "game.forest.values", last(np.inf)),
    ("tree", "game.forest.values", lambda a: a[:-1]),
    ("tree", "game.forest.values", lambda a: 2 * a),
    ("tree", "game.forest.outputs", last(1)),
    ("tree", "game.forest.outputs", last(-1)),
    ("tree", "game.forest.base", lambda a: a[:-1]),
    ("tree", "game.tables.tops", last(10**9)),
    ("tree", "game.tables.tops", last(-1)),
    ("tree", "game.tables.tops", last(0)),
    ("tree", "game.tables.tops", lambda a: np.full_like(a, a[0])),
    ("tree", "game.tables.tops", lambda a: a[::-1]),
    ("tree", "game.tables.tops", lambda a: a[:-1]),
    ("tree", "game.tables.tops", lambda a: a[np.newaxis]),
    ("tree", "game.tables.tops", lambda a: np.zeros(2_000_000, a.dtype)),
    ("tree", "game.tables.tops", lambda a: np.append(a, a[-1] + 1)),
    ("tree", "game.tables.tops", lambda a: np.arange(a.max() + 1)),
    ("tree", "game.tables.entries", lambda a: a[:-1]),
    ("tree", "game.tables.entries", last(np.nan)),
    ("tree", "game.tables.entries", lambda a: a + 0.25 * (np.arange(len(a)) == len(a) // 3)),
    ("tree", "game.tables.entries", lambda a: a[::-1]),
    ("tree", "game.owners", last(4)),
    ("tree", "game.owners", lambda a: a[:-1]),
    ("tree", "game.weights", last(np.nan)),
    ("tree", "game.background", lambda a: a[:, :-1]),
    ("tree", "game.base_values", lambda a: a + 1),
    ("tree", "encoding.sources", last(4)),
    ("tree", "encoding.list_of", last(0)),
    ("tree", "encoding.scales", last(0.0)),
    ("tree", "encoding.n_categories", last(3)),
    ("tree", "encoding.lists", lambda a: np.zeros((0, 7))),
    ("link", "game.coefficients", last(np.inf)),
    ("link", "game.coefficients", lambda a: -a),
    ("link", "game.contributions", lambda a: a[:, :-1]),
    ("link", "game.weights", lambda a: -a),
    ("link", "encoding.centers", last(np.nan)),
    ("linear", "game.means", lambda a: a[:-1]),
    ("linear", "game.coefficients", lambda a: a.T),
    ("linear", "game.intercepts", last(np.nan)),
    ("rbf", "game.machine.supports", lambda a: a[:, :-1]),
    ("rbf", "game.machine.coefficients", lambda a: a[:-1]),
    ("rbf", "game.machine.gammas", lambda a: -a),
    ("rbf", "game.machine.intercepts", lambda a: np.append(a, 0.0)),
]


@pytest.mark.parametrize(("name", "array", "change"), CHANGES)
def test_what_does_not_fit_is_refused(artifacts, tmp_path, name, array, change):
    damaged = saved.copy(artifacts[name], tmp_path / "damaged")
    saved.change_array(damaged, f"exact.{array}", change)
    with pytest.raises(ArtifactCorrupt):
        load(damaged)


@pytest.mark.parametrize("name", MODELS)
def test_what_was_not_changed_is_read(artifacts, name):
    loaded = load(artifacts[name])
    x, _ = saved.rows()
    model, _ = MODELS[name]
    assert (loaded.predict(x) == model.predict(x)).all()
    assert loaded.explain_local(x).additivity_gap.max() < 1e-9
