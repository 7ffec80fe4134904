"""What has to be reached, and whether it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.contenders import BASE_VALUES_AGREE
from benchmarks.serving import NOT_SERVED


@dataclass(frozen=True)
class Target:
    """One requirement and what was measured of it."""

    what: str
    wanted: str
    measured: str
    met: bool


def targets(results):
    """Hold a run's results against every requirement."""
    return [
        *_no_slower(results.cells),
        *_no_less_precise(results.errors),
        _same_games(results.cells),
        *_serving(results.overhead, results.process),
        _pipeline(results.pipeline),
        *_exact(results.exact),
    ]


def _no_slower(cells):
    for workload in dict.fromkeys(cell.workload for cell in cells):
        ratios = [np.median(c.ratios()) for c in cells if c.workload == workload]
        yield Target(
            f"{workload}: time over shap's, slowest size",
            "≤ 1 ×",
            f"{max(ratios):.2f} ×",
            bool(max(ratios) <= 1),
        )


def _no_less_precise(errors):
    for each in errors:
        ours, peer = np.mean(each.ours), np.mean(each.peer)
        what = f"{each.workload}: error, no more than shap's"
        yield Target(what, f"≤ {peer:.2%}", f"{ours:.2%}", bool(ours <= peer))


def _same_games(cells):
    apart = max(cell.base_values_apart for cell in cells)
    return Target(
        "base values, largest difference",
        f"≤ {BASE_VALUES_AGREE:g}",
        f"{apart:.1g}",
        apart <= BASE_VALUES_AGREE,
    )


def _pipeline(pipeline):
    what = "global explanation of a pipeline, time over shap's at no larger an error"
    met = pipeline.ratio <= 0.1 and pipeline.error <= pipeline.peer_error
    return Target(what, "≤ 0.1 ×", f"{pipeline.ratio:.3f} ×", bool(met))


FLAT = 1.1
"""How much dearer a row may be against 1,000 background rows than against 10, with tables."""


def _exact(cells):
    for c in cells:
        if c.wanted is not None:
            what = f"{c.name}, {c.n_background:,} background rows: faster than shap's {c.peer}"
            told = f"{c.factor:.1f} ×"
            yield Target(what, f"≥ {c.wanted:g} ×", told, bool(c.factor >= c.wanted))
    for name in dict.fromkeys(c.name for c in cells if c.method == "exact tree"):
        few = [c.ours for c in cells if (c.name, c.n_background) == (name, 10)]
        many = [c.ours for c in cells if (c.name, c.n_background) == (name, 1000)]
        for a, b in zip(few, many, strict=True):
            what = f"{name}: a row against 1,000 background rows over one against 10"
            yield Target(what, f"≤ {FLAT} ×", f"{b / a:.2f} ×", bool(b <= FLAT * a))


def _serving(overhead, process):
    # Medians: a neighbour on the machine may hold up any single request or start.
    added, ready = np.median(overhead.added), np.median(process.seconds_to_ready)
    resident = max(process.resident_mib)
    yield Target(
        "one row by POST /score, over the library call",
        "≤ 2 ms",
        f"{added:.2f} ms",
        bool(added <= 2),
    )
    yield Target("server ready, from its start", "< 2 s", f"{ready:.2f} s", bool(ready < 2))
    yield Target(
        "resident before the first request", "< 200 MiB", f"{resident:.0f} MiB", resident < 200
    )
    imported = ", ".join(process.imported) or "none"
    what = f"imported by the server, of {', '.join(NOT_SERVED)}"
    yield Target(what, "none", imported, not process.imported)
