"""Which value function a model gets: a twin that knows its structure, or the generic one."""

from __future__ import annotations

import numpy as np

from scoring.background import Background
from scoring.features import Engineering
from scoring.games.columns import ColumnsGame
from scoring.games.game import Game
from scoring.games.layered import LayeredGame, Layers, layers_of
from scoring.games.masked import MaskedGame
from scoring.games.rbf import Expansion, RbfGame, expansion_of
from scoring.predictor import Predictor

__all__ = ["game_of", "known_game"]

CHECKED = 32
"""Coalitions on which a twin is held against the model itself."""

TOLERANCE = 1e-6
"""Largest difference from the model's own values, as a share of the largest of them."""


def game_of(
    predictor: Predictor,
    background: Background,
    block_bytes: int,
    engineering: Engineering | None = None,
) -> Game:
    """Return the cheapest value function that answers what the model answers.

    A twin that differs from the model is not taken: something about the model is not what its
    type promises.

    Parameters
    ----------
    engineering : where a pipeline is cut, if the model is one.
    """
    generic = MaskedGame(predictor, background, block_bytes)
    twin = _columns_game(predictor, background, block_bytes, engineering)
    if twin is None:
        numbers = expansion_of(predictor) or layers_of(predictor)
        twin = known_game(predictor, background, block_bytes, numbers)
    return twin if _agrees(twin, generic) else generic


def known_game(
    predictor: Predictor,
    background: Background,
    block_bytes: int,
    numbers: Expansion | Layers | None,
) -> Game:
    """Return the value function for a structure that was checked before; None for no structure."""
    if isinstance(numbers, Expansion):
        return RbfGame(predictor, background, block_bytes, numbers)
    if isinstance(numbers, Layers):
        return LayeredGame(predictor, background, block_bytes, numbers)
    return MaskedGame(predictor, background, block_bytes)


def _columns_game(
    predictor: Predictor, background: Background, block_bytes: int, engineering: Engineering | None
) -> Game | None:
    if engineering is None or not engineering.exclusive:
        return None
    inner = engineering.predictor(predictor), engineering.background(background), block_bytes
    return ColumnsGame(predictor, background, block_bytes, engineering, game_of(*inner))


def _agrees(twin: Game, generic: Game) -> bool:
    if isinstance(twin, MaskedGame):
        return True
    rng = np.random.default_rng(0)
    n_features = generic.predictor.schema.n_features
    masks = rng.random((CHECKED, n_features)) < rng.random((CHECKED, 1))
    rows = generic.background.table.take(slice(0, 2))
    found, expected = twin.values(rows, masks), generic.values(rows, masks)
    if found.shape != expected.shape or not np.isfinite(expected).all():
        return False
    return bool(np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max())
