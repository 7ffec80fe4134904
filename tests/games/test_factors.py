"""Factors of coalitions from tables, against exponentials of every coalition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC

from scoring import TabularExplainer
from scoring.games import layered, precision, rbf
from scoring.games.factors import Factors, Forms, Memory
from scoring.games.game import even_blocks, players_of
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


def test_memory_is_used_again_and_changes_nothing():
    rng = np.random.default_rng(2)
    forms = Forms.of(rng.random((300, 13)) < 0.5)
    memory = Memory(2)
    for n_pairs, n_some, kind in ((7, 300, np.float64), (3, 40, np.float64), (9, 90, np.float32)):
        factors = Factors(forms, rng.exponential(1.0, (13, n_pairs)), kind)
        weights = rng.normal(size=n_pairs)
        alone = factors.at(forms.places[:, :n_some])
        np.testing.assert_array_equal(factors.at(forms.places[:, :n_some], memory), alone)
        factors.scale(weights)
        weighted = factors.at(forms.places[:, :n_some], memory)
        np.testing.assert_allclose(
            weighted, alone * weights, rtol=1e-14 if kind is np.float64 else 1e-6
        )
    assert memory.of((2, 3), np.float32).base is memory.of((6,), np.float32).base


@given(total=st.integers(0, 500), size=st.integers(1, 60))
def test_even_blocks_cover_everything_in_as_few_as_fit(total, size):
    found = list(even_blocks(total, size))
    assert [i for some in found for i in range(total)[some]] == list(range(total))
    lengths = [some.stop - some.start for some in found]
    assert len(found) == -(-total // size)
    assert max(lengths, default=0) <= size
    assert max(lengths, default=0) - min(lengths, default=0) < max(2, len(found))


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


@pytest.mark.parametrize("n_fit", [0, 2, 5])
def test_factors_are_kept_for_as_many_background_rows_as_fit(n_fit, monkeypatch):
    view, rows = machine()
    masks = np.random.default_rng(2).random((600, 14)) < 0.5
    n_supports, four = len(view.twin.numbers.supports), 4
    monkeypatch.setattr(rbf, "PAIRS", n_supports * four)
    monkeypatch.setattr(precision, "GAP", 0.0)  # double precision it is
    a_row = 8 * n_supports * Forms.of(masks).numbers(1)
    monkeypatch.setattr(rbf, "KEPT_BYTES", int(a_row * four * (n_fit + 0.9)))
    asked = view.game(view.summary).prepared(masks)
    (twin,) = (cell.cell_contents for cell in asked.__closure__ if callable(cell.cell_contents))
    assert len(twin.tables) == n_fit
    assert twin.half is None
    expected = MaskedGame(view.predictor, view.summary, 2**28).values(rows, masks)
    np.testing.assert_allclose(asked(rows, slice(0, 600)), expected, atol=1e-12)
    np.testing.assert_array_equal(
        asked(rows, slice(9, 77)), asked(rows, slice(0, 600))[:, slice(9, 77)]
    )


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
