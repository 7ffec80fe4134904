"""Values to hold contenders against: exact where the structure allows, else a large reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reference import Known, refer
from scoring.explainers import TabularExplainer

LEAST = 200_000  # coalitions of a reference
FULL_COALITIONS = 4096
FULL_ROWS = 500  # of a training set that stands for itself, where no exact game does
EXACT_ROWS = 5000  # the same for exact games


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
    rows, known = game.columns(some), game.columns(background)
    per_row = LEAST * len(known) * _seconds(game.f, known)
    n_rows = min(int(effort.reference_seconds / per_row), len(rows))
    if not n_rows:
        return UNKNOWN
    found = refer(game.f, rows[:n_rows], Known.of(known, owner=game.owner), effort, "truth")
    return Truth(found.values[..., -1], f"{found.n_coalitions:,} coalitions", found.noise)


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


def _seconds(f, known):
    """Of one row among a thousand."""
    rows = known[np.arange(1000) % len(known)]
    f(rows[:1])
    start = time.perf_counter()
    f(rows)
    return (time.perf_counter() - start) / len(rows)
