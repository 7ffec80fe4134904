"""Which value function a model gets: a twin that knows its numbers, or the generic one."""

from __future__ import annotations

import numpy as np

from scoring.background import Background
from scoring.features import Engineering
from scoring.games.columns import ColumnsGame
from scoring.games.game import Game
from scoring.games.masked import MaskedGame
from scoring.games.twin import Twin, TwinGame
from scoring.predictor import Predictor

__all__ = ["TOLERANCE", "agrees", "game_of"]

BLOCK_BYTES = 2**26

CHECKED = 32
"""Coalitions on which a twin is held against the model itself."""

TOLERANCE = 1e-6
"""Largest difference from the model's own values, as a share of the largest of them."""


def game_of(
    predictor: Predictor,
    background: Background,
    block_bytes: int,
    twin: Twin | None = None,
    engineering: Engineering | None = None,
) -> Game:
    """Return the cheapest value function that answers what the model answers.

    Parameters
    ----------
    twin : the model's numbers, checked, where they are known.
    engineering : else where a pipeline is cut, if the model is one.
    """
    if twin is not None:
        return TwinGame(predictor, background, block_bytes, twin)
    if engineering is None or not engineering.exclusive:
        return MaskedGame(predictor, background, block_bytes)
    inner = engineering.predictor(predictor), engineering.background(background), block_bytes
    return ColumnsGame(predictor, background, block_bytes, engineering, MaskedGame(*inner))


def agrees(predictor: Predictor, background: Background, twin: Twin) -> bool:
    """Whether a twin's values are the model's own, on a few rows and coalitions.

    One that differs must not be taken: something about the model is not what its type promises.
    """
    rng = np.random.default_rng(0)
    n_features = predictor.schema.n_features
    masks = rng.random((CHECKED, n_features)) < rng.random((CHECKED, 1))
    rows = background.table.take(slice(0, 2))
    games = (game_of(predictor, background, BLOCK_BYTES, each) for each in (twin, None))
    found, expected = (game.values(rows, masks) for game in games)
    if found.shape != expected.shape or not np.isfinite(expected).all():
        return False
    return bool(np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max())
