"""The masked value function and the full kernel path against the definition."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import kernel
from scoring.background import Background, whole
from scoring.games.masked import MaskedGame
from scoring.predictor import adapt
from scoring.schema import FeatureSchema
from tests import oracles


def wiggly(weights):
    """A model with interactions of every order, two outputs."""

    def f(x):
        score = np.sin(x @ weights) + np.prod(1 + 0.1 * x, axis=1)
        return np.column_stack([score, np.tanh(x @ weights[::-1])])

    return f


def kernel_of(f, background, weights=None, n_coalitions=None, block_bytes=2**28):
    schema = FeatureSchema.infer(background)
    table = schema.encode(background)
    reference = whole(table)
    if weights is not None:
        reference = Background(table, weights, "weighted", len(background))
    predictor = adapt(f, schema, probe=table)
    game = MaskedGame(predictor, reference, block_bytes)
    return kernel.fit(game, table, n_coalitions, seed=0)


def explain(fitted, x):
    rows = fitted.game.predictor.schema.encode(x)
    return fitted.values(rows, fitted.game.predictor.outputs(rows))


@given(n=st.integers(1, 8), n_background=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_small_models_are_exact(n, n_background, seed):
    rng = np.random.default_rng(seed)
    f = wiggly(rng.normal(size=n))
    background, rows = rng.normal(size=(n_background, n)), rng.normal(size=(3, n))
    weights = rng.dirichlet(np.ones(n_background))
    expected = oracles.shapley_rows(f, rows, background, weights)
    found = explain(kernel_of(f, background, weights), rows)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_twelve_features_are_still_exact():
    rng = np.random.default_rng(0)
    f = wiggly(rng.normal(size=12))
    background, rows = rng.normal(size=(3, 12)), rng.normal(size=(2, 12))
    fitted = kernel_of(f, background)
    assert fitted.method == "exact enumeration"
    expected = oracles.shapley_rows(f, rows, background)
    np.testing.assert_allclose(explain(fitted, rows), expected, atol=1e-10)


def test_thirteen_features_are_close_and_add_up():
    rng = np.random.default_rng(0)
    f = wiggly(rng.normal(size=13) / 4)
    background, rows = rng.normal(size=(3, 13)), rng.normal(size=(2, 13))
    fitted = kernel_of(f, background, n_coalitions=1000)
    found, expected = explain(fitted, rows), oracles.shapley_rows(f, rows, background)
    assert np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)) < 0.02
    gap = fitted.base_values + found.sum(axis=1) - f(rows)
    assert np.abs(gap).max() < 1e-10


@given(seed=st.integers(0, 10**6))
def test_efficiency_symmetry_dummy_and_linearity(seed):
    rng = np.random.default_rng(seed)
    n = 6
    weights = rng.normal(size=n)
    weights[1] = weights[0]  # features 0 and 1 are interchangeable
    background, rows = rng.normal(size=(3, n)), rng.normal(size=(2, n))
    background[:, 1], rows[:, 1] = background[:, 0], rows[:, 0]

    def f(x):  # feature 5 is a dummy
        return np.sin(x[:, :5] @ weights[:5]) * (1 + x[:, 2])

    def g(x):
        return np.abs(x[:, 3]) * x[:, 4]

    of_f, of_g = (explain(kernel_of(h, background), rows)[..., 0] for h in (f, g))
    base = f(background).mean()
    np.testing.assert_allclose(of_f.sum(axis=1), f(rows) - base, atol=1e-10)
    np.testing.assert_allclose(of_f[:, 0], of_f[:, 1], atol=1e-10)
    np.testing.assert_allclose(of_f[:, 5], 0, atol=1e-12)
    both = explain(kernel_of(lambda x: 2 * f(x) - g(x), background), rows)[..., 0]
    np.testing.assert_allclose(both, 2 * of_f - of_g, atol=1e-10)


@pytest.mark.parametrize("n", [7, 20])
@pytest.mark.parametrize("block_bytes", [1, 4096, 2**28])
def test_a_row_has_the_same_values_alone_in_a_batch_and_in_another_order(n, block_bytes):
    rng = np.random.default_rng(n)
    f = wiggly(rng.normal(size=n))
    background, rows = rng.normal(size=(5, n)), rng.normal(size=(9, n))
    fitted = kernel_of(f, background, n_coalitions=3 * n if n > 12 else None)
    small = kernel.Kernel(
        MaskedGame(fitted.game.predictor, fitted.game.background, block_bytes),
        fitted.design,
        fitted.base_values,
        fitted.whole,
    )
    together = explain(fitted, rows)
    alone = np.concatenate([explain(small, row[np.newaxis]) for row in rows])
    order = rng.permutation(9)
    np.testing.assert_allclose(alone, together, atol=1e-12)
    np.testing.assert_allclose(explain(small, rows[order]), together[order], atol=1e-12)


@pytest.mark.parametrize("n_rows", [1, 400])
def test_memory_stays_within_the_blocks_whatever_the_request(n_rows):
    """Peak of everything NumPy allocates, the model's own arrays included, below block_bytes."""
    rng = np.random.default_rng(0)
    n, block_bytes = 30, 24 * 2**20
    weights = rng.normal(size=n)
    fitted = kernel_of(
        lambda x: x @ weights, rng.normal(size=(100, n)), n_coalitions=500, block_bytes=block_bytes
    )
    rows = rng.normal(size=(n_rows, n))
    explain(fitted, rows[:1])
    tracemalloc.start()
    explain(fitted, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < block_bytes
    unblocked = n_rows * 500 * 100 * n * 8
    assert n_rows == 1 or unblocked > 100 * block_bytes


def test_a_non_finite_answer_stays_in_its_row():
    rng = np.random.default_rng(0)
    background, rows = rng.normal(size=(3, 15)), rng.normal(size=(4, 15))

    def f(x):
        return np.where(x[:, 0] == rows[2, 0], np.nan, x.sum(axis=1))

    found = explain(kernel_of(f, background, n_coalitions=40), rows)
    assert np.isnan(found[2]).all()
    assert np.isfinite(np.delete(found, 2, axis=0)).all()


def test_no_rows_have_no_values():
    fitted = kernel_of(lambda x: x[:, 0], np.ones((2, 4)))
    assert explain(fitted, np.empty((0, 4))).shape == (0, 4, 1)


MEASURE_PEAK = """
import resource
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from scoring import TabularExplainer
from scoring import KernelScoringExplainer

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

x, y = load_breast_cancer(return_X_y=True)
model = LogisticRegression(max_iter=5000).fit(x, y)
scoring = KernelScoringExplainer(TabularExplainer(model, x, n_background=20, n_coalitions=1000))
rows = np.tile(x, (4, 1))
before = peak()
scoring.explain_local(rows)
print((peak() - before) / scoring.block_bytes, len(rows) * 1000 * 20 * 30 * 8)
"""


@pytest.mark.slow
def test_the_process_grows_by_less_than_the_default_blocks():
    """Resident memory this time, so what the model allocates outside NumPy counts as well."""
    command = [sys.executable, "-c", MEASURE_PEAK]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    share, unblocked = map(float, run.stdout.split())
    assert unblocked > 10e9
    assert share < 1
