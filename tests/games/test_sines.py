"""The series of the logistic function, and that its bounds do bound."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.games import sines

TOLERANCES = [1e-1, 1e-3, 1e-6, 1e-10]


def logistic(scores):
    """Without an overflow."""
    return np.exp(-np.logaddexp(0, -scores))


def terms_of(reach, tolerance):
    """Period, frequencies and coefficients of a series."""
    period = sines.periods(np.array(float(reach)), tolerance)
    k = np.arange(int(sines.n_terms(period, tolerance)))
    return period, (2 * k + 1) * np.pi / period, sines.coefficients(k, period)


@pytest.mark.parametrize("reach", [0.0, 1.0, 20.0, 300.0, sines.FARTHEST])
@pytest.mark.parametrize("tolerance", TOLERANCES)
def test_a_series_takes_its_part_of_the_tolerance(reach, tolerance):
    _, w, c = terms_of(reach, tolerance)
    scores = np.concatenate([np.linspace(-reach, reach, 101), reach - np.linspace(0, 1, 50)])
    scores = scores[np.abs(scores) <= reach]
    off = 0.5 + np.sin(np.outer(scores, w)) @ c - logistic(scores)
    assert np.abs(off).max() <= tolerance / 4 + 1e-13


@pytest.mark.parametrize("tolerance", TOLERANCES[1:])
def test_a_series_is_not_longer_than_it_has_to_be(tolerance):
    _, w, c = terms_of(20.0, tolerance)
    scores = np.linspace(-20, 20, 401)
    keep = int(0.7 * len(w))
    off = 0.5 + np.sin(np.outer(scores, w[:keep])) @ c[:keep] - logistic(scores)
    assert np.abs(off).max() > tolerance / 4


def test_all_coefficients_together_are_bounded():
    _, _, c = terms_of(sines.FARTHEST, 1e-15)
    assert 2.5 < c.sum() < sines.ALL


def angles_of(kind, n, rng):
    """Half angles of n players that make it hard for nodes."""
    if kind == "equal":
        return np.full(n, rng.uniform(0, np.pi))
    if kind == "about equal":
        return rng.uniform(0, np.pi) + rng.choice([0.03, 0.1, 0.3]) * rng.normal(size=n)
    if kind == "two kinds":
        return rng.choice(rng.uniform(0, np.pi, size=2), size=n)
    return rng.normal(size=n) * rng.choice([0.1, 1.0, 10.0, 1000.0])


def mean_of(angles, n_nodes):
    """`2 S_j` times the mean over z of the product of the others, at its largest S_j."""
    z, weights = np.polynomial.legendre.leggauss(n_nodes)
    factors = np.cos(angles)[:, np.newaxis] + 1j * np.sin(angles)[:, np.newaxis] * z
    return 2 * (factors.prod(axis=0) @ (weights / 2)).real


@pytest.mark.parametrize("kind", ["equal", "about equal", "two kinds", "any"])
@pytest.mark.parametrize(("n_players", "n_nodes"), [(9, 2), (30, 4), (30, 10), (30, 12), (101, 20)])
def test_no_moves_make_nodes_worse_than_the_bound(kind, n_players, n_nodes):
    rng = np.random.default_rng(n_nodes)
    bound = sines.integral_error(n_nodes, n_players)
    worst = 0.0
    for _ in range(400):
        angles = angles_of(kind, n_players - 1, rng)
        off = mean_of(angles, n_nodes) - mean_of(angles, sines.all_nodes(n_players))
        worst = max(worst, abs(off))
    assert worst <= bound
    if kind == "equal":
        assert worst > 0.8 * bound


@pytest.mark.parametrize("n_players", [1, 2, 3, 4, 5, 8, 9, 30, 31])
def test_all_nodes_leave_no_error(n_players):
    n_nodes = sines.all_nodes(n_players)
    rng = np.random.default_rng(0)
    for _ in range(20):
        angles = angles_of("any", n_players - 1, rng)
        assert mean_of(angles, n_nodes) == pytest.approx(mean_of(angles, n_nodes + 4), abs=1e-13)


@pytest.mark.parametrize("n_players", [1, 2, 7, 30, 120])
@pytest.mark.parametrize("tolerance", [*TOLERANCES, 0.5])
@pytest.mark.parametrize("reach", [0.0, 5.0, 100.0, sines.FARTHEST])
def test_tiers_take_their_part_of_the_tolerance(n_players, tolerance, reach):
    _, w, c = terms_of(reach, tolerance)
    tiers = sines.tiers(n_players, tolerance)
    ends = [*(tier.start for tier in tiers[1:]), np.inf]
    assert tiers[0].start == 0.0
    integrals = rounded = 0.0
    for tier, end in zip(tiers, ends, strict=True):
        together = c[(w >= tier.start) & (w < end)].sum()
        n_nodes = 2 * len(tier.z)
        if n_nodes < sines.all_nodes(n_players):
            integrals += together * sines.integral_error(n_nodes, n_players)
        if tier.dtype == np.float32:
            rounded += together * sines.rounding(n_players)
    assert integrals <= tolerance / 4
    assert rounded <= tolerance / 4


def test_a_coarse_answer_takes_fewer_nodes_and_single_precision():
    exact, coarse = sines.tiers(30, sines.TOLERANCE), sines.tiers(30, 1e-2)
    assert [tier.dtype for tier in exact] == [np.float64, np.float32]
    assert [tier.dtype for tier in coarse] == [np.float32]
    assert len(exact[0].z) > len(exact[1].z)
    assert len(exact[0].z) > len(coarse[0].z)
    assert 2 * len(exact[0].z) == sines.all_nodes(30)
