"""Values to hold contenders against: exact where the structure allows, else a large reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reference import Known, masked, refer
from scoring import TabularExplainer

LEAST = 200_000  # coalitions of a reference
FULL_COALITIONS = 4096
FULL_ROWS = 500  # of a training set that stands for itself, where no exact game does
EXACT_ROWS = 5000  # the same for exact games
HELD = 64  # coalitions that numbers are held against masked rows on
PATIENT = 10  # times the time that there is are taken for one row
NUMBERS_AGREE = 1e-6  # relative


@dataclass(frozen=True, eq=False)
class Truth:
    """Values (n_rows, n_players) of the last output; none where they are too dear to know."""

    values: NDArray[np.float64]
    how: str
    noise: float = 0.0


@dataclass(frozen=True, eq=False)
class Game:
    """What is explained.

    Parameters
    ----------
    model : as TabularExplainer takes it.
    f : the same over columns, (n, n_columns) to (n, n_outputs).
    columns : from rows of the model to columns.
    owner : the player of each column; None where each is one.
    """

    model: Any
    space: str
    f: Callable
    columns: Callable
    owner: Any = None


UNKNOWN = Truth(np.empty((0, 0)), "-")


def against(game, some, background, effort):
    """Against the background of a cell; our exact games are checked by brute force in tests/.

    Parameters
    ----------
    some, background : rows as the game's model takes them.
    """
    full = _explainer(game, background)
    if full.method.startswith("exact"):
        return Truth(full.explain_local(some).values[..., -1], full.method)
    known = Known.of(game.columns(background), owner=game.owner)
    worth = masked(game.f, game.columns(some), known)
    seconds = _seconds(worth, known.n_players, HELD)
    dear = len(some) * seconds > effort.reference_seconds
    quick = _by_numbers(full, some, worth) if dear else None
    if quick is not None:
        worth, seconds = quick, _seconds(quick, known.n_players, 64 * HELD)
    n_rows = min(int(effort.reference_seconds / seconds), len(some))
    n_rows = n_rows or int(seconds < PATIENT * effort.reference_seconds)
    if not n_rows:
        return UNKNOWN
    found = refer(worth, n_rows, known.n_players, effort, "truth")
    how = f"{found.n_coalitions:,} coalitions{'' if quick is None else ' by numbers'}"
    return Truth(found.values[..., -1], how, found.noise)


def _by_numbers(full, some, expected):
    """What coalitions are worth without masked rows, where the model is known by its numbers.

    Only where both agree on some coalitions; how to get from there to values is the reference's
    own affair.
    """
    if full.view.twin is None:
        return None
    game, table = full.view.game(full.summary), full.predictor.schema.encode(some)

    def worth(row, masks):
        return game.values(table.take(slice(row, row + 1)), masks)[0]

    masks = np.random.default_rng(0).random((HELD, len(full.features))) < 0.5
    for row in range(len(some)):
        told, right = worth(row, masks), expected(row, masks)
        if np.abs(told - right).max() > NUMBERS_AGREE * np.abs(right).max():
            return None
    return worth


def _seconds(worth, n_players, n_coalitions):
    """What a reference for one row takes."""
    masks = np.random.default_rng(1).random((n_coalitions, n_players)) < 0.5
    worth(0, masks[:1])
    start = time.perf_counter()
    worth(0, masks)
    return (time.perf_counter() - start) / len(masks) * LEAST


def against_training(game, some, train, *, sampled=True):
    """Against all training rows, and how many those were; unknown where that is too dear.

    Parameters
    ----------
    sampled : whether a sampled method may stand in for exact values; it takes fewer rows.
    """
    exact = _explainer(game, train[:2]).method.startswith("exact")
    if (exact and len(train) > EXACT_ROWS) or not (exact or sampled):
        return UNKNOWN, 0
    if exact:
        full = _explainer(game, train)
    else:
        train = train[:FULL_ROWS]
        full = _explainer(game, train, FULL_COALITIONS)
    return Truth(full.explain_local(some).values[..., -1], full.method), len(train)


def _explainer(game, background, n_coalitions=None):
    return TabularExplainer(
        game.model, background, output_space=game.space, n_background=len(background),
        n_coalitions=n_coalitions,
    )  # fmt: skip
