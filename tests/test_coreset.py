"""Few weighted points for the mean of many, held against other weights and other points."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from scoring.distillation.coreset import coresets


def drawn(n, dimension, seed):
    points = np.random.default_rng(seed).normal(size=(n, dimension)) ** 3
    return points - points.mean(axis=0)


def distance(points, coreset):
    some, weights = coreset
    return np.linalg.norm(weights @ points[some])


@given(n=st.integers(3, 30), dimension=st.integers(1, 12), seed=st.integers(0, 10_000))
def test_weights_are_a_mean_and_more_points_are_nearer(n, dimension, seed):
    points = drawn(n, dimension, seed)
    found = list(coresets(points @ points.T, (2, 4, 8)))
    for size, (some, weights) in zip((2, 4, 8), found, strict=True):
        assert len(some) == len(set(some)) <= size
        assert (weights > 0).all()
        assert weights.sum() == pytest.approx(1)
    far = [distance(points, each) for each in found]
    assert far[0] + 1e-6 >= far[1]
    assert far[1] + 1e-6 >= far[2]


@pytest.mark.parametrize("seed", range(5))
def test_no_other_weights_of_the_same_points_are_nearer(seed):
    points = drawn(40, 20, seed)
    ((some, weights),) = coresets(points @ points.T, (6,))
    assert len(some) == 6

    def far(logits):
        shares = np.exp(logits - logits.max())
        return distance(points, (some, shares / shares.sum())) ** 2

    best = minimize(far, np.log(weights), method="Nelder-Mead", options={"maxiter": 5000}).fun
    assert distance(points, (some, weights)) ** 2 <= best * (1 + 1e-6)


def test_hardly_any_choice_of_points_is_nearer():
    """Of all sets of four among 16 points, by the weights that Nelder and Mead find for each."""
    points = drawn(16, 8, 0)
    ((some, weights),) = coresets(points @ points.T, (4,))
    far, nearer = distance(points, (some, weights)), 0
    rng = np.random.default_rng(0)
    for others in combinations(range(16), 4):
        shares = rng.dirichlet(np.ones(4), 300)
        nearer += np.linalg.norm(shares @ points[list(others)], axis=1).min() < far
    assert nearer <= 0.05 * 1820


def test_no_more_points_than_the_mean_needs():
    points = drawn(50, 3, 0)  # Carathéodory: four points have the mean among them
    ((some, weights),) = coresets(points @ points.T, (20,))
    assert len(some) < 20
    assert distance(points, (some, weights)) < 1e-6


def test_equal_points_count_once():
    points = np.repeat(drawn(6, 5, 0), 10, axis=0)
    ((some, _),) = coresets(points @ points.T, (6,))
    assert len(np.unique(points[some], axis=0)) == len(some)
