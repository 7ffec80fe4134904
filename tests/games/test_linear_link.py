"""Linear models and links of one score: exact values against the definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import linear_model
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.svm import LinearSVC, LinearSVR

from scoring import (
    ArtifactCorrupt,
    KernelScoringExplainer,
    TabularExplainer,
    load,
    save,
    verify_exact,
)
from scoring.distillation.measure import relative_rms
from scoring.games import sines
from scoring.games.additive import additive_of
from scoring.games.linear import linear_game
from scoring.games.link import LinkGame, link_game, linked
from tests import oracles

ROOM = 2**28


def game_of(f, owners, row, background, weights):
    """The game of players that own several columns."""

    def worth(players):
        masked = background.copy()
        mine = np.isin(owners, list(players))
        masked[:, mine] = row[mine]
        return weights @ f(masked)

    return worth


def drawn(seed, n, n_background):
    """Coefficients of n players, one of whom owns two columns; a background and its weights."""
    rng = np.random.default_rng(seed)
    owners = np.concatenate([np.arange(n), [rng.integers(n)]])
    background = rng.normal(size=(n_background, n + 1))
    return rng, rng.normal(size=n + 1), owners, background, rng.dirichlet(np.ones(n_background))


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8), n_background=st.integers(1, 6),
       far=st.sampled_from([0.0, 0.01, 1.0, 30.0, 100.0]))  # fmt: skip
def test_a_probability_is_shared_out_as_the_definition_says(seed, n, n_background, far):
    rng, coefficients, owners, background, weights = drawn(seed, n, n_background)
    row = background[0] + far * rng.normal(size=n + 1)
    game = link_game(coefficients, 0.3, "logit", background, weights, owners, n)

    def f(rows):
        return linked(rows @ coefficients + 0.3, "logit")

    worth = game_of(f, owners, row, background, weights)
    expected = oracles.shapley(worth, n)
    found = game.values(row[np.newaxis], ROOM)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    assert (found[:, 0] == -found[:, 1]).all()
    pieces = game.values(row[np.newaxis], 1)[0]
    np.testing.assert_allclose(pieces, expected, rtol=0, atol=1e-10)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8), n_background=st.integers(1, 6))
def test_an_exponential_is_shared_out_as_the_definition_says(seed, n, n_background):
    rng, coefficients, owners, background, weights = drawn(seed, n, n_background)
    row = rng.normal(size=n + 1)
    game = link_game(coefficients, -0.2, "log", background, weights, owners, n)

    def f(rows):
        return np.exp(rows @ coefficients - 0.2)[:, np.newaxis]

    worth = game_of(f, owners, row, background, weights)
    every = [np.abs(worth(frozenset(s))).max() for s in oracles.coalitions(n)]
    found = game.values(row[np.newaxis], ROOM)[0]
    np.testing.assert_allclose(found, oracles.shapley(worth, n), rtol=0, atol=1e-12 * max(every))


def test_fourteen_players_of_a_probability():
    """All 16,384 coalitions at once, with Shapley's own weights."""
    from math import factorial

    rng = np.random.default_rng(0)
    n, background = 14, rng.normal(size=(3, 14))
    coefficients, row = rng.normal(size=n), 2 * rng.normal(size=n)
    masks = (np.arange(2**n)[:, np.newaxis] >> np.arange(n)) & 1 == 1
    masked = np.where(masks[:, np.newaxis], row, background)  # (coalitions, background, n)
    worth = (1 / (1 + np.exp(-(masked @ coefficients)))).mean(axis=1)
    sizes = masks.sum(axis=1)
    share = np.array([factorial(s) * factorial(n - s - 1) / factorial(n) for s in range(n)] + [0])
    expected = [
        (share[sizes[~masks[:, j]]] * (worth[np.flatnonzero(~masks[:, j]) | 1 << j]
                                       - worth[~masks[:, j]])).sum()
        for j in range(n)
    ]  # fmt: skip
    game = link_game(coefficients, 0.0, "logit", background, np.full(3, 1 / 3), np.arange(n), n)
    np.testing.assert_allclose(game.values(row[np.newaxis], ROOM)[0, :, 1], expected, atol=1e-10)


def test_rows_of_any_reach_go_together():
    rng, coefficients, owners, background, weights = drawn(5, 5, 4)
    rows = np.concatenate([background, *(10.0**k * rng.normal(size=(3, 6)) for k in range(3))])
    game = link_game(coefficients, 0.0, "logit", background, weights, owners, 5)
    together = game.values(rows, ROOM)
    alone = np.concatenate([game.values(rows[r : r + 1], ROOM) for r in range(len(rows))])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-11)
    gap = game.base_values + together.sum(axis=1) - game.outputs(rows)
    assert np.abs(gap).max() < 1e-10


def test_what_no_series_reaches_is_not_made_up():
    game = link_game(np.ones(2), 0.0, "logit", np.zeros((1, 2)), np.ones(1), np.arange(2), 2)
    rows = np.array([[1.0, 2.0], [2 * sines.FARTHEST, 2 * sines.FARTHEST], [np.nan, 0.0]])
    found = game.values(rows, ROOM)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()


def test_equal_background_rows_are_one():
    rng, coefficients, owners, background, weights = drawn(1, 4, 3)
    twice = np.concatenate([background, background])
    games = [
        link_game(coefficients, 0.0, "logit", b, w, owners, 4)
        for b, w in ((background, weights), (twice, np.concatenate([weights, weights]) / 2))
    ]
    assert [len(game.weights) for game in games] == [3, 3]
    x = rng.normal(size=(2, 5))
    np.testing.assert_allclose(games[0].values(x, ROOM), games[1].values(x, ROOM), atol=1e-13)


@pytest.mark.parametrize("link", ["logit", "log"])
def test_interactions_are_those_of_the_definition(link):
    from tests.trees.test_trees import interaction_oracle

    rng, coefficients, owners, background, weights = drawn(3, 4, 3)
    row = rng.normal(size=(1, 5))
    game = link_game(coefficients, 0.1, link, background, weights, owners, 4)

    def f(rows):
        return linked(rows @ coefficients + 0.1, link)[:, -1]

    found = game.interactions(row, ROOM)
    expected = interaction_oracle(game_of(f, owners, row[0], background, weights), 4)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(found[0, :, :, -1][off], expected[off], atol=1e-10)
    np.testing.assert_allclose(found.sum(axis=2), game.values(row, ROOM), atol=1e-12)


def test_a_linear_model_is_shared_out_as_the_definition_says():
    rng, _, owners, background, weights = drawn(2, 4, 5)
    coefficients, intercepts = rng.normal(size=(3, 5)), rng.normal(size=3)
    game = linear_game(coefficients, intercepts, background, weights, owners, 4)
    rows = rng.normal(size=(2, 5))
    found = game.values(rows, ROOM)
    for r, row in enumerate(rows):
        worth = game_of(game.outputs, owners, row, background, weights)
        np.testing.assert_allclose(found[r], oracles.shapley(worth, 4), atol=1e-12)
    pairs = game.interactions(rows, ROOM)
    np.testing.assert_allclose(pairs.sum(axis=2), found, atol=1e-14)
    assert (pairs[:, ~np.eye(4, dtype=bool)] == 0).all()


X = np.random.default_rng(0).normal(size=(80, 3))
Y = X[:, 0] - X[:, 1]
TWO, THREE = (Y > 0).astype(int), np.digitize(Y, [-0.5, 0.5])
SCORES = [
    (linear_model.LinearRegression(), np.column_stack([Y, -Y]), "value", "identity"),
    (linear_model.Ridge(fit_intercept=False), Y, "value", "identity"),
    (linear_model.Lasso(alpha=0.01), Y, "value", "identity"),
    (LinearSVR(), Y, "value", "identity"),
    (linear_model.PoissonRegressor(), np.exp(Y), "value", "log"),
    (linear_model.GammaRegressor(), np.exp(Y), "value", "log"),
    (linear_model.TweedieRegressor(power=1.5), np.exp(Y), "value", "log"),
    (linear_model.TweedieRegressor(power=0), Y, "value", "identity"),
    (linear_model.TweedieRegressor(power=1, link="identity"), 5 + Y, "value", "identity"),
    (linear_model.LogisticRegression(), TWO, "probability", "logit"),
    (linear_model.LogisticRegression(), TWO, "margin", "identity"),
    (linear_model.LogisticRegression(), THREE, "margin", "identity"),
    (linear_model.SGDClassifier(loss="log_loss"), TWO, "probability", "logit"),
    (linear_model.SGDClassifier(), TWO, "margin", "identity"),
    (LinearSVC(), THREE, "margin", "identity"),
    (linear_model.RidgeClassifier(), TWO, "margin", "identity"),
    (LinearDiscriminantAnalysis(), TWO, "probability", "logit"),
]


@pytest.mark.parametrize(("model", "y", "space", "link"), SCORES)
def test_scores_are_read_as_the_model_has_them(model, y, space, link):
    read = additive_of(model.fit(X, y), space)
    assert read is not None
    assert read.link == link
    asked = {"value": "predict", "margin": "decision_function", "probability": "predict_proba"}
    expected = np.asarray(getattr(model, asked[space])(X)).reshape(len(X), -1)
    scores = X @ read.coefficients.T + read.intercepts
    told = scores if link == "identity" else linked(scores[:, 0], link)
    np.testing.assert_allclose(told, expected, atol=1e-12 * np.abs(expected).max())


class Own(linear_model.Ridge):  # type: ignore[misc]  # scikit-learn has no types
    """A subclass may answer anything."""


@pytest.mark.parametrize(
    ("model", "y", "space"),
    [
        (Own(), Y, "value"),
        (linear_model.LogisticRegression(), THREE, "probability"),
        (linear_model.SGDClassifier(loss="modified_huber"), TWO, "probability"),
        (linear_model.SGDClassifier(loss="log_loss"), THREE, "probability"),
        (linear_model.LogisticRegression().fit(X, TWO).sparsify(), TWO, "margin"),
    ],
)
def test_what_is_no_function_of_one_score_is_not_read(model, y, space):
    fitted = model if hasattr(model, "coef_") else model.fit(X, y)
    assert additive_of(fitted, space) is None


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
def test_a_tolerance_makes_the_series_shorter_and_says_so(tolerance):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 9)) * 3
    model = linear_model.LogisticRegression().fit(
        x, (x @ rng.normal(size=9) + rng.normal(size=200)) > 0
    )
    full = TabularExplainer(model, x, n_background=6)
    exact, short = (KernelScoringExplainer(full, tolerance=t) for t in (None, tolerance))
    assert exact.method == "exact link"
    assert short.method == "link series"
    rows = x[::7] * 1.5
    told, truth = short.explain_local(rows), exact.explain_local(rows).values
    assert relative_rms(told.values, truth) <= tolerance
    assert short.report["relative_rms_error"] <= tolerance
    assert short.report["within_tolerance"]
    errors = told.standard_errors
    assert errors is not None
    assert 0 < errors.max() == errors.min()
    low, high = told.intervals()
    assert ((low <= truth) & (truth <= high)).mean() > 0.8


def test_a_short_series_is_saved_although_it_does_not_add_up_to_many_digits(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 30))
    y = (x @ rng.normal(size=30) + rng.normal(size=300) > 0).astype(int)
    model = linear_model.LogisticRegression().fit(x, y)
    full = TabularExplainer(model, x[:100])
    short = KernelScoringExplainer(full, tolerance=1e-2)
    gap = short.explain_local(x[-50:]).additivity_gap.max()
    assert gap > verify_exact.AGREES  # or this would show nothing
    again = load(save(short, tmp_path / "artifact"))
    np.testing.assert_array_equal(
        again.explain_local(x[-5:]).values, short.explain_local(x[-5:]).values
    )
    assert short.exact is not None
    game = short.exact.game
    assert isinstance(game, LinkGame)
    wrong = replace(short.exact, game=replace(game, contributions=game.contributions + 0.2))
    damaged = KernelScoringExplainer.restore({**vars(short), "exact": wrong})
    with pytest.raises(ArtifactCorrupt, match="does not add up"):
        save(damaged, tmp_path / "damaged")
