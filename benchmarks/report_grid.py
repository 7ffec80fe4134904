"""The grid and the guide's example as parts of the results page."""

from __future__ import annotations

from benchmarks.grid import PATIENCE
from benchmarks.tables import table

GRID = """\
## Against other explainers

Every workload, by background rows and rows of a request. Breast cancer, columns scaled but for the
SVC's probabilities; a pipeline over 22 raw features and 118 one-hot columns, where ours explains
raw features and shap columns; two large models on 14 synthetic features. Ours is distilled, saved
and loaded (a bare function cannot be saved). All contenders have the same background rows, all of
them and equally weighted, and one output space, which the workload's name tells; their base values
are asserted equal. Rows are fresh; a contender is timed on as many as fit in its time and reported
per row ("of 7": so many rows of the request fitted). Units are rows of the model's own prediction
in a request of that size.

The error is relative and RMS, against exact values or at least 200,000 coalitions of the
contender's own game, asked about by masked rows or, where that is too dear, by the model's numbers
after these were held against masked rows. The error in full is against all training rows instead
({full} of them, and 4,096 coalitions, where there is no exact game). "1 %" are milliseconds a row
of the smallest design, doubled step by step, that is within 1 %, or of the shorter series that a
tolerance allows a logistic regression; "-" is not reached in the cell's time, or too dear to know.
shapiq and alibi are yardsticks, and are asked where shap takes less than {patience} s a row. Where
the background is no number, the library chose it by default from the training rows."""

GUIDE = """\
## The guide's own stack

The guide's example, {rows} rows in one call, against its {n} centroids, which both sides take with
their weights; base values are {base:.1g} apart, the model's outputs in both environments
{fits:.1g}."""

PLOTTED = """\
Drawn from this run: [error against time](error.svg) and
[time against background size](background.svg). Errors below 1e-6 stand at 1e-6.
"""


def grid(cells, notes, full_rows):
    """Text, table of cells, and notes on who took part."""
    sizes = [*cells[0].times]
    header = (
        "workload", "background", "contender", "method", "players", "coalitions",
        *(f"ms/row of {n}" for n in sizes), *(f"units of {n}" for n in sizes),
        "error", "truth", "in full", "1 %, ms", "set up, s", "MiB",
    )  # fmt: skip
    parts = [
        GRID.format(full=full_rows, patience=PATIENCE),
        table(header, [_line(c, sizes) for c in cells]),
    ]
    apart = max(c.base_values_apart for c in cells)
    fits = max(c.outputs_apart for c in cells)
    parts += [
        (
            f"Base values are at most {apart:.1g} apart; outputs of models fitted again in other "
            f"environments {fits:.1g}. A reference's own standard error is at most "
            f"{max(c.noise for c in cells):.2%}."
        )
    ]
    if notes:
        parts += ["Apart: " + "; ".join(notes) + "."]
    return "\n\n".join([*parts, PLOTTED.strip()])


def _line(cell, sizes):
    return (
        cell.workload, cell.summary or f"{cell.n_background:,}", cell.contender, cell.method,
        f"{cell.n_players}", f"{cell.n_coalitions:,}" if cell.n_coalitions else "-",
        *(_time(cell.times[n], int(n)) for n in sizes), *(f"{cell.units[n]:.3g}" for n in sizes),
        _share(cell.error), cell.truth, _share(cell.full_error), _or_dash(cell.to_goal, ".3g"),
        f"{cell.seconds:.1f}", _or_dash(cell.mebibytes, ".2f"),
    )  # fmt: skip


def _time(found, n_rows):
    note = "" if found["rows"] == n_rows else f" (of {found['rows']})"
    return f"{found['ms']:.3g}{note}"


def _share(error):
    return "-" if error is None else f"{error:.2g}" if error < 1e-4 else f"{error:.2%}"


def _or_dash(figure, form):
    return "-" if figure is None else format(figure, form)


def guide(found):
    """Text and table of the guide's example."""
    text = GUIDE.format(
        rows=found.n_rows, n=found.n_background, base=found.base_values_apart,
        fits=found.outputs_apart,
    )  # fmt: skip
    lines = [
        ("shapserve", f"{found.seconds:.2f}", f"{1000 * found.seconds / found.n_rows:.2f}",
         f"{found.error:.1%}"),
        ("azureml-interpret", f"{found.peer_seconds:.2f}",
         f"{1000 * found.peer_seconds / found.n_rows:.2f}", f"{found.peer_error:.1%}"),
    ]  # fmt: skip
    told = (
        f"{found.factor:.0f} times faster, after {found.distillation:.1f} s of distillation. "
        f"Errors are against {found.reference_coalitions:,} coalitions."
    )
    return "\n\n".join([text, table(("", "seconds", "ms per row", "error"), lines), told])
