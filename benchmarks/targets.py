"""What has to be reached, and whether it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.grid import FAILED, OURS
from benchmarks.serving import NOT_SERVED


@dataclass(frozen=True)
class Target:
    """One requirement and what was measured of it."""

    what: str
    wanted: str
    measured: str
    met: bool


TREES = ("RandomForest(100), probability", "HistGradientBoosting, margin", "LightGBM(100), margin")
LARGE = "20,000 rows"
MIXED = "mixed pipeline, "


@dataclass(frozen=True)
class Must:
    """How many times faster than a peer ours has to be on one row, at no larger an error.

    Parameters
    ----------
    workloads : the least factor among them counts, and among the backgrounds.
    backgrounds : None for all that were measured.
    lower : how many times lower than the peer's our error has to be.
    same_design : whether ours is timed at its default design, which is as large as the peer's,
        and not at the smallest one that is good enough.
    """

    what: str
    workloads: tuple[str, ...]
    peer: str
    factor: float
    backgrounds: tuple[int, ...] | None = None
    lower: float = 1
    same_design: bool = False


MUST = (
    Must("linear and logistic, ≥ 100 times lower error",
         ("LogisticRegression, probability", "LogisticRegression, margin"), "shap kernel", 20,
         lower=100),
    Must("forest and boosting", TREES, "shap tree", 30, (100,)),
    Must("forest and boosting", TREES, "shap tree", 200, (1000,)),
    Must("LightGBM(300) on 20,000 rows",
         (f"LightGBM(300), 63 leaves, margin, {LARGE}",), "shap tree", 10, (100,)),
    Must("a deep forest on 20,000 rows",
         (f"RandomForest(100), probability, {LARGE}",), "shap tree", 3, (100,)),
    Must("the guide's SVC, probability, same coalitions", ("SVC, probability",), "shap kernel",
         30, same_design=True),
    Must("RBF machines, margin, exact", ("SVC, margin", "KernelRidge, value"), "shap kernel", 30),
    Must("MLP, same coalitions", ("MLP(64, 64), probability",), "shap kernel", 5,
         same_design=True),
    Must("mixed pipeline, logistic and LightGBM margin",
         (f"{MIXED}LogisticRegression, probability", f"{MIXED}LightGBM(100), margin"),
         "shap kernel", 20),
    Must("mixed pipeline, LightGBM probability", (f"{MIXED}LightGBM(100), probability",),
         "shap kernel", 3),
    Must("callable, equal error", ("callable, value",), "shap kernel", 1.5),
)  # fmt: skip
GUIDE_FACTOR = 50
FLAT = 1.1
"""How much dearer a row may be against 1,000 background rows than against 10, with tables."""
DEEP_MIB = 1024


def targets(results):
    """Hold a run's results against every requirement on the parts that it has."""
    found: list[Target] = []
    if results.grid:
        failed = [note for note in results.grid.notes if note.startswith(FAILED)]
        told = "; ".join(failed) or "all"
        found += [Target("workloads measured to the end", "all", told, not failed)]
        found += must_reach(results.grid.cells)
    if results.guide:
        found += [_guide(results.guide)]
    if results.server:
        found += _serving(results.server.overhead, results.server.process)
    if results.pipeline:
        found += [_pipeline(results.pipeline)]
    return found


def must_reach(cells):
    """Every line of the table, where its workloads were measured; and what goes with it."""
    given = [cell for cell in cells if not cell.summary]
    for must in MUST:
        if factors := list(_factors(must, given)):
            worst, n_background, why = min(factors)
            sizes = "any" if must.backgrounds is None else f"{must.backgrounds[0]:,} rows"
            what = f"{must.what}: faster than {must.peer}, 1 row, background: {sizes}"
            yield _faster(what, worst, must.factor, f" at {n_background:,} rows{why}")
    for name in TREES:
        own = {c.n_background: c.ms for c in given if (c.workload, c.contender) == (name, OURS)}
        if {10, 1000} <= own.keys():
            what = f"{name}: a row against 1,000 background rows over one against 10"
            ratio = own[1000] / own[10]
            yield Target(what, f"≤ {FLAT} ×", f"{ratio:.2f} ×", bool(ratio <= FLAT))
    for c in given:
        if c.contender == OURS and c.workload.endswith(LARGE) and c.mebibytes is not None:
            what, told = f"{c.workload}: artifact", f"{c.mebibytes:,.0f} MiB"
            yield Target(what, f"≤ {DEEP_MIB:,} MiB", told, c.mebibytes <= DEEP_MIB)


def _factors(must, cells):
    """(factor, background, note) of each pair of cells; 0 where no design of ours is as good."""
    for peer in cells:
        wanted = must.backgrounds is None or peer.n_background in must.backgrounds
        if peer.contender != must.peer or peer.workload not in must.workloads or not wanted:
            continue
        (ours,) = (
            c for c in cells
            if (c.contender, c.workload, c.n_background)
            == (OURS, peer.workload, peer.n_background)
        )  # fmt: skip
        if peer.error is None or ours.error is None:
            if must.same_design:
                yield peer.ms / ours.ms, peer.n_background, ", errors unknown"
        elif must.same_design:
            good = ours.error <= peer.error
            yield good * peer.ms / ours.ms, peer.n_background, "" if good else ", larger error"
        else:
            ms = ours.until(peer.error / must.lower)
            note = "" if ms else ", no design as good"
            yield (peer.ms / ms if ms else 0.0), peer.n_background, note


def _faster(what, factor, wanted, note):
    short = "" if factor >= wanted or not factor else f", {wanted / factor:.1f} × short"
    return Target(what, f"≥ {wanted:g} ×", f"{factor:.1f} ×{note}{short}", bool(factor >= wanted))


def _guide(found):
    what = f"the guide's SVC, {found.n_rows} rows: faster than the guide's stack"
    good = found.error <= found.peer_error
    note = "" if good else f", larger error ({found.error:.1%}, not {found.peer_error:.1%})"
    return _faster(what, found.factor if good else 0.0, GUIDE_FACTOR, note)


def _pipeline(pipeline):
    what = "global explanation of a pipeline, time over shap's at no larger an error"
    met = pipeline.ratio <= 0.1 and pipeline.error <= pipeline.peer_error
    return Target(what, "≤ 0.1 ×", f"{pipeline.ratio:.3f} ×", bool(met))


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
