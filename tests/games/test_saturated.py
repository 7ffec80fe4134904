"""Moves that decide alone: games of the logistic function with and without cutting them down."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from scoring import TabularExplainer
from scoring.games.link import link_game
from scoring.games.saturated import cut_down
from tests import oracles


def logistic(scores):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-scores))


def worth(moves, start):
    """What every coalition is worth, (2**n,)."""
    masks = (np.arange(2 ** len(moves))[:, np.newaxis] >> np.arange(len(moves))) & 1
    return logistic(start + masks @ moves)


@settings(max_examples=200)
@given(
    exponents=st.lists(st.integers(-2, 12), min_size=1, max_size=6),
    start=st.sampled_from([0.0, -3.0, 40.0, -1e6]),
    seed=st.integers(0, 10**6),
)
def test_no_coalition_is_worth_anything_else(exponents, start, seed):
    rng = np.random.default_rng(seed)
    moves = rng.normal(size=len(exponents)) * 10.0 ** np.array(exponents)
    cut = cut_down(moves[np.newaxis], np.array([start]), 100.0, 1e-10)[0]
    np.testing.assert_allclose(worth(cut, start), worth(moves, start), atol=1e-11)
    assert (np.abs(cut) <= np.abs(moves)).all()


def test_what_is_near_or_not_a_number_is_left_alone():
    moves = np.array([[1.0, 2.0], [np.nan, 1e9], [np.inf, 1.0], [600.0, 601.0], [1e9, 1.0]])
    cut = cut_down(moves, np.zeros(5), 1000.0, 1e-10)
    np.testing.assert_array_equal(cut[:4], moves[:4])
    assert cut[4, 0] < 100
    assert cut[4, 1] == 1.0


def test_a_value_in_another_unit_is_explained_exactly():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5))
    model = LogisticRegression().fit(x, x[:, 0] + x[:, 1] > 0)
    rows = np.repeat(x[-1:], 4, axis=0)
    rows[0, 0], rows[1, 1], rows[2, [0, 3]] = 1e6, -1e9, [1e7, -1e13]
    explainer = TabularExplainer(model, x[:9])
    assert explainer.method == "exact link"
    found = explainer.explain_local(rows)
    expected = oracles.shapley_rows(model.predict_proba, rows, x[:9])
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
    assert found.additivity_gap.max() < 1e-9


def test_rows_of_which_no_value_decides_alone_say_so_with_nan():
    game = link_game(np.ones(2), 0.0, "logit", np.zeros((1, 2)), np.ones(1), np.arange(2), 2)
    found = game.values(np.array([[1e9, 1.1e9 - 1e8], [1.0, 2.0]]), 2**20)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()
