"""Milliseconds per row, ours and a peer's in turn, always on rows that neither has seen."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from benchmarks.contenders import base_values_apart


class Clock(NamedTuple):
    """Milliseconds per row on the wall, and of the processor; the latter knows no neighbours."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Cell:
    """One workload, one size of request."""

    workload: str
    n_rows: int
    peer_rows: int
    base_values_apart: float
    ours: list[Clock]
    peer: list[Clock]

    def ratios(self, clock="wall"):
        """How many of the peer's milliseconds one of ours takes, pair by pair."""
        pairs = zip(self.ours, self.peer, strict=True)
        return [getattr(mine, clock) / getattr(other, clock) for mine, other in pairs]


def measure(workload, ours, peer, effort):
    """Time every size of request."""
    return [_cell(workload, ours, peer, n_rows, effort) for n_rows in effort.requests]


def _cell(workload, ours, peer, n_rows, effort):
    apart = base_values_apart(ours, peer)
    repeats = effort.requests[n_rows]
    rng = np.random.default_rng(n_rows)
    for side in (ours, peer):
        side.values(workload.fresh(1, rng))
    one = _clock(peer, workload.fresh(1, rng)).wall / 1000
    peer_rows = int(np.clip(effort.peer_seconds / repeats / one, 1, n_rows))
    mine, others = [], []
    for _ in tqdm(range(repeats), f"{workload.name}, {n_rows} rows", leave=False):
        rows = workload.fresh(n_rows, rng)
        mine.append(_clock(ours, rows))
        others.append(_clock(peer, rows[:peer_rows]))
    return Cell(workload.name, n_rows, peer_rows, apart, mine, others)


def _clock(contender, rows):
    wall, cpu = time.perf_counter(), time.process_time()
    contender.values(rows)
    per_row = 1000 / len(rows)
    return Clock(
        (time.perf_counter() - wall) * per_row,
        (time.process_time() - cpu) * per_row,
    )
