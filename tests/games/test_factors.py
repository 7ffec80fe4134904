"""Factors of coalitions from tables, against exponentials of every coalition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC

from scoring.explainers import TabularExplainer
from scoring.games import layered, precision, rbf
from scoring.games.factors import Factors, Forms
from scoring.games.game import players_of
from scoring.games.layers import Layers
from scoring.games.masked import MaskedGame


@settings(max_examples=40, deadline=None)
@given(
    n_players=st.integers(1, 20),
    n_coalitions=st.sampled_from([0, 1, 2, 7, 40, 400]),
    seed=st.integers(0, 10**6),
)
def test_factors_are_exponentials_of_sums(n_players, n_coalitions, seed):
    rng = np.random.default_rng(seed)
    masks = rng.random((n_coalitions, n_players)) < 0.5
    distances = rng.exponential(1.0, (n_players, 7))
    forms = Forms.of(masks)
    some = slice(n_coalitions // 3, n_coalitions)
    expected = np.exp(-(masks[some].astype(float) @ distances))
    for kind, rounding in ((np.float64, 1e-14), (np.float32, 2e-6)):
        found = Factors(forms, distances, kind).at(forms.places[:, some])
        assert found.dtype == kind
        assert forms.numbers(1) <= n_coalitions
        np.testing.assert_allclose(found, expected, rtol=rounding, atol=1e-12)


def test_what_is_infinitely_far_away_leaves_nothing():
    forms = Forms.of(np.array([[True, False], [False, True], [True, True]]))
    found = Factors(forms, np.array([[1e300, 0.0], [0.0, 1e6]]), np.float64).at(forms.places)
    np.testing.assert_array_equal(found, [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])


def test_columns_that_move_together_are_one_player():
    rng = np.random.default_rng(0)
    owners = np.array([0, 1, 0, 2, 1, 1])
    masks = rng.random((9, 3)) < 0.5
    distinct, owned = players_of(masks[:, owners])
    columns = rng.normal(size=(6, 4))
    assert distinct.shape[1] == len(np.unique(masks, axis=1).T)
    brought = distinct.astype(float) @ (owned @ columns)
    np.testing.assert_allclose(brought, masks[:, owners].astype(float) @ columns)


def machine():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(90, 14))
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int)
    view = TabularExplainer(SVC(probability=True, random_state=0).fit(x, y), x[:20]).view
    return view, view.predictor.schema.encode(x[-3:])


@pytest.mark.parametrize("room", [1, 2**16, 2**28])
def test_what_does_not_fit_in_double_precision_is_single_and_as_good(room, monkeypatch):
    """Nothing fits, the half in single precision fits, all of it does."""
    view, rows = machine()
    masks = np.random.default_rng(2).random((40, 14)) < 0.5
    n_kept = 40 * len(view.twin.numbers.supports) * 20
    monkeypatch.setattr(rbf, "KEPT_BYTES", {1: 1, 2**16: 4 * n_kept, 2**28: 8 * n_kept}[room])
    expected = MaskedGame(view.predictor, view.summary, 2**28).values(rows, masks)
    game = view.game(view.summary)
    found = game.values(rows, masks)
    asked = game.prepared(masks)
    np.testing.assert_allclose(found, expected, atol=2.5e-7 if room < 2**28 else 1e-12)
    np.testing.assert_array_equal(asked(rows, slice(0, 40)), found)
    alone = np.concatenate([asked(rows.take(slice(r, r + 1)), slice(0, 40)) for r in range(3)])
    np.testing.assert_allclose(alone, found, atol=2.5e-7 if room < 2**28 else 1e-13)


def test_single_precision_is_not_taken_where_it_shows(monkeypatch):
    view, rows = machine()
    monkeypatch.setattr(rbf, "KEPT_BYTES", 1)
    monkeypatch.setattr(precision, "GAP", 1e-12)
    masks = np.random.default_rng(2).random((40, 14)) < 0.5
    expected = MaskedGame(view.predictor, view.summary, 2**28).values(rows, masks)
    np.testing.assert_allclose(view.game(view.summary).values(rows, masks), expected, atol=1e-12)


@pytest.mark.parametrize("gap", [precision.GAP, 0.0])
def test_a_networks_later_layers_are_single_only_where_it_does_not_show(gap, monkeypatch):
    monkeypatch.setattr(layered, "MANY", 0)
    monkeypatch.setattr(precision, "GAP", gap)
    rng = np.random.default_rng(0)
    sizes = [(8, 16), (16, 16), (16, 3)]
    weights = tuple(rng.normal(size=size) / 4 for size in sizes)
    biases = tuple(rng.normal(size=size[1]) for size in sizes)
    network = Layers(weights, biases, "relu", "softmax")
    background, rows = rng.normal(size=(5, 8)), rng.normal(size=(4, 8))
    masks = rng.random((30, 8)) < 0.5
    fixed = network, background, np.full(5, 0.2), masks
    found = layered.layered_values(*fixed, 2**24)(rows, slice(0, 30))
    masked = np.where(masks[:, np.newaxis], rows[:, np.newaxis, np.newaxis], background)
    expected = network.outputs(masked.reshape(-1, 8), "probability").reshape(4, 30, 5, 3).mean(2)
    apart = np.abs(found - expected).max()
    assert apart < (1e-6 if gap else 1e-13)
    assert (apart > 1e-12) == bool(gap)  # so it was single
