"""One run: every part, or some of them."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import (
    contenders,
    environments,
    grid,
    guide,
    machine,
    precision,
    raw_features,
    serving,
    speed,
)
from benchmarks.effort import FULL, PARTS, QUICK
from benchmarks.report import page
from benchmarks.targets import targets
from benchmarks.workloads import breast_cancer
from scoring.explainers import TabularExplainer

QUICK_PARTS = ("grid", "kernel", "server", "pipeline")  # nothing is installed for a quick run
N_BACKGROUND = 10
SERVED = "LogisticRegression"  # travels as ONNX
SMALL_DESIGN = 60  # two coalitions a feature: the fewest there may be


@dataclass(frozen=True)
class KernelPath:
    """Time and error of designs of coalitions on both sides."""

    cells: list[speed.Cell]
    errors: list[precision.Errors]


@dataclass(frozen=True)
class Server:
    """What HTTP adds, and the process that serves."""

    overhead: serving.Overhead
    process: serving.Process


@dataclass(frozen=True)
class Grid:
    """Cells, and notes on who took part."""

    cells: list[grid.Cell]
    notes: list[str]


@dataclass(frozen=True)
class Results:
    """Everything that a run measured; None for parts that it left out."""

    machine: dict[str, str]
    seconds: float
    grid: Grid | None = None
    guide: guide.Guide | None = None
    kernel: KernelPath | None = None
    server: Server | None = None
    pipeline: raw_features.RawFeatures | None = None


def run(output, *, quick, only=None, workload=None):
    """Measure, print and write; returns the exit code, 1 where a target is missed."""
    start = time.perf_counter()
    effort = QUICK if quick else FULL
    facts = machine.facts()
    measured = {
        part: MEASURE[part](effort, workload) for part in only or (QUICK_PARTS if quick else PARTS)
    }
    results = Results(facts, time.perf_counter() - start, **measured)
    met = [] if quick else targets(results)
    _write(output, results, met, plots=not quick)
    return 0 if all(target.met for target in met) else 1


def _grid(effort, workload):
    _say("the grid")
    return Grid(*grid.run(effort, workload))


def _guide(effort, _workload):
    _say("the guide's own stack")
    try:
        return guide.measure(effort)
    except environments.NotHere as reason:
        _say(f"left out: {reason}")
        return None


def _kernel(effort, workload):
    cells, errors = [], []
    for each in breast_cancer():
        if not workload or workload in each.name:
            timed, error = _against_peers(each, effort)
            cells += timed
            errors.append(error)
    return KernelPath(cells, errors)


def _against_peers(workload, effort):
    """Time and error of one workload."""
    _say(f"{workload.name}: distil and save")
    full = _full(workload)
    explainer = contenders.distilled(full, effort.n_coalitions)
    with machine.one_cpu(), tempfile.TemporaryDirectory() as directory:
        ours = contenders.served(explainer, Path(directory, "artifact"))
        peer = contenders.shap_kernel(workload.model, full.summary, ours.n_coalitions)
        _say(f"{workload.name}: time")
        cells = speed.measure(workload, ours, peer, effort)
    _say(f"{workload.name}: error")
    return cells, precision.measure(workload, full, ours, peer, effort)


def _server(effort, _workload):
    """What HTTP adds to a small design, and the process that serves the whole one."""
    _say("the server")
    workload = next(each for each in breast_cancer() if each.name == SERVED)
    with tempfile.TemporaryDirectory() as directory:
        small, whole = Path(directory, "small"), Path(directory, "whole")
        contenders.served(contenders.distilled(_full(workload), SMALL_DESIGN), small)
        contenders.served(contenders.distilled(_full(workload), effort.n_coalitions), whole)
        return Server(serving.overhead(small, workload, effort), serving.process(whole, effort))


def _pipeline(effort, _workload):
    _say("a pipeline's raw features")
    return raw_features.measure(effort)


MEASURE = {
    "grid": _grid, "guide": _guide, "kernel": _kernel, "server": _server, "pipeline": _pipeline,
}  # fmt: skip


def _full(workload):
    return TabularExplainer(workload.model, workload.train, n_background=N_BACKGROUND)


def _write(output, results, met, *, plots):
    text = page(results, met)
    print(text)
    output.mkdir(parents=True, exist_ok=True)
    (output / "RESULTS.md").write_text(text, encoding="utf-8")
    raw = dataclasses.asdict(results)
    if results.server:
        raw["server"]["overhead"] = results.server.overhead.percentiles()
    raw["targets"] = [dataclasses.asdict(target) for target in met]
    file = output / "results.json"
    file.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    if plots and results.grid:
        environments.draw(file, output)


def _say(line):
    print(line, file=sys.stderr, flush=True)
