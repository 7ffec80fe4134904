"""Operators against the definition, on random games."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import ParameterError, coalitions, kriging, solve
from tests import oracles


def game_values(v, masks):
    """v of the empty coalition, of every mask and of the full coalition."""
    n = masks.shape[1]
    every = [np.zeros(n, bool), *masks, np.ones(n, bool)]
    return np.array([v(frozenset(np.flatnonzero(mask).tolist())) for mask in every])


def random_game(n, seed):
    worth = {
        frozenset(s): w
        for s, w in zip(
            oracles.coalitions(n), np.random.default_rng(seed).normal(size=2**n), strict=True
        )
    }
    return worth.__getitem__


@given(n=st.integers(1, 9), seed=st.integers(0, 10**6))
def test_definition_operator_is_the_definition(n, seed):
    v = random_game(n, seed)
    masks = coalitions.all_coalitions(n).masks
    values = solve.definition_operator(masks) @ game_values(v, masks)
    np.testing.assert_allclose(values, oracles.shapley(v, n), atol=1e-12)


@given(n=st.integers(2, 9), seed=st.integers(0, 10**6))
def test_regression_over_all_coalitions_is_the_definition(n, seed):
    """Lundberg and Lee (2017), theorem 2: the kernel's weights make least squares exact."""
    v = random_game(n, seed)
    design = coalitions.all_coalitions(n)
    operator = solve.regression_operator(design.masks, design.weights)
    values = operator @ game_values(v, design.masks)
    np.testing.assert_allclose(values, oracles.shapley(v, n), atol=1e-9)


@given(n=st.integers(2, 6), seed=st.integers(0, 10**6), decay=st.floats(0.2, 1.0))
def test_kriging_over_all_coalitions_is_the_definition(n, seed, decay):
    """With nothing left to guess, any prior gives the exact values of a game it could produce."""
    v = random_game(n, seed)
    masks = coalitions.all_coalitions(n).masks
    operator = kriging.kriging_operator(masks, (decay, 1e-14))
    values = operator @ game_values(v, masks)
    np.testing.assert_allclose(values, oracles.shapley(v, n), atol=1e-4)


@given(n=st.integers(3, 9), decay=st.floats(0.02, 1.0), seed=st.integers(0, 100))
def test_shapley_values_of_the_covariance_are_the_definition(n, decay, seed):
    z = (np.random.default_rng(seed).random((4, n)) < 0.5).astype(float)
    found = kriging._shapley_of_covariance(z, decay)
    for k, t in enumerate(z):
        members = set(np.flatnonzero(t).tolist())
        expected = oracles.shapley(lambda s, m=members: np.exp(-decay * len(m ^ s)), n)
        np.testing.assert_allclose(found[:, k], expected, atol=1e-13)


@pytest.mark.parametrize("n", [5, 13, 30, 200])
@pytest.mark.parametrize("kind", ["regression", "kriging"])
def test_sampled_operators_are_exact_on_additive_games_and_always_add_up(n, kind):
    rng = np.random.default_rng(n)
    design = coalitions.sample(n, 2 * n + 20 if n == 5 else 4 * n, seed=1)
    if kind == "regression":
        operator = solve.regression_operator(design.masks, design.weights)
    else:
        operator = kriging.kriging_operator(design.masks, (0.1, 1e-6))
    every = np.concatenate([np.zeros((1, n)), design.masks, np.ones((1, n))])
    worth = rng.normal(size=n)
    np.testing.assert_allclose(operator @ (every @ worth + 3.0), worth, atol=1e-7)
    v = rng.normal(size=len(every))
    assert abs((operator @ v).sum() - (v[-1] - v[0])) < 1e-9


def test_kriging_needs_fewer_coalitions_than_regression():
    """On smooth games that are not additive: the reason why it is there."""
    n = 14
    every = coalitions.all_coalitions(n)
    exact = solve.definition_operator(every.masks)
    full = np.concatenate([np.zeros((1, n)), every.masks, np.ones((1, n))])
    design = coalitions.sample(n, 1200, seed=0)
    z = np.concatenate([np.zeros((1, n)), design.masks, np.ones((1, n))])
    worth = np.random.default_rng(3).normal(size=(10, n)) / 5
    middle = worth.sum(axis=1) / 2
    truth = exact @ np.tanh(full @ worth.T - middle)
    v = np.tanh(z @ worth.T - middle)  # (n_coalitions + 2, 10 games)
    some = np.random.default_rng(0).permutation(len(design.masks))[: kriging.FITTED]
    smooth = kriging.fit_smoothness(design.masks[some], (v[1:-1] - v[0])[some].T)
    by_kriging = kriging.kriging_operator(design.masks, smooth) @ v
    by_regression = solve.regression_operator(design.masks, design.weights) @ v
    rms = [np.sqrt(np.mean((found - truth) ** 2)) for found in (by_kriging, by_regression)]
    assert rms[0] < rms[1] / 2


def test_a_constant_game_has_a_smoothness_too():
    masks = coalitions.sample(13, 60).masks
    assert kriging.fit_smoothness(masks, np.zeros((2, 60))) == (0.1, 1e-8)


@given(n=st.integers(2, 40), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_designs_are_distinct_complement_pairs(n, share, seed):
    asked = 2 * n + int(share * 300)
    design = coalitions.sample(n, asked, seed)
    masks = design.masks
    assert len(np.unique(masks, axis=0)) == len(masks)
    assert masks.any(axis=1).all()
    assert not masks.all(axis=1).any()
    rows = set(map(bytes, masks))
    assert all(bytes(~mask) in rows for mask in masks)
    assert design.exact == (len(masks) == 2**n - 2)
    assert len(masks) == min(asked // 2 * 2, 2**n - 2)
    assert (design.weights > 0).all()


@given(n=st.integers(3, 30), seed=st.integers(0, 100))
def test_a_design_carries_the_kernels_weight_of_every_size(n, seed):
    design = coalitions.sample(n, 40 * n, seed)
    sizes = design.masks.sum(axis=1)
    for size in range(1, n):
        expected = (n - 1) / (size * (n - size))
        assert np.isclose(design.weights[sizes == size].sum(), expected)


def test_designs_depend_on_the_seed_alone():
    one, same, other = (coalitions.sample(20, 200, seed).masks for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_too_few_coalitions_is_an_error_that_names_the_rule():
    with pytest.raises(ParameterError, match="n_coalitions must be at least 60"):
        coalitions.sample(30, 59)
