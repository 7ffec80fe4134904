"""One run: every part, or some of them."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments, grid, guide, machine, raw_features, serving
from benchmarks.effort import FULL, PARTS, QUICK
from benchmarks.report import page
from benchmarks.subjects import named
from benchmarks.targets import targets
from scoring import KernelScoringExplainer, TabularExplainer, save

QUICK_PARTS = ("grid", "server", "pipeline")  # nothing is installed for a quick run
N_BACKGROUND = 10
SERVED = "LogisticRegression, probability"
SMALL_DESIGN = 60  # two coalitions a feature: the fewest there may be


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


def _server(effort, _workload):
    """What HTTP adds to a small design, and the process that serves the whole one."""
    _say("the server")
    subject = named(SERVED)
    full = TabularExplainer(subject.model, subject.train, n_background=N_BACKGROUND)
    with tempfile.TemporaryDirectory() as directory:
        small, whole = Path(directory, "small"), Path(directory, "whole")
        save(KernelScoringExplainer(full, n_coalitions=SMALL_DESIGN, method="kernel"), small)
        save(KernelScoringExplainer(full, method="kernel"), whole)
        return Server(serving.overhead(small, subject, effort), serving.process(whole, effort))


def _pipeline(effort, _workload):
    _say("a pipeline's raw features")
    return raw_features.measure(effort)


MEASURE = {"grid": _grid, "guide": _guide, "server": _server, "pipeline": _pipeline}


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
