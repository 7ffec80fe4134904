"""Whether attributions drift: those of late held against the artifact's own, feature by feature.

Kept are sums, not rows: a weight, absolute values and counts in the reference's bins. A row's
weight halves with every `HALF_LIFE` rows after it. Against a window, that needs no rows to be
remembered, does not jump when a window ends, and sums of several processes add up to those of the
whole. Rows are counted, not seconds, so a quiet night forgets nothing. Of a sudden and complete
change half is seen after `HALF_LIFE` rows, and 9 tenths after 3.3 times as many.

Several processes keep their sums in one mapped file, each in a place of its own, and each of them
reads all. Nobody waits for anybody: who adds says so before and after, and who reads in between
reads again. A row also fades with the rows of the others, or a process that has nothing to do any
more would tell of old times for ever.
"""

from __future__ import annotations

import math
import mmap
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drift", "Reading", "Reference", "Sums", "population_stability",
           "readings"]  # fmt: skip

HALF_LIFE = 1000
"""Rows after which a row counts for half. The index's own noise is about 9 / 1443 then: the weights
of all rows add up to 1443 at the most."""

FEWEST_ROWS = 200
"""Before so many rows nothing is said: the noise of ten bins would be 0.05."""

FEWEST_REFERENCE_ROWS = 60
"""A reference of fewer has no bins, so no index."""

MOST_FEATURES = 50
"""Features told by name, the strongest of the reference; the rest is told together."""

SMOOTHING = 0.5
"""Rows added to each bin on both sides, so that an empty one is no infinity."""

BLOCK_ROWS = 256
"""Rows binned at a time, whatever the size of a request."""

LOOK_ROWS = 32
"""Rows of its own after which a process looks how many the others had."""

# What precedes the sums in a process's place, a number each: how many additions have ended and
# begun, the rows of this process, and the rows of all with which its sums have faded.
_ENDED, _BEGUN, _ROWS, _SEEN, _WEIGHT = range(5)

_TRIES, _PAUSE = 20, 0.001  # to read between two additions
_ONLY_OURS = 0o600


class Reference(Protocol):
    """How attributions were distributed at distillation; see `scoring.reference`."""

    @property
    def mean_abs(self) -> NDArray[np.float64]:
        """Mean absolute values (n_features, n_outputs)."""

    @property
    def edges(self) -> NDArray[np.float64]:
        """Ascending (n_features, n_outputs, n_bins - 1); a value on an edge is above it."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """Of the rows in each bin, (n_features, n_outputs, n_bins)."""

    @property
    def n_rows(self) -> int:
        """How many rows."""


@dataclass(frozen=True, eq=False)
class Sums:
    """What is known of the rows so far; of several processes it may be added.

    Parameters
    ----------
    n_rows : how many rows, all of them counting 1.
    weight : the sum of their weights.
    absolute : float64 (n_features, n_outputs), weighted sums of absolute values.
    counts : float64 (n_features, n_outputs, n_bins), weighted.
    """

    n_rows: int
    weight: float
    absolute: NDArray[np.float64]
    counts: NDArray[np.float64]

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.n_rows + other.n_rows,
            self.weight + other.weight,
            self.absolute + other.absolute,
            self.counts + other.counts,
        )

    def faded(self, left: float) -> Sums:
        """The same, after rows of which somebody else has the values."""
        return Sums(self.n_rows, left * self.weight, left * self.absolute, left * self.counts)


@dataclass(frozen=True)
class Reading:
    """One feature now and then.

    Parameters
    ----------
    feature : its name, or `other` for all that have no line of their own.
    reference_mean_abs : mean absolute value at distillation, averaged over outputs; of the rest
        the sum.
    mean_abs : the same of late; NaN before there are `FEWEST_ROWS`.
    psi : population stability index, the largest of all outputs (and of all the rest); NaN where
        there are too few rows, now or then.
    """

    feature: str
    reference_mean_abs: float
    mean_abs: float
    psi: float


class Drift:
    """Adds up attributions as they are answered. Any number of threads may observe and read.

    Parameters
    ----------
    reference : of the features whose values are observed.
    features : their names.
    half_life : rows after which a row counts for half.
    """

    def __init__(
        self, reference: Reference, features: tuple[str, ...], half_life: float = HALF_LIFE
    ) -> None:
        self.reference, self.features = reference, features
        self._shape = reference.mean_abs.shape
        n_bins = reference.shares.shape[2]
        # From the disk into memory, once: (n_bins - 1, n_features * n_outputs).
        self._edges = np.array(reference.edges.reshape(-1, n_bins - 1).T, order="C")
        self._firsts = n_bins * np.arange(reference.mean_abs.size)  # first bin of each cell
        self._kept = 0.5 ** (1 / half_life)  # of a row's weight, with every row
        self._lock = threading.Lock()  # of this process's threads
        self._until_look = LOOK_ROWS
        self._take(np.zeros((1, self._size)), 0)

    def share(self, file: Path, place: int, n_places: int) -> None:
        """Add up in a file from now on, where other processes do so too.

        What was added up before is left behind. A process that takes the place of one that died
        goes on with its sums, unless it died while it was adding.

        Parameters
        ----------
        file : the same for all, and for nothing but this reference; made if it is not there.
        place : of this process, from 0; nobody else adds there.
        """
        n_bytes = 8 * n_places * self._size
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _ONLY_OURS)
        try:
            os.ftruncate(fd, n_bytes)  # zeros, where it was not there
            memory = mmap.mmap(fd, n_bytes)
        finally:
            os.close(fd)
        table = np.frombuffer(memory, dtype=np.float64).reshape(n_places, self._size)
        if table[place, _BEGUN] != table[place, _ENDED]:
            table[place] = 0.0
        with self._lock:
            self._take(table, place)

    @property
    def _size(self) -> int:
        """How many numbers a process keeps."""
        return _WEIGHT + 1 + self.reference.mean_abs.size + self.reference.shares.size

    def _take(self, table: NDArray[np.float64], place: int) -> None:
        own, n_cells = table[place], self.reference.mean_abs.size
        self._table = table
        # Quicker than an array for single numbers.
        self._notes: memoryview[float] = memoryview(own).cast("B").cast("d")
        self._sums = own[_WEIGHT:]
        self._absolute = own[_WEIGHT + 1 :][:n_cells].reshape(self._shape)
        self._counts = own[_WEIGHT + 1 + n_cells :]

    def observe(self, values: NDArray[np.float64]) -> None:
        """Add rows, the oldest first. Rows without finite values are passed over.

        Parameters
        ----------
        values : float64 (n_rows, n_features, n_outputs).
        """
        if values.shape[1:] != self._shape:
            raise ValueError("the values are of other features or outputs than the reference")
        for start in range(0, len(values), BLOCK_ROWS):
            self._observe(values[start : start + BLOCK_ROWS])

    def _observe(self, values: NDArray[np.float64]) -> None:
        if not math.isfinite(values.sum()):
            values = values[np.isfinite(values).all(axis=(1, 2))]
        n_rows = len(values)
        if not n_rows:
            return
        cells = values.reshape(n_rows, -1)
        if n_rows == 1:  # most requests
            bins = (cells >= self._edges).sum(axis=0)
            bins += self._firsts
            absolute = np.abs(values[0])
            with self._lock:
                self._begin(1)
                self._notes[_WEIGHT] += 1.0
                self._absolute += absolute
                self._counts[bins] += 1.0  # one bin of each cell
                self._end()
            return
        bins = (cells[:, np.newaxis] >= self._edges).sum(axis=1)
        bins += self._firsts
        weights = self._kept ** np.arange(n_rows - 1, -1, -1)
        absolute = np.tensordot(weights, np.abs(values), axes=1)
        each = np.repeat(weights, bins.shape[1])
        counts = np.bincount(bins.ravel(), each, minlength=len(self._counts))
        with self._lock:
            self._begin(n_rows)
            self._notes[_WEIGHT] += float(weights.sum())
            self._absolute += absolute
            self._counts += counts
            self._end()

    def _begin(self, n_rows: int) -> None:
        """Begin an addition, and let what is there fade."""
        notes = self._notes
        notes[_BEGUN] += 1.0
        notes[_ROWS] += n_rows
        before = notes[_SEEN]
        seen = before + n_rows
        self._until_look -= n_rows
        if self._until_look <= 0:
            self._until_look = LOOK_ROWS
            seen = max(seen, float(self._table[:, _ROWS].sum()))
        notes[_SEEN] = seen
        self._sums *= self._kept ** (seen - before)

    def _end(self) -> None:
        self._notes[_ENDED] = self._notes[_BEGUN]

    def sums(self) -> Sums:
        """Return a copy of what was added up, by all processes."""
        records = [self._record(place) for place in range(len(self._table))]
        n_rows = sum(float(record[_ROWS]) for record in records)
        n_cells, shape = self.reference.mean_abs.size, self.reference.shares.shape
        parts = [
            Sums(
                int(record[_ROWS]),
                float(record[_WEIGHT]),
                record[_WEIGHT + 1 :][:n_cells].reshape(self._shape),
                record[_WEIGHT + 1 + n_cells :].reshape(shape),
            ).faded(self._kept ** max(0.0, n_rows - record[_SEEN]))
            for record in records
        ]
        return sum(parts[1:], parts[0])

    def _record(self, place: int) -> NDArray[np.float64]:
        """A copy of a process's numbers, none of them in the middle of an addition.

        One that never ends is of a process that was killed, and off by a few rows at the most.
        """
        row, tries = self._table[place], 0
        while True:
            ended, record = row[_ENDED], np.array(row)
            tries += 1
            if row[_BEGUN] == ended or tries == _TRIES:
                return record
            time.sleep(_PAUSE)

    def readings(self) -> list[Reading]:
        """Return every feature that has a line, the strongest of the reference first."""
        return readings(self.reference, self.features, self.sums())


def readings(reference: Reference, features: tuple[str, ...], sums: Sums) -> list[Reading]:
    """Hold sums against a reference; see `Reading`."""
    then = reference.mean_abs.mean(axis=1)
    now, index = np.full((2, len(then)), np.nan)
    if sums.n_rows >= FEWEST_ROWS:
        now = sums.absolute.mean(axis=1) / sums.weight
        if reference.n_rows >= FEWEST_REFERENCE_ROWS:
            index = population_stability(reference, sums).max(axis=1)
    order = np.argsort(-then, kind="stable")
    named, rest = order[:MOST_FEATURES], order[MOST_FEATURES:]
    found = [_reading(features[j], then[j], now[j], index[j]) for j in named]
    if len(rest):
        name = "other"
        while name in {reading.feature for reading in found}:
            name += "_"
        found.append(_reading(name, then[rest].sum(), now[rest].sum(), index[rest].max()))
    return found


def population_stability(reference: Reference, sums: Sums) -> NDArray[np.float64]:
    """The index `sum over bins of (now - then) ln(now / then)`, float64 (n_features, n_outputs).

    Shares on both sides are smoothed by `SMOOTHING` rows in each bin that a value can be in.
    """
    edges = reference.edges
    ends = np.ones((*edges.shape[:2], 1), dtype=bool)  # the first and the last bin are open
    possible = np.concatenate([ends, np.diff(edges, axis=2) > 0, ends], axis=2)
    n_bins = possible.sum(axis=2, keepdims=True)
    added = SMOOTHING * n_bins
    then = (reference.shares * reference.n_rows + SMOOTHING) / (reference.n_rows + added)
    now = (sums.counts + SMOOTHING) / (sums.weight + added)
    terms = np.where(possible, (now - then) * np.log(now / then), 0.0)
    return np.asarray(terms.sum(axis=2))


def _reading(feature: str, then: float, now: float, index: float) -> Reading:
    return Reading(feature, float(then), float(now), float(index))
