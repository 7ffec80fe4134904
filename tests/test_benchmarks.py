"""The benchmark runs, and its reference is Shapley's."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reference import draw, relative_rms, shapley_values
from tests import oracles

ROOT = Path(__file__).resolve().parent.parent
N_FEATURES = 11


def reference(v, n_pairs):
    """Shapley values of one game by the benchmark's reference; v takes masks."""
    masks, weights = draw(N_FEATURES, n_pairs, seed=3)
    nobody, everybody = v(np.array([[False], [True]]).repeat(N_FEATURES, axis=1))
    odd = (v(masks) - v(~masks)) / 2
    whole = np.array([(everybody - nobody) / 2])
    return shapley_values(masks, weights, odd[:, np.newaxis], whole)[:, 0]


def definition(v):
    masks = np.array(list(product([False, True], repeat=N_FEATURES)))
    worth = {frozenset(np.flatnonzero(m)): x for m, x in zip(masks, v(masks), strict=True)}
    return oracles.shapley(worth.__getitem__, N_FEATURES)


def test_the_reference_is_exact_for_interactions_of_up_to_four():
    rng = np.random.default_rng(0)
    groups = [list(g) for k in (1, 2, 3, 4) for g in combinations(range(N_FEATURES), k)]
    worth = rng.normal(size=len(groups))

    def v(masks):
        together = np.column_stack([masks[:, group].all(axis=1) for group in groups])
        return together @ worth

    assert relative_rms(reference(v, 800) - definition(v), definition(v)) < 1e-5


def test_the_reference_converges_whatever_the_interactions():
    slopes = np.linspace(-3, 4, N_FEATURES)

    def v(masks):
        return 1 / (1 + np.exp(4 - masks @ slopes))

    assert relative_rms(reference(v, 40_000) - definition(v), definition(v)) < 0.003


GOOD = {
    "time": 0.5,
    "error": 0.1,
    "apart": 1e-9,
    "added": 1.9,
    "ready": 1.9,
    "mib": 199.0,
    "global": 99.0,
    "raw_error": 0.02,
    "factor": 31.0,
    "flat": 1.05,
}


@pytest.mark.parametrize(
    "worse",
    [
        {},
        {"time": 1.01},
        {"error": 0.21},
        {"apart": 2e-5},
        {"added": 2.1},
        {"ready": 2.1},
        {"mib": 201.0},
        {"imported": ["scipy"]},
        {"global": 101.0},
        {"raw_error": 0.03},
        {"factor": 29.0},
        {"flat": 1.2},
    ],
    ids=str,
)
def test_a_missed_target_is_told(worse):
    from benchmarks import exact_games, precision, raw_features, serving, speed
    from benchmarks.run import Results
    from benchmarks.targets import targets

    m = GOOD | {"imported": []} | worse
    other = [speed.Clock(1.0, 1.0)] * 3
    mine = [speed.Clock(m["time"], 1.0)] * 3
    exact = [
        exact_games.Cell("forest", "exact tree", "tree", n, ours, peers, 0.0, 1.0, 1.0, wanted)
        for n, ours, peers, wanted in (
            (10, 1.0, 9.0, None),
            (100, 1.0, m["factor"], 30.0),
            (1000, m["flat"], 900.0, 30.0),
        )
    ]
    results = Results(
        exact=exact,
        machine={},
        cells=[
            speed.Cell("svm", 1, 1, 0.0, other, other),
            speed.Cell("svm", 20, 20, m["apart"], mine, other),
        ],
        errors=[precision.Errors("svm", 1, 60, [m["error"]], [0.2], 100, 0.0)],
        overhead=serving.Overhead([3.0 + m["added"]] * 3, [3.0] * 3),
        process=serving.Process([m["ready"]], [m["mib"]], m["imported"]),
        pipeline=raw_features.RawFeatures(
            19, 40, 1000, 304, 2128, m["raw_error"], 0.02, m["global"], 10, 10.0
        ),
        seconds=1.0,
    )
    assert sum(not target.met for target in targets(results)) == len(worse)


@pytest.mark.slow
def test_the_benchmark_runs(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "RESULTS.md").read_text()
    assert page in done.stdout
    results = json.loads((tmp_path / "results.json").read_text())
    workloads = {cell["workload"] for cell in results["cells"]}
    assert len(workloads) == 4
    assert workloads == {each["workload"] for each in results["errors"]}
    assert all(f"| {workload} " in page for workload in workloads)
    assert results["process"]["imported"] == []
    assert max(cell["base_values_apart"] for cell in results["cells"]) < 1e-5
