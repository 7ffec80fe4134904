"""Run many seeds in processes of their own: `python -m tests.fuzz.run --seeds 0:2000 --jobs 2`."""

from __future__ import annotations

import argparse
import faulthandler
import json
import math
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

from tests.fuzz.outcome import Finding, Outcome, plain

LIMIT_SECONDS = 60.0


@dataclass(eq=False)
class _Worker:
    """A process that is given one seed after the other."""

    process: Any
    pipe: Connection
    seed: int | None = None
    began: float = 0.0
    cpu: float = 0.0

    @classmethod
    def start(cls, small: bool) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, small), daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, seed: int) -> None:
        self.seed, self.began, self.cpu = seed, time.monotonic(), self.seconds()
        self.pipe.send(seed)

    def seconds(self) -> float:
        """CPU time, which does not depend on what else the machine does."""
        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.Error:
            return math.inf
        return times.user + times.system

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _work(pipe: Connection, small: bool) -> None:
    from tests.fuzz.check import outcome_of

    faulthandler.enable()
    while True:
        try:
            seed = pipe.recv()
            pipe.send(outcome_of(seed, small=small))
        except (EOFError, BrokenPipeError):  # nobody waits any more
            return


def outcomes(
    seeds: Iterable[int], jobs: int, limit: float = LIMIT_SECONDS, *, small: bool = False
) -> Iterator[Outcome]:
    """Give the outcome of every seed, as they come.

    Parameters
    ----------
    limit : seconds of CPU that a case may take; ten times as many by the clock.
    small : as for `case_of`.
    """
    left, workers = iter(seeds), [_Worker.start(small) for _ in range(jobs)]
    busy: list[_Worker] = []
    for worker in workers:
        _next(worker, left, busy)
    while busy:
        ready = wait([worker.pipe for worker in busy], timeout=1.0)
        for worker in list(busy):
            outcome = _received(worker, ready, limit)
            if outcome is None:
                continue
            busy.remove(worker)
            yield outcome
            lost = outcome.result in {"timeout", "died"}
            if lost:
                worker.end()
            _next(_Worker.start(small) if lost else worker, left, busy)


def _next(worker: _Worker, left: Iterator[int], busy: list[_Worker]) -> None:
    seed = next(left, None)
    if seed is None:
        worker.end()
        return
    worker.give(seed)
    busy.append(worker)


def _received(worker: _Worker, ready: Any, limit: float) -> Outcome | None:
    """A worker's outcome, if it has one, or is beyond help."""
    assert worker.seed is not None
    if worker.pipe in ready:
        try:
            return worker.pipe.recv()
        except EOFError:
            return _lost(worker.seed, "died", "the process ended")
    elapsed = time.monotonic() - worker.began
    if elapsed > 10 * limit or (elapsed > limit and worker.seconds() - worker.cpu > limit):
        return _lost(worker.seed, "timeout", f"longer than {limit:g} s")
    return None


def _lost(seed: int, result: Any, text: str) -> Outcome:
    return Outcome(seed, result=result, findings=[Finding(result, text)])


def grouped(results: list[Outcome]) -> list[dict[str, Any]]:
    """Findings by kind and cause, the most frequent first."""
    groups: dict[str, list[tuple[Outcome, Finding]]] = {}
    for outcome in results:
        for finding in outcome.findings:
            groups.setdefault(finding.group, []).append((outcome, finding))
    ordered = sorted(groups.items(), key=lambda pair: -len(pair[1]))
    return [_group(name, members) for name, members in ordered]


def _group(name: str, members: list[tuple[Outcome, Finding]]) -> dict[str, Any]:
    simplest = sorted(members, key=lambda m: (m[0].n_columns, len(m[0].transformers), m[0].seed))
    cells = Counter(" & ".join(finding.cells) for _, finding in members)
    return {
        "finding": name,
        "n_cases": len({outcome.seed for outcome, _ in members}),
        "seeds": list(dict.fromkeys(outcome.seed for outcome, _ in simplest))[:8],
        "example": simplest[0][1].text,
        "estimators": dict(Counter(outcome.estimator for outcome, _ in members).most_common()),
        "methods": dict(Counter(f"{o.method} / {o.form}" for o, _ in members).most_common(6)),
        "cells": dict(cells.most_common(15)),
    }


def summary(results: list[Outcome]) -> dict[str, Any]:
    """Counts by outcome, refusals by message, and the groups of findings."""
    return {
        "n_cases": len(results),
        "results": dict(Counter(outcome.result for outcome in results)),
        "rows_answered": sum(outcome.n_answered for outcome in results),
        "rows_refused": sum(outcome.n_refused for outcome in results),
        "rows_by_definition": sum(outcome.n_brute for outcome in results),
        "rows_too_far": sum(outcome.n_too_far for outcome in results),
        "served": sum(outcome.served for outcome in results),
        "estimators": dict(Counter(outcome.estimator for outcome in results).most_common()),
        "transformers": dict(Counter(t for o in results for t in o.transformers).most_common()),
        "methods": dict(Counter(outcome.method for outcome in results).most_common()),
        "forms": dict(Counter(outcome.form for outcome in results).most_common()),
        "refusals": dict(
            Counter(plain(o.refusal) for o in results if o.result == "refused").most_common()
        ),
        "groups": grouped(results),
    }


def _write(results: list[Outcome], report: Path | None) -> dict[str, Any]:
    """Write what there is so far, and return its summary."""
    counts = summary(results)
    if report:
        report.parent.mkdir(parents=True, exist_ok=True)
        every = [o.as_dict() for o in sorted(results, key=lambda o: o.seed)]
        report.write_text(json.dumps({**counts, "outcomes": every}, indent=1))
    return counts


def _one(seed: int, small: bool) -> int:
    """Tell everything of one seed."""
    from tests.fuzz.cases import case_of
    from tests.fuzz.check import outcome_of

    print(case_of(seed, small=small))
    outcome = outcome_of(seed, small=small, served=True)
    print(json.dumps(outcome.as_dict(), indent=1))
    return int(outcome.result in {"finding", "timeout", "died"})


def span(text: str) -> range:
    """Read FIRST:LAST, where LAST is left out."""
    first, _, last = text.partition(":")
    return range(int(first), int(last))


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--seed", type=int, help="one case, told in full")
    parser.add_argument("--seeds", type=span, default=range(200), help="FIRST:LAST, without LAST")
    parser.add_argument("--small", action="store_true", help="the small cases of the fast tests")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds for one case")
    parser.add_argument("--report", type=Path, help="where the counts and groups go, as JSON")
    given = parser.parse_args()
    if given.seed is not None:
        return _one(given.seed, given.small)
    began, results = time.monotonic(), []
    for outcome in outcomes(given.seeds, given.jobs, given.limit, small=given.small):
        results.append(outcome)
        if len(results) % 25 == 0:
            counted = Counter(o.result for o in results)
            print(len(results), dict(counted), f"{time.monotonic() - began:.0f} s", file=sys.stderr)
            _write(results, given.report)
    counts = _write(results, given.report)
    print(json.dumps({k: v for k, v in counts.items() if k != "groups"}, indent=1))
    for group in counts["groups"]:
        print(f"{group['n_cases']:5} {group['finding']}  seeds {group['seeds'][:5]}")
    return int(bool(counts["groups"]))


if __name__ == "__main__":
    sys.exit(main())
