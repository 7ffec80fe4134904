"""How much is measured: the whole, or just enough to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Sizes of a run.

    Parameters
    ----------
    requests : how often a request of so many rows is timed, by its number of rows.
    n_coalitions : of the designs on both sides; None for our default, which is shap's too.
    peer_seconds : what a peer may take for one cell; a slow one is timed on fewer rows.
    error_rows : rows on which the error is measured.
    seeds : designs of ours that the error is measured of.
    peer_seeds : random states of the peer.
    reference_pairs : pairs of coalitions in one design of the reference.
    reference_designs : how few and how many of them.
    reference_noise : designs are added until the reference is this sure, relatively.
    exchanges : requests over HTTP.
    starts : starts of the server.
    global_rows : rows of the global explanation of a pipeline.
    exact_calls : how often a peer of the exact games explains one row; ours ten times as often.
    """

    requests: dict[int, int]
    n_coalitions: int | None
    peer_seconds: float
    error_rows: int
    seeds: int
    peer_seeds: int
    reference_pairs: int
    reference_designs: tuple[int, int]
    reference_noise: float
    exchanges: int
    starts: int
    global_rows: int
    exact_calls: int


FULL = Effort(
    requests={1: 9, 20: 3, 114: 3},
    n_coalitions=None,
    peer_seconds=60,
    error_rows=4,
    seeds=5,
    peer_seeds=3,
    reference_pairs=25_000,
    reference_designs=(2, 8),
    reference_noise=0.007,
    exchanges=1000,
    starts=5,
    global_rows=1000,
    exact_calls=9,
)

QUICK = Effort(
    requests={1: 2, 3: 1},
    n_coalitions=60,
    peer_seconds=1,
    error_rows=1,
    seeds=1,
    peer_seeds=1,
    reference_pairs=600,
    reference_designs=(2, 2),
    reference_noise=0.0,
    exchanges=10,
    starts=1,
    global_rows=20,
    exact_calls=2,
)
