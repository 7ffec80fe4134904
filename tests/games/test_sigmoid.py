"""Values of a sigmoid of a sum of many players, at every tolerance, against counted coalitions."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.games import sigmoid, sines
from tests import oracles

ROOM = 2**28


def logistic(scores):
    """Without an overflow."""
    return np.exp(-np.logaddexp(0, -scores))


def test_coalitions_that_are_counted_are_those_of_the_definition():
    moves = np.array([2, -1, 3, 0, -4])
    expected = oracles.shapley(lambda s: logistic(0.3 * moves[list(s)].sum() - 0.2), 5)
    found = oracles.shapley_of_sum(lambda sums: logistic(0.3 * sums - 0.2), moves)
    np.testing.assert_allclose(found, expected, atol=1e-15)


@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10])
@pytest.mark.parametrize("unit", [0.03, 0.3, 1.0, 30.0])
@pytest.mark.parametrize("n_players", [1, 7, 30])
def test_values_of_any_row_keep_to_the_tolerance(tolerance, unit, n_players):
    rng = np.random.default_rng(n_players)
    whole = rng.integers(-6, 7, size=(4, n_players))
    whole[1] = 3  # all alike, the hardest for nodes
    start = unit * rng.normal(size=4)
    expected = [
        oracles.shapley_of_sum(lambda sums, b=b: logistic(unit * sums + b), row)
        for row, b in zip(whole, start, strict=True)
    ]
    moves = unit * whole
    middles = start + moves.sum(axis=1) / 2
    found = sigmoid.values(moves, middles, np.ones(4), tolerance, ROOM)
    assert np.abs(found - expected).max() <= tolerance


@pytest.mark.parametrize(("tolerance", "roundings"), [(1e-2, 1e-6), (1e-10, 1e-13)])
def test_values_of_a_pair_are_the_same_in_any_company(tolerance, roundings):
    rng = np.random.default_rng(0)
    moves = rng.normal(size=(60, 30)) * np.repeat([0.1, 1.0, 30.0], 20)[:, np.newaxis]
    middles, weights = rng.normal(size=60), rng.uniform(size=60)
    together = sigmoid.values(moves, middles, weights, tolerance, ROOM)
    alone = [
        sigmoid.values(moves[[b]], middles[[b]], weights[[b]], tolerance, 1)[0] for b in range(60)
    ]
    np.testing.assert_allclose(together, alone, rtol=0, atol=roundings)


def test_blocks_have_all_terms_of_every_series():
    periods = np.linspace(80, 30, 500)
    start, stop = sines.n_below(4.7, periods), sines.n_terms(periods, 1e-10)
    assert (np.diff(stop - start) > 0).any()  # a later one may be longer
    seen: list[set[int]] = [set() for _ in periods]
    for some, k in sigmoid.Series(periods, start, stop).blocks(200):
        for b, its in zip(range(some.start, some.stop), k.T, strict=True):
            seen[b] |= set(its.tolist())
    for b, terms in enumerate(seen):
        assert terms >= set(range(start[b], stop[b]))


def test_pairs_without_a_series_have_no_values_and_leave_the_others_alone():
    moves = np.array([[1.0, -2.0], [3 * sines.FARTHEST, 0.0], [np.nan, 1.0], [0.5, 0.5]])
    found = sigmoid.values(moves, np.zeros(4), np.ones(4), 1e-10, ROOM)
    assert np.isnan(found[1:3]).all()
    some = sigmoid.values(moves[[0, 3]], np.zeros(2), np.ones(2), 1e-10, ROOM)
    np.testing.assert_allclose(found[[0, 3]], some, atol=1e-15)
    pairs = sigmoid.interactions(moves, np.zeros(4), np.ones(4), 1e-10)
    assert np.isnan(pairs[1:3]).all()
    assert np.isfinite(pairs[[0, 3]]).all()
