"""How far from the Shapley values the answers are, ours and a peer's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from benchmarks import contenders
from benchmarks.reference import Known, refer
from benchmarks.timing import relative_rms


@dataclass(frozen=True)
class Errors:
    """Relative RMS errors of one workload, one for each seed; and the reference's own."""

    workload: str
    n_rows: int
    n_coalitions: int
    ours: list[float]
    peer: list[float]
    reference_coalitions: int
    reference_noise: float


def measure(workload, full, ours, peer, effort):
    """Hold both against the reference; `ours` is the design of seed 0, the others are made."""
    rows = workload.spread(effort.error_rows)
    contenders.base_values_apart(ours, peer)
    known = Known.of(full.summary.table.codes, full.summary.weights)
    truth = refer(workload.model.predict_proba, rows, known, effort, workload.name)

    def error(values):
        return relative_rms(values - truth.values, truth.values)

    mine = [error(ours.values(rows))]
    for seed in tqdm(range(1, effort.seeds), f"{workload.name}, designs", leave=False):
        other = contenders.distilled(full, effort.n_coalitions, seed)
        mine.append(error(contenders.contender(other).values(rows)))
    theirs = []
    for state in tqdm(range(effort.peer_seeds), f"{workload.name}, shap", leave=False):
        np.random.seed(state)  # noqa: NPY002 shap draws from the global generator
        theirs.append(error(peer.values(rows)))
    return Errors(
        workload.name,
        len(rows),
        ours.n_coalitions,
        mine,
        theirs,
        truth.n_coalitions,
        truth.noise,
    )
