"""Results as a page of Markdown that also reads well in a terminal."""

from __future__ import annotations

import numpy as np

from benchmarks import report_grid
from benchmarks.tables import table
from benchmarks.truth import FULL_ROWS

INTRODUCTION = """\
# Benchmark

`make bench` wrote this page, `results.json` and the plots in one run, on one thread. Nothing is
tuned to these data: which path explains a model depends on its type and sizes only."""

WHY = """\
Where one is not met:

- Times below 1 ms are disturbed by whatever else the machine does, and ratios of two such times
  most."""

SERVING = """\
## Serving

LogisticRegression by a design of coalitions. The overhead is that of one row over a kept
connection, in turn with the same call of the library in another process, both with a small design
so that the difference shows."""


PIPELINE = """\
## Raw features of a pipeline

A global explanation of a churn model: one-hot encoder, imputer, gradient boosting. Ours has raw
features as players, shap the engineered columns; both against the same 10 rows, each held against
8,192 coalitions of its own game. Ours takes the smallest design, grown by a fifth at a time from
four coalitions a player, whose error is no larger than shap's. Both are timed after a first row,
for which ours chooses those 10; shap on as many rows as fit in its time."""


def page(results, met):
    """The whole page, or of a run in part the parts that there are."""
    parts = [INTRODUCTION, _facts(results.machine)]
    if met:
        parts += ["## Targets", _targets(met)]
        parts += [WHY] if not all(target.met for target in met) else []
    if results.grid:
        parts += [report_grid.grid(results.grid.cells, results.grid.notes, FULL_ROWS)]
    if results.guide:
        parts += [report_grid.guide(results.guide)]
    if results.server:
        parts += [SERVING, _serving(results.server.overhead, results.server.process)]
    if results.pipeline:
        parts += [PIPELINE, _pipeline(results.pipeline)]
    parts += [f"The run took {results.seconds / 60:.1f} minutes."]
    return "\n\n".join(parts) + "\n"


def _pipeline(found):
    rows = [
        ("shapserve", f"{found.n_features} raw features", found.n_coalitions, f"{found.error:.1%}",
         found.n_rows, f"{found.seconds:.1f}", f"{found.seconds / found.n_rows * 1000:.1f}"),
        ("shap", f"{found.n_columns} columns", found.peer_coalitions, f"{found.peer_error:.1%}",
         found.peer_rows, f"{found.peer_seconds:.1f}",
         f"{found.peer_seconds / found.peer_rows * 1000:.1f}"),
    ]  # fmt: skip
    header = ("", "players", "coalitions", "error", "rows", "seconds", "ms per row")
    return (
        table(header, [tuple(map(str, row)) for row in rows])
        + f"\n\nTime of ours over shap's: {found.ratio:.3f}."
    )


def _facts(machine):
    return "\n".join(f"- {name}: {value}" for name, value in machine.items())


def _targets(met):
    header = ("target", "wanted", "measured", "")
    return table(
        header, [(t.what, t.wanted, t.measured, "met" if t.met else "NOT MET") for t in met]
    )


def _serving(overhead, process):
    lines = [
        ("one row over HTTP, ms", *_quantiles(overhead.http)),
        ("the same by library call, ms", *_quantiles(overhead.library)),
        ("difference, exchange by exchange, ms", *_quantiles(overhead.added)),
        ("start to ready, s", *_quantiles(process.seconds_to_ready)),
        ("resident before the first request, MiB", *_quantiles(process.resident_mib)),
    ]
    return table(("figure", "median", "95th percentile"), lines)


def _quantiles(figures):
    return [f"{figure:.2f}" for figure in np.quantile(figures, [0.5, 0.95])]
