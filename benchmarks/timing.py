"""How every contender is timed and held against the truth, in whichever environment it lives."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

GOAL = 0.01  # relative RMS error that a design has to reach
CALLS = 30  # of one row; as many rows in fewer calls
TIMES = 4  # as much time as a size of request has goes to rows that errors are measured on


@dataclass(frozen=True, eq=False)
class Contender:
    """Something that explains rows, by designs of any size.

    Parameters
    ----------
    sized : a number of coalitions to a function of rows that gives the last output's values,
        (n_rows, n_players); None for the default.
    base_value : of the last output.
    default : coalitions of the default design; 0 where values are exact.
    first : the smallest design to try on the way to the goal.
    """

    sized: Callable[[int | None], Callable[[Any], NDArray[np.float64]]]
    base_value: float
    default: int
    first: int


def needed(sizes):
    """How many rows a pool must hold, so that none is seen twice."""
    return 1 + sum(n * max(1, CALLS // n) for n in sizes)


class Fresh:
    """Hands out rows, none of them twice: no cache can have seen them."""

    def __init__(self, rows):
        self.rows, self.used = rows, 0

    def take(self, n):
        """The next n rows, or as many as are left."""
        found = self.rows[self.used : self.used + n]
        self.used += len(found)
        return found


@dataclass(frozen=True)
class Effort:
    """What one contender may take at one background: sizes of requests, seconds of each part."""

    sizes: tuple[int, ...]
    seconds: float
    climb: float


def relative_rms(error, truth):
    """Root mean square of the error over that of the truth."""
    return float(np.sqrt(np.mean(np.square(error)) / np.mean(np.square(truth))))


def measure(contender, pool, some, truth, effort):
    """Everything about a contender that one process can tell, as plain numbers.

    Parameters
    ----------
    pool : rows to be timed on; the first one warms up.
    some : rows to explain for the sake of the values.
    truth : float64 (n_known, n_players), of the first of them; empty where it is too dear.
    """
    explain, fresh = contender.sized(None), Fresh(pool)
    start = time.perf_counter()
    explain(fresh.take(1))
    first = guess = time.perf_counter() - start
    times = {}
    for n_rows in effort.sizes:
        if first > effort.seconds:  # so slow that being the first call makes no difference
            found = {"ms": 1000 * first, "rows": 1}
        else:
            found = _time(explain, fresh, n_rows, guess, effort.seconds)
        guess = found["ms"] / 1000
        times[str(n_rows)] = found
    affordable = int(np.clip(TIMES * effort.seconds / first, 1, len(some)))
    values = [explain(some[i : i + 1])[0] for i in range(affordable)]
    points = []
    if n_known := min(len(truth), affordable):
        some, truth = some[:n_known], truth[:n_known]
        error = relative_rms(np.array(values[:n_known]) - truth, truth)
        points = [[contender.default, times[str(effort.sizes[0])]["ms"], error]]
        if contender.default:
            points += _climb(contender, some, truth, points[0][1], effort.climb)
    return {
        "base_value": float(contender.base_value),
        "default": contender.default,
        "times": times,
        "values": np.array(values).tolist(),
        "points": points,
    }


def milliseconds(call, pool, sizes, seconds):
    """Milliseconds per row of a call, by number of rows: of a model's prediction."""
    fresh = Fresh(pool)
    call(fresh.take(1))
    return {str(n): _time(call, fresh, n, 0.0, seconds)["ms"] for n in sizes}


def _time(call, fresh, n_rows, guess, seconds):
    """Median milliseconds per row, of as many rows as fit in the time, and how many those are."""
    n_timed = int(np.clip(seconds / max(guess, 1e-9), 1, n_rows))
    took, start = [], time.perf_counter()
    for _ in range(CALLS if n_rows == 1 else max(1, CALLS // n_rows)):
        rows = fresh.take(n_timed)
        if len(rows) < n_timed:
            break
        before = time.perf_counter()
        call(rows)
        took.append((time.perf_counter() - before) / n_timed)
        if time.perf_counter() - start + took[-1] * n_timed > seconds:
            break
    return {"ms": 1000 * float(np.median(took)), "rows": n_timed}


def _climb(contender, some, truth, ms, seconds):
    """Double the design until its error is small or its time is up.

    A design twice as large is taken to cost twice as much, the default one `ms` a row, and a design
    is left out where that is too much.
    """
    size, points, start = contender.first, [], time.perf_counter()
    cost = (1 + len(some)) * ms / 1000 * size / contender.default
    while time.perf_counter() - start + cost <= seconds:
        began = time.perf_counter()
        explain = contender.sized(size)
        explain(some[:1])  # warms up
        before = time.perf_counter()
        values = np.concatenate([explain(some[i : i + 1]) for i in range(len(some))])
        took = 1000 * (time.perf_counter() - before) / len(some)
        points.append([size, took, relative_rms(values - truth, truth)])
        if points[-1][2] <= GOAL:
            break
        size, cost = 2 * size, 2 * (time.perf_counter() - began)
    return points
