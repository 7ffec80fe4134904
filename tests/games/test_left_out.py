"""Products without one player, against the products themselves."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.games.left_out import Arena, bytes_of, left_out
from scoring.games.sigmoid import SPARE
from scoring.games.sines import half_nodes, rounding


def one_by_one(c, s, z, weights):
    """Every product by itself."""
    factors = c[..., np.newaxis] + 1j * z * s[..., np.newaxis]
    without = [np.delete(factors, j, axis=0).prod(axis=0) for j in range(len(c))]
    return (np.array(without) * weights).real.sum(axis=-1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_players", [2, 4, 6, 8, 10, 12, 14, 18, 30, 34])
@pytest.mark.parametrize("n_nodes", [2, 6])
def test_products_are_those_of_all_others(n_players, n_nodes, dtype):
    angles = np.random.default_rng(n_players).uniform(-4, 4, size=(n_players, 7))
    angles[0, 0] = angles[-1, 0] = np.pi / 2  # factors that are almost 0, and exactly
    angles[:, 1] = 0.0
    c, s = np.cos(angles), np.sin(angles)
    c[1, 2] = s[1, 2] = 0.0
    z, weights = half_nodes(n_nodes)
    arena = Arena(7 * bytes_of(n_players, len(z), dtype) + SPARE)
    found = left_out(c.astype(dtype), s.astype(dtype), z, weights, arena)
    assert found.dtype == dtype
    atol = 1e-14 if dtype is np.float64 else rounding(n_players) / 4
    np.testing.assert_allclose(found, one_by_one(c, s, z, weights), rtol=0, atol=atol)


@pytest.mark.parametrize("n_players", [2, 8, 30, 120])
def test_single_precision_rounds_less_than_its_bound(n_players):
    """Of `4 S_j` times the product of the others, at angles of every size."""
    rng = np.random.default_rng(n_players)
    sizes = np.repeat([1e-3, 0.03, 0.3, 3.0], 50)
    angles = sizes * rng.normal(size=(n_players, 200))
    angles[:, ::5] = angles[0, ::5]  # all alike
    c, s = np.cos(angles), np.sin(angles)
    z, weights = half_nodes(12)
    arena = Arena(200 * bytes_of(n_players, len(z), float) + SPARE)
    exact = 4 * s * left_out(c, s, z, weights, arena)
    arena.clear()
    c, s = c.astype(np.float32), s.astype(np.float32)
    off = np.abs(4 * s * left_out(c, s, z, weights, arena) - exact).max()
    assert 1e-8 < off < rounding(n_players)


def test_an_arena_has_room_for_as_many_players_as_it_says():
    for n_players in range(2, 150, 2):
        c = np.ones((n_players, 3))
        z, weights = half_nodes(4)
        arena = Arena(3 * bytes_of(n_players, len(z), float) + SPARE)
        assert left_out(c, 0 * c, z, weights, arena) == pytest.approx(0.5)


def test_an_arena_gives_what_it_has_and_no_more():
    arena = Arena(256)
    first, second = arena.take((4,), float), arena.take((4, 2), np.complex64)
    first[:], second[:] = 1.0, 2.0
    assert (first == 1.0).all()
    with pytest.raises(TypeError, match="too small"):
        arena.take((32,), float)
    arena.clear()
    assert np.shares_memory(arena.take((4,), float), first)
