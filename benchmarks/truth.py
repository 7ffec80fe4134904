"""Values to hold contenders against: exact where the structure allows, else a large reference."""

from __future__ import annotations

import time
from dataclasses import dataclass

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


UNKNOWN = Truth(np.empty((0, 0)), "-")


def against(model, f, background, some, subject, effort, *, grouped):
    """Against the background of a cell.

    Parameters
    ----------
    model : what TabularExplainer takes; its own exact games are checked by brute force in tests/.
    f : the same over columns.
    grouped : whether players are raw features that own several columns.
    """
    full = _explainer(model, background, subject.space)
    if full.method.startswith("exact"):
        return Truth(full.explain_local(some).values[..., -1], full.method)
    rows, known = subject.columns(some), subject.columns(background)
    if not grouped and subject.prepare is not None:
        rows, known = np.asarray(some), np.asarray(background)
    per_row = LEAST * len(known) * _seconds(f, known)
    n_rows = min(int(effort.reference_seconds / per_row), len(rows))
    if not n_rows:
        return UNKNOWN
    found = refer(
        f, rows[:n_rows], Known.of(known, owner=subject.owner if grouped else None), effort
    )
    return Truth(found.values[..., -1], f"{found.n_coalitions:,} coalitions", found.noise)


def against_training(model, train, some, subject):
    """Against all training rows, and how many those were; a sampled method takes fewer."""
    full = _explainer(model, train[:2], subject.space)
    exact = full.method.startswith("exact")
    if exact and len(train) > EXACT_ROWS:
        return UNKNOWN, 0
    if not exact:
        train = train[:FULL_ROWS]
    n_coalitions = None if exact else FULL_COALITIONS
    full = _explainer(model, train, subject.space, n_coalitions)
    return Truth(full.explain_local(some).values[..., -1], full.method), len(train)


def _explainer(model, background, space, n_coalitions=None):
    return TabularExplainer(
        model, background, output_space=space, n_background=len(background),
        n_coalitions=n_coalitions,
    )  # fmt: skip


def _seconds(f, known):
    """Of one row among a thousand."""
    rows = known[np.arange(1000) % len(known)]
    f(rows[:1])
    start = time.perf_counter()
    f(rows)
    return (time.perf_counter() - start) / len(rows)
