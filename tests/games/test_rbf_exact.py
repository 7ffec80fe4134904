"""Kernel machines in margin space: exact values against the definition."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import svm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, RationalQuadratic, WhiteKernel
from sklearn.kernel_ridge import KernelRidge

from scoring.games.machine import Machine, machine_of
from scoring.games.rbf_exact import rbf_game
from scoring.predictor import pair_names
from tests import oracles
from tests.trees.test_trees import interaction_oracle

ROOM = 2**28
N = 5
X = np.random.default_rng(0).normal(size=(70, N))
Y = X[:, 0] + X[:, 1] * X[:, 2]
BOTH = np.column_stack([Y, Y**2])
TWO, FOUR = (Y > 0).astype(int), np.digitize(Y, [-1, 0, 1])
FURTHEST = np.full((1, N), 1.2e154)
"""A row whose squared distances are numbers, and their sum is none."""
PROCESS = ConstantKernel(2.0) * RBF([1.0, 2.0, 1.0, 3.0, 1.0]) + WhiteKernel(0.1)
MACHINES = [
    (svm.SVC(gamma=0.3), TWO),
    (svm.SVC(gamma=50.0), TWO),
    (svm.SVC(gamma=0.3, decision_function_shape="ovo"), FOUR),
    (svm.NuSVC(nu=0.1, decision_function_shape="ovo"), FOUR),
    (svm.SVR(), Y),
    (svm.NuSVR(), Y),
    (svm.OneClassSVM(), None),
    (KernelRidge(kernel="rbf"), BOTH),
    (GaussianProcessRegressor(PROCESS, normalize_y=True, optimizer=None), Y),
    (GaussianProcessRegressor(2.0 * RBF(1.0), normalize_y=True, optimizer=None, alpha=0.1), BOTH),
]


def asked(machine):
    """The space of a machine's sums, and a function that asks for them."""
    margins = hasattr(machine, "decision_function")
    ask = machine.decision_function if margins else machine.predict
    return "margin" if margins else "value", lambda x: np.asarray(ask(x)).reshape(len(x), -1)


@pytest.mark.parametrize(("machine", "y"), MACHINES)
def test_values_are_those_of_the_definition(machine, y):
    machine.fit(X, y)
    space, f = asked(machine)
    weights = np.random.default_rng(1).dirichlet(np.ones(6))
    read = machine_of(machine, space)
    assert read is not None
    game = rbf_game(read, X[:6], weights, np.arange(N), N)
    rows = np.concatenate([X[:2], X[-2:] + 0.1, 100 * X[3:4], 1e8 * X[3:4], FURTHEST])
    scale = np.abs(f(X)).max()
    np.testing.assert_allclose(game.outputs(rows), f(rows), atol=1e-10 * scale)
    expected = oracles.shapley_rows(game.outputs, rows, X[:6], weights)
    np.testing.assert_allclose(game.values(rows, ROOM), expected, atol=1e-10 * scale)
    np.testing.assert_allclose(game.values(rows, 1), expected, atol=1e-10 * scale)
    assert game.values(rows[:0], ROOM).shape == (0, *expected.shape[1:])


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), n_background=st.integers(1, 5),
       gamma=st.sampled_from([1e-3, 0.3, 100.0]))  # fmt: skip
def test_any_machine_with_players_of_several_columns(seed, n, n_background, gamma):
    rng = np.random.default_rng(seed)
    owners = np.concatenate([np.arange(n), rng.integers(0, n, 2)])
    supports, background = rng.normal(size=(8, n + 2)), rng.normal(size=(n_background, n + 2))
    gammas = np.full(n + 2, gamma)
    machine = Machine(supports, gammas, rng.normal(size=(8, 2)), rng.normal(size=2))
    weights = rng.dirichlet(np.ones(n_background))
    game = rbf_game(machine, background, weights, owners, n)
    row = rng.normal(size=n + 2)

    def worth(players):
        masked = background.copy()
        mine = np.isin(owners, list(players))
        masked[:, mine] = row[mine]
        return weights @ game.outputs(masked)

    found = game.values(row[np.newaxis], ROOM)[0]
    np.testing.assert_allclose(found, oracles.shapley(worth, n), rtol=0, atol=1e-11)
    pairs = game.interactions(row[np.newaxis], ROOM)
    expected = interaction_oracle(lambda s: worth(s)[1], n)
    off = ~np.eye(n, dtype=bool)
    np.testing.assert_allclose(pairs[0, :, :, 1][off], expected[off], rtol=0, atol=1e-11)
    np.testing.assert_allclose(pairs.sum(axis=2)[0], found, rtol=0, atol=1e-12)


def test_margins_of_pairs_are_named_after_them():
    assert pair_names(("a", "b", "c")) == ("a vs b", "a vs c", "b vs c")
    machine = svm.SVC(decision_function_shape="ovo").fit(X, FOUR)
    margins = machine.decision_function(X)
    among = np.isin(FOUR, [1, 3])
    one_vs_other = margins[among, pair_names(tuple("0123")).index("1 vs 3")]
    assert np.mean((one_vs_other > 0) == (FOUR[among] == 1)) > 0.9


class Own(svm.SVR):  # type: ignore[misc]  # scikit-learn has no types
    """A subclass may answer anything."""


@pytest.mark.parametrize(
    ("machine", "y"),
    [
        (Own(), Y),
        (svm.SVC(), FOUR),  # votes
        (svm.SVC(kernel="poly"), TWO),
        (svm.SVC(kernel=lambda a, b: np.exp(-np.abs(a) @ np.abs(b).T)), TWO),
        (KernelRidge(kernel="laplacian"), Y),
        (GaussianProcessRegressor(RationalQuadratic(), optimizer=None), Y),
    ],
)
def test_what_is_no_sum_of_gaussians_is_not_read(machine, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        machine.fit(X, y)
    assert machine_of(machine, asked(machine)[0]) is None
    assert machine_of(svm.SVC(probability=True).fit(X, TWO), "probability") is None


def test_a_background_that_is_as_far_away():
    machine = svm.SVR().fit(X, Y)
    read = machine_of(machine, "value")
    assert read is not None
    background, weights = np.concatenate([X[:2], FURTHEST, -FURTHEST]), np.full(4, 0.25)
    game = rbf_game(read, background, weights, np.arange(N), N)
    rows = np.concatenate([X[5:7], FURTHEST])
    expected = oracles.shapley_rows(
        lambda x: machine.predict(x)[:, None], rows, background, weights
    )
    np.testing.assert_allclose(game.values(rows, ROOM), expected, atol=1e-9 * np.abs(Y).max())


def test_a_column_that_the_kernel_passes_over():
    machine = Machine(
        supports=X[:3], coefficients=np.ones((3, 1)), intercepts=np.zeros(1),
        gammas=np.array([0.0, 1.0, 1.0, 1.0, 1.0]),
    )  # fmt: skip
    game = rbf_game(machine, X[:2], np.full(2, 0.5), np.arange(N), N)
    row = X[7:8].copy()
    row[0, 0] = 1e200
    assert game.values(row, ROOM)[0, 0, 0] == 0


def test_a_machine_of_more_players_than_a_number_has_doublings_is_explained():
    n_players = 1100
    gammas, background = np.full(n_players, 1 / n_players), np.ones((1, n_players))
    machine = Machine(np.zeros((1, n_players)), gammas, np.ones((1, 1)), np.zeros(1))
    game = rbf_game(machine, background, np.ones(1), np.arange(n_players), n_players)
    for far in (0.0, 10.0, 100.0, 1e200):
        row = np.full((1, n_players), far)
        found, difference = game.values(row, 2**28), game.outputs(row) - game.base_values
        np.testing.assert_allclose(found.sum(axis=1), difference, rtol=1e-10)


def test_a_column_without_weight_may_be_any_number():
    machine = Machine(np.zeros((1, 2)), np.array([0.0, 1.0]), np.ones((1, 1)), np.zeros(1))
    game = rbf_game(machine, np.ones((1, 2)), np.ones(1), np.arange(2), 2)
    row = np.array([[1.7e308, 0.5]])
    np.testing.assert_allclose(game.outputs(row), np.exp(-0.25))
    np.testing.assert_allclose(game.values(row, 2**20)[0, :, 0], [0.0, np.exp(-0.25) - np.exp(-1)])
