"""The guide's example against the guide's own stack: 114 rows, one call, timed once."""

from __future__ import annotations

import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shap
from shap.utils._legacy import DenseData  # what shap.kmeans answers

from benchmarks import environments, machine
from benchmarks.grid import same_game
from benchmarks.reference import Known, masked, refer
from benchmarks.subjects import named
from benchmarks.timing import relative_rms
from scoring import KernelScoringExplainer, load, save

EXAMPLE = "SVC, probability"


@dataclass(frozen=True)
class Guide:
    """Seconds for all rows in one call, and relative RMS errors on some of them."""

    n_rows: int
    n_background: int
    n_coalitions: int
    seconds: float
    error: float
    peer_seconds: float
    peer_error: float
    distillation: float
    reference_coalitions: int
    reference_noise: float
    base_values_apart: float
    outputs_apart: float

    @property
    def factor(self):
        """How many times faster ours is."""
        return self.peer_seconds / self.seconds


def measure(effort):
    """Their centroids and weights are given to ours, so that both explain one game."""
    subject = named(EXAMPLE)
    f, rows = subject.f, subject.test[: effort.guide_rows]
    job = {"model": subject.key, "train": subject.train, "labels": subject.labels}
    job |= {"rows": rows, "outputs": f(rows)}
    with machine.one_cpu():
        python = environments.python_of("guide")
        told = environments.run(python, "benchmarks.peers.guide_stack", job)
    known = Known.of(np.array(told["background"]), np.ravel(told["weights"]))
    with machine.one_cpu(), tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        served = _distilled(f, known, Path(directory))
        distillation = time.perf_counter() - start
        served.explain_local(subject.fresh(1, 3))
        start = time.perf_counter()
        explanation = served.explain_local(rows)
        seconds = time.perf_counter() - start
    apart = told["outputs_apart"]
    base = max(
        float(same_game(theirs, ours, apart, "the guide's stack"))
        for theirs, ours in zip(told["base_values"], explanation.base_values, strict=True)
    )
    some = rows[: effort.grid_rows]
    worth = masked(f, some, known)
    truth = refer(worth, len(some), known.n_players, effort, "the guide's example")
    theirs = np.moveaxis(np.array(told["values"]), 0, -1)
    return Guide(
        n_rows=len(rows),
        n_background=len(known.rows),
        n_coalitions=explanation.n_coalitions,
        seconds=seconds,
        error=relative_rms(explanation.values[: len(some)] - truth.values, truth.values),
        peer_seconds=told["seconds"],
        peer_error=relative_rms(theirs[: len(some)] - truth.values, truth.values),
        distillation=distillation,
        reference_coalitions=truth.n_coalitions,
        reference_noise=truth.noise,
        base_values_apart=base,
        outputs_apart=apart,
    )


def _distilled(f, known, directory):
    """Through a ready `shap.KernelExplainer`, which is how weighted rows come in."""
    names = [str(j) for j in range(known.rows.shape[1])]
    ready = shap.KernelExplainer(f, DenseData(known.rows, names, None, known.weights.copy()))
    with warnings.catch_warnings(category=FutureWarning, action="ignore"):  # of SVC's attributes
        save(KernelScoringExplainer(ready), directory / "artifact")
    return load(directory / "artifact")
