"""One run: every workload against every peer, then the server."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import contenders, exact_games, machine, precision, raw_features, serving, speed
from benchmarks.effort import FULL, QUICK
from benchmarks.report import page
from benchmarks.targets import targets
from benchmarks.workloads import breast_cancer
from scoring.explainers import TabularExplainer

N_BACKGROUND = 10
SERVED = "LogisticRegression"  # travels as ONNX
SMALL_DESIGN = 60  # two coalitions a feature: the fewest there may be


@dataclass(frozen=True)
class Results:
    """Everything that a run measured."""

    machine: dict[str, str]
    cells: list[speed.Cell]
    errors: list[precision.Errors]
    overhead: serving.Overhead
    process: serving.Process
    pipeline: raw_features.RawFeatures
    exact: list[exact_games.Cell]
    seconds: float


def run(output, *, quick):
    """Measure, print and write; returns the exit code, 1 where a target is missed."""
    start = time.perf_counter()
    effort = QUICK if quick else FULL
    facts = machine.facts()
    cells, errors = [], []
    with tempfile.TemporaryDirectory() as directory:
        workloads = {workload.name: workload for workload in breast_cancer()}
        for workload in workloads.values():
            timed, error = _against_peers(workload, Path(directory, workload.name), effort)
            cells += timed
            errors.append(error)
        overhead, process = _served(workloads[SERVED], Path(directory), effort)
    _say("a pipeline's raw features")
    pipeline = raw_features.measure(effort)
    _say("exact games")
    exact = exact_games.measure(workloads, effort)
    seconds = time.perf_counter() - start
    results = Results(facts, cells, errors, overhead, process, pipeline, exact, seconds)
    met = [] if quick else targets(results)
    _write(output, results, met)
    return 0 if all(target.met for target in met) else 1


def _against_peers(workload, artifact, effort):
    """Time and error of one workload; its artifact stays."""
    _say(f"{workload.name}: distil and save")
    full = _full(workload)
    explainer = contenders.distilled(full, effort.n_coalitions)
    with machine.one_cpu():
        ours = contenders.served(explainer, artifact)
        peer = contenders.shap_kernel(workload.model, full.summary, ours.n_coalitions)
        _say(f"{workload.name}: time")
        cells = speed.measure(workload, ours, peer, effort)
    _say(f"{workload.name}: error")
    return cells, precision.measure(workload, full, ours, peer, effort)


def _served(workload, directory, effort):
    """What HTTP adds to a small design, and the process that serves the whole one."""
    _say("the server")
    small = directory / "small"
    contenders.served(contenders.distilled(_full(workload), SMALL_DESIGN), small)
    overhead = serving.overhead(small, workload, effort)
    return overhead, serving.process(directory / workload.name, effort)


def _full(workload):
    return TabularExplainer(workload.model, workload.train, n_background=N_BACKGROUND)


def _write(output, results, met):
    text = page(results, met)
    print(text)
    output.mkdir(parents=True, exist_ok=True)
    (output / "RESULTS.md").write_text(text, encoding="utf-8")
    raw = dataclasses.asdict(results) | {
        "overhead": results.overhead.percentiles(),
        "targets": [dataclasses.asdict(target) for target in met],
    }
    (output / "results.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")


def _say(line):
    print(line, file=sys.stderr, flush=True)
