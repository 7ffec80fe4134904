"""How much is measured: the whole, or just enough to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass

PARTS = ("grid", "guide", "server", "pipeline")
"""Of a run."""


@dataclass(frozen=True)
class Effort:
    """Sizes of a run.

    Parameters
    ----------
    peer_seconds : what a peer may take for one cell; a slow one is timed on fewer rows.
    reference_pairs : pairs of coalitions in one design of the reference.
    reference_designs : how few and how many of them.
    reference_noise : designs are added until the reference is this sure, relatively.
    exchanges : requests over HTTP.
    starts : starts of the server.
    global_rows : rows of the global explanation of a pipeline.
    grid_sizes : rows of the grid's requests.
    grid_backgrounds : the largest background of the grid.
    grid_seconds : what a contender of the grid may take for one size of request.
    grid_climb : the same for its designs on the way to an error of 1 %.
    grid_rows : rows on which the grid measures errors.
    grid_workloads : the grid's workloads by name; None for all.
    grid_outside : whether peers take part that have environments of their own.
    reference_seconds : what the model may take for a reference in the grid; it has fewer rows
        where that is not enough for all, and there is none where it is not enough for one.
    guide_rows : rows of the guide's example, in one call.
    """

    peer_seconds: float
    reference_pairs: int
    reference_designs: tuple[int, int]
    reference_noise: float
    exchanges: int
    starts: int
    global_rows: int
    grid_sizes: tuple[int, ...]
    grid_backgrounds: int
    grid_seconds: float
    grid_climb: float
    grid_rows: int
    grid_workloads: tuple[str, ...] | None
    grid_outside: bool
    reference_seconds: float
    guide_rows: int


FULL = Effort(
    peer_seconds=60,
    reference_pairs=25_000,
    reference_designs=(4, 4),
    reference_noise=0.007,
    exchanges=1000,
    starts=5,
    global_rows=1000,
    grid_sizes=(1, 20, 1000),
    grid_backgrounds=1000,
    grid_seconds=1,
    grid_climb=4,
    grid_rows=3,
    grid_workloads=None,
    grid_outside=True,
    reference_seconds=30,
    guide_rows=114,
)

QUICK = Effort(
    peer_seconds=1,
    reference_pairs=600,
    reference_designs=(2, 2),
    reference_noise=0.0,
    exchanges=10,
    starts=1,
    global_rows=20,
    grid_sizes=(1, 3),
    grid_backgrounds=10,
    grid_seconds=0.1,
    grid_climb=0.1,
    grid_rows=1,
    grid_workloads=(
        "SVC, probability",
        "LogisticRegression, margin",
        "RandomForest(100), probability",
        "callable, value",
        "mixed pipeline, LogisticRegression, probability",
    ),
    grid_outside=False,
    reference_seconds=200,
    guide_rows=1,
)
