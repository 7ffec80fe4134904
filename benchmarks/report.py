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

- One row of trees takes ours about 1 ms whatever the background, of which 0.25 ms is the call
  itself (a linear model's row takes as long) and the rest NumPy's calls for the levels of the
  trees, once to predict and once to explain. shap's compiled code takes 3 to 4 ms against 100
  background rows of breast cancer, so 30 times as fast would be 0.1 ms. shap's time grows with the
  background, ours does not.
- Against 1,000 background rows, the background's half of the SVC's kernel would take 2.3 GB. No
  more than 256 MiB are kept between calls, so it is made anew for every row.
- Times of about 1 ms are disturbed by whatever else the machine does, and ratios of two such times
  most."""

SPEED = """\
## The kernel path alone

Designs of coalitions on both sides, whatever the model. Breast cancer, 80/20 split, probability
space, a background of 10 weighted rows, ours. shap is `shap.KernelExplainer` on the same model
with the same background rows and weights, as many coalitions, and `l1_reg=False`. The SVC sees raw
columns, the other models scaled ones.

Milliseconds per row, median (least to most); one thread on one processor, in turn, every request
of rows not seen before. The ratio is ours to shap, pair by pair; the last column is the same in
processor time, which neighbours on the machine disturb less."""

ERROR = """\
Relative RMS error against a reference, over all rows, features and outputs: mean over design seeds
of ours and random states of shap (least to most). The reference is a least-squares fit with
interactions up to the third order over independent draws; its own standard error is measured by
their disagreement."""

SERVING = """\
## Serving

LogisticRegression as ONNX. The overhead is that of one row over a kept connection, in turn with
the same call of the library in another process, both with a small design so that the difference
shows."""


PIPELINE = """\
## Raw features of a pipeline

A global explanation of a churn model: one-hot encoder, imputer, gradient boosting. Ours has raw
features as players, shap the engineered columns; both against the same 10 rows, each held against
8,192 coalitions of its own game. Ours takes the smallest design, grown by a fifth at a time from
four coalitions a player, whose error is no larger than shap's. shap was timed on as many rows as
fit in its time."""


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
    if results.kernel:
        cells, errors = results.kernel.cells, results.kernel.errors
        parts += [SPEED, _speed(cells), ERROR, _error(errors), _about_reference(errors)]
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


def _speed(cells):
    header = ("workload", "rows", "ours, ms/row", "shap, ms/row", "ratio", "in CPU time")
    lines = []
    for cell in cells:
        note = "" if cell.peer_rows == cell.n_rows else f", {cell.peer_rows} rows timed"
        lines.append(
            (
                cell.workload,
                str(cell.n_rows),
                _range([clock.wall for clock in cell.ours], "{:.1f}"),
                _range([clock.wall for clock in cell.peer], "{:.1f}") + note,
                _range(cell.ratios(), "{:.2f}"),
                f"{np.median(cell.ratios('cpu')):.2f}",
            )
        )
    return table(header, lines)


def _error(errors):
    header = ("workload", "coalitions", "ours", "shap", "reference", "its standard error")
    lines = [
        (
            each.workload,
            f"{each.n_coalitions:,}",
            _range(each.ours, "{:.2%}", np.mean),
            _range(each.peer, "{:.1%}", np.mean),
            f"{each.reference_coalitions:,} coalitions",
            f"{each.reference_noise:.2%}",
        )
        for each in errors
    ]
    return table(header, lines)


def _about_reference(errors):
    """Whether the reference is good enough for what is said with it."""
    worst = max(errors, key=lambda each: each.reference_noise / np.mean(each.ours))
    share = worst.reference_noise / float(np.mean(worst.ours))
    verdict = (
        f"it adds at most {np.hypot(1, share) - 1:.1%} to an error and limits nothing said here."
        if share < 1 / 3
        else "it limits what can be said: the true error may be well below the one measured."
    )
    return (
        f"At worst ({worst.workload}) the reference's standard error is {share:.2f} of our error: "
        f"{verdict} Rows: {errors[0].n_rows}, design seeds: {len(errors[0].ours)}, random states "
        f"of shap: {len(errors[0].peer)}."
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


def _range(figures, form, middle=np.median):
    """Median or mean, and from where to where."""
    low, high = form.format(min(figures)), form.format(max(figures))
    return f"{form.format(middle(figures))} ({low}–{high})"
