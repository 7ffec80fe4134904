"""Networks without masked rows: the same numbers as masked rows through the model."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from scoring import ArtifactCorrupt, KernelScoringExplainer, TabularExplainer, load, save
from scoring.games import layered, precision
from scoring.games.layers import Layers, layers_of
from scoring.games.masked import MaskedGame
from scoring.games.twin import Twin, TwinGame
from scoring.unpickle import CLASSES

ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]


def is_network(game):
    """Whether values come from a network's numbers."""
    return isinstance(game, TwinGame) and isinstance(game.twin.numbers, Layers)


def network(kind, activation, n_outputs, n_features, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, n_features))
    options = {"activation": activation, "max_iter": 3, "random_state": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged, nor has to
        if kind == "classes":
            labels = rng.integers(0, n_outputs + 1, 60)
            labels[: n_outputs + 1] = range(n_outputs + 1)
            return MLPClassifier((7, 5), **options).fit(x, labels), x
        y = rng.normal(size=(60, n_outputs))
        return MLPRegressor(hidden_layer_sizes=(6,), **options).fit(
            x, y if n_outputs > 1 else y[:, 0]
        ), x


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["classes", "numbers"]),
    activation=st.sampled_from(ACTIVATIONS),
    n_outputs=st.integers(1, 3),
    n_features=st.integers(1, 7),
    seed=st.integers(0, 1000),
)
def test_a_network_is_worth_what_masked_rows_are(kind, activation, n_outputs, n_features, seed):
    model, x = network(kind, activation, n_outputs, n_features, seed)
    view = TabularExplainer(model, x, n_background=4).view
    game = view.game(view.summary)
    assert isinstance(game, TwinGame)
    assert is_network(game)
    rows = view.predictor.schema.encode(x[:5] * 3)
    masks = np.random.default_rng(seed).random((9, n_features)) < 0.5
    expected = MaskedGame(view.predictor, view.summary, 2**24).values(rows, masks)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(game.values(rows, masks), expected, atol=1e-12 * scale)
    worth = game.prepared(masks)
    np.testing.assert_allclose(worth(rows, slice(2, 7)), expected[:, 2:7], atol=1e-12 * scale)
    small = TwinGame(view.predictor, view.summary, 1, game.twin)
    np.testing.assert_allclose(small.values(rows, masks), expected, atol=1e-12 * scale)


def test_a_softmax_of_linear_scores_is_such_a_network():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(90, 5)), rng.integers(0, 4, 90)
    view = TabularExplainer(LogisticRegression().fit(x, labels), x, n_background=4).view
    game, masks = view.game(view.summary), rng.random((20, 5)) < 0.5
    assert is_network(game)
    rows = view.predictor.schema.encode(x[:3])
    expected = MaskedGame(view.predictor, view.summary, 2**24).values(rows, masks)
    np.testing.assert_allclose(game.values(rows, masks), expected, atol=1e-13)


class Bolder(MLPClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """A subclass that answers something else."""

    def predict_proba(self, x):
        return super().predict_proba(x) ** 2


def test_what_only_looks_like_a_network_is_asked_itself():
    model, x = network("classes", "relu", 1, 4, 0)
    model.__class__ = Bolder
    view = TabularExplainer(model, x).view
    assert layers_of(model, "probability") is None
    assert isinstance(view.game(view.summary), MaskedGame)
    honest, _ = network("classes", "relu", 1, 4, 0)
    honest.predict_proba = lambda rows: MLPClassifier.predict_proba(honest, rows) ** 2
    view = TabularExplainer(honest, x).view
    assert layers_of(honest, "probability") is not None
    assert isinstance(view.game(view.summary), MaskedGame)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_an_artifact_holds_the_network_beside_its_model(kind, tmp_path):
    model, x = network(kind, "tanh", 2, 6, 1)
    made = KernelScoringExplainer(TabularExplainer(model, x, n_background=4))
    save(made, tmp_path / "artifact")
    again = load(tmp_path / "artifact")
    assert is_network(again.kernel.game)
    one, other = made.explain_local(x[:4]), again.explain_local(x[:4])
    np.testing.assert_allclose(one.values, other.values, atol=1e-6 * np.abs(one.values).max())
    assert other.additivity_gap.max() < 1e-6


def test_another_models_network_is_refused(tmp_path):
    model, x = network("classes", "tanh", 2, 6, 1)
    made = KernelScoringExplainer(TabularExplainer(model, x, n_background=4))
    assert made.twin is not None
    layers = made.twin.numbers
    assert isinstance(layers, Layers)
    other = Layers(layers.weights, tuple(b + 0.5 for b in layers.biases), "tanh", "softmax")
    short = Layers(layers.weights[:1], layers.biases[:1], "tanh", "softmax")
    for wrong in (other, short):
        damaged = KernelScoringExplainer.restore(
            {**vars(made), "twin": Twin(wrong, made.twin.encoding)}
        )
        with pytest.raises(ArtifactCorrupt):
            save(damaged, tmp_path / "artifact")


def test_networks_have_a_place_in_artifacts():
    assert Layers in CLASSES.values()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("big", [1e3, 1e9, 3e35, 3e38])
def test_a_row_that_is_far_away_loses_no_digits(big, activation, monkeypatch):
    """Nor is it answered in single precision, whose numbers end at 3.4e38."""
    monkeypatch.setattr(layered, "MANY", 0)
    monkeypatch.setattr(precision, "GAP", 1.0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged, nor has to
        model = MLPClassifier((9, 8, 7), activation=activation, max_iter=3, random_state=0)
        view = TabularExplainer(model.fit(x, x[:, 0] > 0), x, n_background=4).view
    far = x[:3].copy()
    far[0, 2] = big
    rows, masks = view.predictor.schema.encode(far), rng.random((20, 6)) < 0.5
    expected = MaskedGame(view.predictor, view.summary, 2**24).values(rows, masks)
    found = view.game(view.summary).values(rows, masks)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-12)
    np.testing.assert_allclose(found[1:], expected[1:], atol=1e-6)
    assert np.abs(found[1:] - expected[1:]).max() > 1e-13  # which are single
