"""Equal masked rows are asked about once; the values are those of all masked rows, bit for bit."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import coalitions
from scoring.background import Background
from scoring.games import masked, repeats
from scoring.games.masked import MaskedGame
from scoring.predictor import adapt
from scoring.schema import FeatureSchema

VALUES = np.array([0.0, -0.0, 1.0, 2.5, np.nan])


@dataclass
class Counted:
    """A model that looks at each row by itself, at missing values and at the sign of zero too."""

    asked: list[int] = field(default_factory=list)

    def __call__(self, x):
        self.asked.append(len(x))
        places = np.arange(1, x.shape[1] + 1)
        held = np.where(np.isnan(x), 7.3, x) + np.copysign(0.1, x)
        score = np.zeros(len(x))
        for place, column in zip(places, held.T, strict=True):
            score = np.sin(score + column / place)
        # Column by column in memory, as LightGBM's probabilities are.
        return np.stack([score, np.isnan(x).any(axis=1)]).T


def game_of(known, weights=None, block_bytes=2**28, model=None):
    schema = FeatureSchema.infer(np.where(np.isnan(known), 0.0, known))
    table = schema.encode(np.zeros((1, known.shape[1]))).with_codes(known)
    if weights is None:
        weights = np.full(len(known), 1 / len(known))
    predictor = adapt(model or Counted(), schema, probe=table)
    return MaskedGame(predictor, Background(table, weights, "weighted", len(known)), block_bytes)


def all_masked(rows, masks, known):
    """(n_rows, n_coalitions, n_background, n_features)"""
    return np.where(masks[:, np.newaxis], rows[:, np.newaxis, np.newaxis], known)


def plain(game, rows, masks):
    """v from every masked row, those that are equal again and again."""
    every = all_masked(rows, masks, game.background.table.codes)
    outputs = np.ascontiguousarray(Counted()(every.reshape(-1, rows.shape[1])))
    by_row = outputs.reshape(*every.shape[:3], -1)
    return np.einsum("b,rcbo->rco", game.background.weights, by_row)


def n_distinct(rows, masks, known):
    every = all_masked(rows, masks, known).reshape(-1, rows.shape[1])
    return len({row.tobytes() for row in every})


def ask(game, rows, masks):
    """v, and how many masked rows the model was asked about."""
    asked = game.predictor.model.function.asked
    asked.clear()
    v = game.values(game.background.table.with_codes(rows), masks)
    return v, sum(asked)


@given(
    n=st.integers(1, 9),
    n_values=st.integers(1, 5),
    n_background=st.integers(1, 6),
    n_rows=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)
def test_repeats_are_those_rows_that_are_equal(n, n_values, n_background, n_rows, seed):
    rng = np.random.default_rng(seed)
    rows, known = rng.choice(VALUES[-n_values:], (n_rows, n)), rng.choice(VALUES, (n_background, n))
    masks = rng.random((20, n)) < 0.5
    found = repeats.distinct(rows, masks, known)
    assert found is not None
    every = all_masked(rows, masks, known)
    assert len(found.places) == n_distinct(rows, masks, known)
    flat = every.reshape(-1, n)
    np.testing.assert_array_equal(flat[found.places][found.kinds], every)
    signs = np.signbit(every) & ~np.isnan(every)
    firsts = np.signbit(flat[found.places]) & ~np.isnan(flat[found.places])
    np.testing.assert_array_equal(firsts[found.kinds], signs)
    game = game_of(known, rng.dirichlet(np.ones(n_background)))
    v, asked = ask(game, rows, masks)
    np.testing.assert_array_equal(v, plain(game, rows, masks))
    many = repeats.repeat_much(rows, masks, known)
    assert asked == (len(found.places) if many else every[..., 0].size)


def test_one_nan_is_another():
    known = np.array([[np.nan, 1.0]])
    rows = np.array([[-np.nan, 1.0]])
    found = repeats.distinct(rows, coalitions.all_coalitions(2).masks, known)
    assert found is not None
    assert len(found.places) == 1


def categories(rng, n_rows, n):
    return rng.integers(0, 3, (n_rows, n)).astype(float)


def flags(rng, n_rows, n):
    return (rng.random((n_rows, n)) < 0.5).astype(float)


def one_hot(rng, n_rows, n):
    return (rng.random((n_rows, n)) < 0.1).astype(float)


def half_constant(rng, n_rows, n):
    return np.where(np.arange(n) % 2, 1.0, rng.normal(size=(n_rows, n)))


def one_constant(rng, n_rows, n):
    return np.where(np.arange(n) == 2, 1.0, rng.normal(size=(n_rows, n)))


@pytest.mark.parametrize(
    ("kind", "n", "at_most"),
    [
        (categories, 6, 0.07),
        (flags, 7, 0.03),
        (one_hot, 30, 0.2),
        (half_constant, 8, 0.15),
        (half_constant, 30, 0.9),
        (one_constant, 9, 0.6),
    ],
)
def test_the_model_is_asked_about_equal_rows_once(kind, n, at_most):
    rng = np.random.default_rng(0)
    rows, known = kind(rng, 9, n), kind(rng, 20, n)
    masks = coalitions.sample(n, 500).masks
    game = game_of(known)
    v, asked = ask(game, rows, masks)
    np.testing.assert_array_equal(v, plain(game, rows, masks))
    assert asked == n_distinct(rows, masks, known)
    assert asked < at_most * len(rows) * len(masks) * len(known)


def test_features_in_which_a_row_is_like_the_whole_background_make_no_masked_rows():
    rng = np.random.default_rng(0)
    rows, known = half_constant(rng, 1, 12), half_constant(rng, 5, 12)
    masks = coalitions.all_coalitions(12).masks
    assert ask(game_of(known), rows, masks)[1] == 1 + 5 * (2**6 - 1)  # the row itself but once


def test_a_row_of_the_background_is_asked_about_once():
    known = np.random.default_rng(0).normal(size=(10, 30))
    masks = coalitions.sample(30, 500).masks
    assert ask(game_of(known), known[3:4], masks)[1] == 9 * 500 + 1
    assert ask(game_of(known[3:4]), known[3:4], masks)[1] == 1


@pytest.mark.parametrize("n_rows", [1, 5])
@pytest.mark.parametrize("alike", [0, 1, 4])
def test_nothing_is_sought_where_nothing_is_equal(n_rows, alike, monkeypatch):
    rng = np.random.default_rng(0)
    rows, known = rng.normal(size=(n_rows, 30)), rng.normal(size=(10, 30))
    rows[:, :alike] = known[0, :alike]  # a few features in which they agree make no repeats
    masks = coalitions.sample(30, 400).masks
    monkeypatch.setattr(masked, "distinct", None)
    game = game_of(known)
    v, asked = ask(game, rows, masks)
    np.testing.assert_array_equal(v, plain(game, rows, masks))
    assert asked == n_rows * 400 * 10


@pytest.mark.parametrize("block_bytes", [1, 30_000, 2**28])
@pytest.mark.parametrize("kind", [categories, half_constant])
def test_a_row_has_the_same_values_to_the_last_bit_in_any_company(kind, block_bytes):
    rng = np.random.default_rng(1)
    rows, known = kind(rng, 6, 6), kind(rng, 4, 6)
    rows[2] = known[1]
    masks = coalitions.all_coalitions(6).masks
    together = ask(game_of(known), rows, masks)[0]
    for order in (np.arange(6), rng.permutation(6), np.repeat(np.arange(6), 3)):
        np.testing.assert_array_equal(ask(game_of(known), rows[order], masks)[0], together[order])
    game = game_of(known, block_bytes=block_bytes)
    alone = np.concatenate([ask(game, row[np.newaxis], masks)[0] for row in rows])
    if block_bytes > 1:
        np.testing.assert_array_equal(alone, together)
    else:  # one masked row at a time: the background is added up in another order
        np.testing.assert_allclose(alone, together, rtol=1e-14, atol=1e-15)


def test_keys_that_begin_the_same_by_chance_cost_time_only(monkeypatch):
    rng = np.random.default_rng(0)
    rows, known = flags(rng, 3, 6), flags(rng, 4, 6)
    masks = coalitions.all_coalitions(6).masks
    honest = repeats._fingerprints

    def same(codes, salt):
        return honest(codes, salt) if salt else np.ones(codes.shape, np.uint64)

    monkeypatch.setattr(repeats, "_fingerprints", same)
    assert repeats.distinct(rows, masks, known) is None
    game = game_of(known)
    np.testing.assert_array_equal(ask(game, rows, masks)[0], plain(game, rows, masks))


@pytest.mark.parametrize("n_rows", [1, 60])
def test_memory_stays_within_the_blocks_where_repeats_are_sought(n_rows):
    rng = np.random.default_rng(0)
    rows, known = one_hot(rng, n_rows, 30), one_hot(rng, 100, 30)
    masks, block_bytes = coalitions.sample(30, 500).masks, 24 * 2**20
    game = game_of(known, block_bytes=block_bytes, model=lambda x: x @ np.ones(30))
    table = game.background.table.with_codes(rows)
    assert repeats.repeat_much(rows, masks, known)
    tracemalloc.start()
    game.values(table, masks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < block_bytes
    assert n_rows == 1 or n_rows * 500 * 100 * 30 * 8 > 20 * block_bytes
