"""Owen's integrals: the definition's values, and never fewer nodes than they need."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.games import owen
from scoring.games.owen import integrals, legendre
from tests import oracles

EPSILON = np.finfo(np.float64).eps


def games(rng, n_players, shape, spread):
    """Factors with a player and without (n_players, n_rows * n_pairs), and what they pay."""
    n_rows, n_pairs, n_outputs = shape
    size = n_players, n_rows * n_pairs
    present, absent = np.exp(-spread * rng.gamma(0.5, size=(2, *size)))
    return present, absent, rng.normal(size=(n_rows, n_pairs, n_outputs))


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), n_players=st.integers(1, 8), n_rows=st.integers(1, 3),
       n_outputs=st.integers(1, 2), spread=st.sampled_from([1e-9, 0.01, 1.0, 30.0]))  # fmt: skip
def test_values_are_those_of_the_definition(seed, n_players, n_rows, n_outputs, spread):
    rng = np.random.default_rng(seed)
    n_pairs = 4
    present, absent, pays = games(rng, n_players, (n_rows, n_pairs, n_outputs), spread)
    found = integrals(present - absent, absent, pays)
    assert found.shape == (n_rows, n_players, n_outputs)
    for row in range(n_rows):
        own = slice(row * n_pairs, (row + 1) * n_pairs)
        for output in range(n_outputs):

            def worth(players, own=own, row=row, output=output):
                here = np.isin(np.arange(n_players), list(players))[:, np.newaxis]
                products = np.where(here, present[:, own], absent[:, own]).prod(axis=0)
                return products @ pays[row, :, output]

            expected = oracles.shapley(worth, n_players)
            np.testing.assert_allclose(found[row, :, output], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("epsilon", [EPSILON, 1e-9, 1e-5, 0.01])
@pytest.mark.parametrize("n_players", [2, 15, 30, 100, 500])
@pytest.mark.parametrize("spread", [1e-6, 0.003, 0.03, 0.3, 3.0, 40.0])
def test_fewer_nodes_are_wrong_by_no_more_than_they_may(n_players, spread, epsilon, monkeypatch):
    """That is a share of what all games are worth in the middle, beside what is rounded."""
    monkeypatch.setattr(owen, "EPSILON", epsilon)
    rng = np.random.default_rng(n_players)
    present, absent, pays = games(rng, n_players, (2, 50, 2), spread)
    asked, n_nodes = [], owen._n_nodes

    def counted(*about):
        asked.append(n_nodes(*about))
        return asked[-1]

    monkeypatch.setattr(owen, "_n_nodes", counted)
    found = integrals(present - absent, absent, pays)
    monkeypatch.setattr(owen, "_n_nodes", lambda *_: (n_players + 1) // 2 | 1)
    exact = integrals(present - absent, absent, pays)
    middle = ((present + absent) / 2).prod(axis=0).reshape(2, 50, 1)
    sizes = (middle * np.abs(pays)).sum(axis=1)
    largest = np.maximum(present, absent).prod(axis=0).reshape(2, 50, 1)
    rounding = (largest * np.abs(pays)).sum(axis=1)
    allowed = epsilon * sizes + 2 * EPSILON * n_players * rounding
    assert (np.abs(found - exact) <= allowed[:, np.newaxis]).all()
    assert asked[0] <= (n_players + 1) // 2 | 1
    if n_players >= 30 and spread <= 0.003:
        assert asked[0] < n_players // 4


def test_the_row_and_the_output_that_need_most_nodes_get_them(monkeypatch):
    monkeypatch.setattr(owen, "EPSILON", 1e-5)
    rng = np.random.default_rng(0)
    smooth, rough = (games(rng, 30, (1, 50, 1), spread) for spread in (1e-6, 3.0))
    by_row = [np.concatenate(pair, axis=1) for pair in zip(smooth[:2], rough[:2], strict=True)]
    pays = np.concatenate([smooth[2], rough[2]])
    apart = [integrals(p - a, a, pay) for p, a, pay in (smooth, rough)]
    found = integrals(by_row[0] - by_row[1], by_row[1], pays)
    assert np.abs(found[1] - apart[1][0]).max() < 1e-15
    nothing = np.zeros_like(rough[2])
    several = np.concatenate([nothing, rough[2]], axis=2), np.concatenate([rough[2]] * 2, axis=2)
    for both in several:
        again = integrals(rough[0] - rough[1], rough[1], both)
        np.testing.assert_allclose(again[0, :, 1], apart[1][0, :, 0], rtol=0, atol=1e-9)


def test_games_that_are_worth_nothing_take_all_nodes():
    moved, kept = np.full((9, 4), 0.5), np.full((9, 4), 0.25)
    assert (integrals(moved, kept, np.zeros((1, 4, 1))) == 0).all()


def test_nodes_are_within_the_unit_interval_and_weigh_one():
    nodes, weights = legendre(7)
    assert nodes[3] == 0.5
    assert (np.diff(nodes) > 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("back", [False, True])
def test_products_below_the_smallest_number_are_not_divided_by(back):
    """At the outer nodes, all factors together are 1e-800 on one side, and matter on the other."""
    n_players, n_pairs = 400, 3
    full, gone = np.ones((n_players, n_pairs)), np.full((n_players, n_pairs), 1e-9)
    present, absent = (full, gone) if back else (gone, full)
    found = integrals(present - absent, absent, np.ones((1, n_pairs, 1)))
    each = n_pairs / n_players  # equal players share equally
    np.testing.assert_allclose(found[0, :, 0], each if back else -each, rtol=1e-11)


@pytest.mark.parametrize("n_players", [255, 256, 257, 1100, 3000])
@pytest.mark.parametrize("smaller", [1e-9, 0.3])
def test_thousands_of_factors_neither_overflow_nor_vanish_on_the_way(n_players, smaller):
    """Equal players: each gets its share of the difference between all and none."""
    present, absent = np.ones((n_players, 2)), np.full((n_players, 2), smaller)
    for coefficient in (1.0, 1e-16):
        pays = np.full((1, 2, 1), coefficient)
        for sign, pair in ((1, (present, absent)), (-1, (absent, present))):
            found = integrals(pair[0] - pair[1], pair[1], pays)
            # As many nodes' weights are themselves right to 1e-10 only.
            np.testing.assert_allclose(found, sign * 2 * coefficient / n_players, rtol=1e-9)
