"""Results as a page of Markdown that also reads well in a terminal."""

from __future__ import annotations

import numpy as np

INTRODUCTION = """\
# Benchmark

`make bench` wrote this page in one run. Breast cancer (30 features), 80/20 split, probability
space, a background of 10 weighted k-means rows. Ours is what a server answers from: distilled,
saved, loaded. shap is `shap.KernelExplainer` on the same model with the same background rows and
weights, as many coalitions, and `l1_reg=False`. The guide's SVC sees raw columns, the other models
scaled ones."""

SPEED = """\
## Time

Milliseconds per row, median (least to most); one thread on one processor, in turn, every request
of rows not seen before. The ratio is ours to shap, pair by pair; the last column is the same in
processor time, which neighbours on the machine disturb less."""

ERROR = """\
## Error

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


EXACT = """\
## Exact values

One row, median milliseconds; breast cancer but where rows are told (14 synthetic features). The
peer is shap's interventional `TreeExplainer`, which is exact too but compares in single precision,
or `shap.KernelExplainer` with 2,108 coalitions; both sides have the same background rows and
answer in probability (forests, logistic regression) or margin (the others). The error is the
peer's, relative and RMS, against ours; seconds are those of distillation."""


def page(results, met):
    """The whole page."""
    parts = [INTRODUCTION, _facts(results.machine)]
    if met:
        parts += ["## Targets", _targets(met)]
    parts += [SPEED, _speed(results.cells), ERROR, _error(results.errors)]
    parts += [_about_reference(results.errors)]
    parts += [SERVING, _serving(results.overhead, results.process)]
    parts += [PIPELINE, _pipeline(results.pipeline)]
    parts += [EXACT, _exact(results.exact)]
    parts += [f"The run took {results.seconds / 60:.1f} minutes."]
    return "\n\n".join(parts) + "\n"


def _exact(cells):
    header = ("workload", "method", "background", "ours, ms", "peer", "peer, ms", "factor",
              "peer's error", "seconds", "MiB")  # fmt: skip
    lines = [
        (c.name, c.method, f"{c.n_background:,}", f"{c.ours:.2f}", f"shap, {c.peer}",
         f"{c.peers:.1f}", f"{c.factor:.1f}", f"{c.peer_error:.2g}", f"{c.seconds:.1f}",
         f"{c.mebibytes:.1f}")
        for c in cells
    ]  # fmt: skip
    return _table(header, lines)


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
        _table(header, [tuple(map(str, row)) for row in rows])
        + f"\n\nTime of ours over shap's: {found.ratio:.3f}."
    )


def _facts(machine):
    return "\n".join(f"- {name}: {value}" for name, value in machine.items())


def _targets(met):
    header = ("target", "wanted", "measured", "")
    return _table(
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
    return _table(header, lines)


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
    return _table(header, lines)


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
    return _table(("figure", "median", "95th percentile"), lines)


def _quantiles(figures):
    return [f"{figure:.2f}" for figure in np.quantile(figures, [0.5, 0.95])]


def _range(figures, form, middle=np.median):
    """Median or mean, and from where to where."""
    low, high = form.format(min(figures)), form.format(max(figures))
    return f"{form.format(middle(figures))} ({low}–{high})"


def _table(header, lines):
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    lines = [header, ["-" * width for width in widths], *lines]
    padded = [[c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)
