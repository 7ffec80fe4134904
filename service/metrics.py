"""What Prometheus gets to see; labels come from our own routes, models and codes only.

With `PROMETHEUS_MULTIPROC_DIR` set before this is imported, every worker process counts in files of
that directory, and each of them answers for all. Children are looked up once: what a request pays
is a lookup in a dict and an addition for each number.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.record import Record, current
from service.scorer import Scored

__all__ = ["STAGES", "Metrics", "across_processes"]

# A time of birth beside every number doubles the page for nothing.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types

STAGES = ("parse", "queue", "predict", "explain", "encode")

_SECONDS = (
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    60.0,
)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 10_000)
_COALITIONS = (0, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536)
_ERRORS = (0.0, 1e-15, 1e-12, 1e-9, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)

_BUG = "internal_error"  # no refusal, and counted apart


def across_processes() -> Path | None:
    """Return where several worker processes count together; None where there is one."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(directory) if directory else None


class Metrics:
    """The counters of one application, in a registry of its own.

    Parameters
    ----------
    models : names of those that are configured, so that their numbers start at 0.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, models: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        if not across_processes():  # else it would tell of whichever worker is asked
            ProcessCollector(registry=self.registry)
        self._requests = self._counter(
            "requests", "Requests answered; the model is empty where it is about none.",
            "route", "status", "model",
        )  # fmt: skip
        self._seconds = self._histogram(
            "request_seconds",
            "Seconds from the request's headers to the end of its answer.",
            _SECONDS, "route",
        )  # fmt: skip
        self._stages = self._histogram(
            "stage_seconds", f"Seconds of one stage of a request: {', '.join(STAGES)}.",
            _SECONDS, "stage",
        )  # fmt: skip
        self._refusals = self._counter("refusals", "Requests turned away, by the error's code.",
                                       "code")  # fmt: skip
        self._reloads = self._counter("reloads", "Attempts to load a model again: loaded or kept.",
                                      "model", "outcome")  # fmt: skip
        self.unexpected_exceptions = self._counter(
            "unexpected_exceptions",
            "Exceptions that nobody foresaw: each is a bug, and was answered with 500.",
        )
        self.rows = self._counter("rows", "Rows scored.", "model")
        self.batch_requests = self._histogram(
            "batch_requests", "Requests explained in one call.", _SIZES
        )
        self.batch_rows = self._histogram("batch_rows", "Rows explained in one call.", _SIZES)
        self._coalitions = self._histogram(
            "coalitions", "Coalitions that an explanation took; 0 where values are exact.",
            _COALITIONS, "model",
        )  # fmt: skip
        self._gaps = self._histogram(
            "additivity_gap",
            "Largest |base value + sum of values - output| of an explanation's rows.",
            _ERRORS, "model",
        )  # fmt: skip
        self._standard_errors = self._histogram(
            "standard_error", "Largest standard error of an explanation, where it is known.",
            _ERRORS, "model",
        )  # fmt: skip
        self._background_errors = Gauge(
            "shapserve_background_error",
            "Relative RMS error that the summary of the background costs, if it was measured.",
            ["model"], registry=self.registry, multiprocess_mode="mostrecent",
        )  # fmt: skip
        self._watched: list[Collector] = []
        self._answers: dict[tuple[str, int, str], Counter] = {}
        self._routes: dict[str, Histogram] = {}
        self._codes: dict[str, Counter] = {}
        self._stage = {name: self._stages.labels(name) for name in STAGES}
        self._models = {name: _OfModel(name, self) for name in models}

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(f"shapserve_{name}", told, labels, registry=self.registry)

    def _histogram(self, name: str, told: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return Histogram(
            f"shapserve_{name}", told, labels, buckets=tuple(buckets), registry=self.registry
        )

    def observe(self, record: Record) -> None:
        """Note one request that is over."""
        route = record.route
        key = (route, record.status, record.model)
        answers, seconds = self._answers.get(key), self._routes.get(route)
        if answers is None:
            answers = self._answers[key] = self._requests.labels(*key)
        if seconds is None:
            seconds = self._routes[route] = self._seconds.labels(route)
        answers.inc()
        seconds.observe(record.seconds)
        if record.code and record.code != _BUG:
            refusals = self._codes.get(record.code)
            if refusals is None:
                refusals = self._codes[record.code] = self._refusals.labels(record.code)
            refusals.inc()

    def stage(self, name: str, records: Iterable[Record | None] | None = None) -> _Stage:
        """Note how long a stage of a request takes: `with metrics.stage("parse"): ...`.

        Parameters
        ----------
        records : of the requests that it is a stage of, where a batch has several; by default the
            request that is answered here.
        """
        return _Stage(name, self, (current(),) if records is None else records)

    def spent(
        self, name: str, began: float, ended: float, records: Iterable[Record | None]
    ) -> None:
        """Note a stage from and until seconds of `time.perf_counter`."""
        child = self._stage.get(name)
        if child is None:
            child = self._stage[name] = self._stages.labels(name)
        child.observe(ended - began)
        for record in records:
            if record is not None:
                record.add(name, began, ended)

    def waited(self, seconds: float) -> None:
        """Note how long a request waited for a worker."""
        self._stage["queue"].observe(seconds)

    def scored(self, model: str, n_rows: int) -> None:
        """Note the rows of one call."""
        self._of(model).rows.inc(n_rows)

    def asked(self, model: str, n_rows: int) -> None:
        """Note what one request is about."""
        record = current()
        if record is not None:
            record.model = model
            record.rows += n_rows

    def explained(self, model: str, scored: Scored) -> None:
        """Note how good the explanations of one call are."""
        explanation, of_model = scored.explanation, self._of(model)
        of_model.coalitions.observe(explanation.n_coalitions)
        _observe_largest(of_model.gaps, explanation.additivity_gap)
        if explanation.standard_errors is not None:
            _observe_largest(of_model.standard_errors, explanation.standard_errors)
        of_model.set_background_error(explanation.background_error)

    def reloaded(self, model: str, *, loaded: bool) -> None:
        """Note an attempt to load a model again."""
        self._reloads.labels(model, "loaded" if loaded else "kept").inc()

    def _of(self, model: str) -> _OfModel:
        found = self._models.get(model)
        if found is None:
            found = self._models[model] = _OfModel(model, self)
        return found

    def watch(self, collector: Collector) -> None:
        """Let a collector tell its numbers whenever somebody asks."""
        self._watched.append(collector)
        self.registry.register(collector)

    def text(self) -> bytes:
        """Return everything in the text format that Prometheus reads."""
        if not across_processes():
            return generate_latest(self.registry)
        together = CollectorRegistry()
        for collector in self._watched:  # each of them knows of the other processes
            together.register(collector)
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # it has no types
        return generate_latest(together)


class _OfModel:
    """The children of one model."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self.rows = metrics.rows.labels(name)
        self.coalitions = metrics._coalitions.labels(name)  # noqa: SLF001 a part of it
        self.gaps = metrics._gaps.labels(name)  # noqa: SLF001
        self.standard_errors = metrics._standard_errors.labels(name)  # noqa: SLF001
        for outcome in ("loaded", "kept"):
            metrics._reloads.labels(name, outcome)  # noqa: SLF001
        self._name, self._gauges = name, metrics._background_errors  # noqa: SLF001
        self._background_error: float | None = None

    def set_background_error(self, error: float | None) -> None:
        """Tell it, which is the same for one answer after another until a model is reloaded."""
        if error != self._background_error:
            self._background_error = error
            self._gauges.labels(self._name).set(math.nan if error is None else error)


class _Stage:
    """A stage while it lasts."""

    __slots__ = ("_began", "_metrics", "_name", "_records")

    def __init__(self, name: str, metrics: Metrics, records: Iterable[Record | None]) -> None:
        self._name, self._metrics, self._began = name, metrics, 0.0
        self._records = records

    def __enter__(self) -> _Stage:
        self._began = time.perf_counter()
        return self

    def began_with(self, name: str, seconds: float) -> None:
        """Note that its first seconds were another stage."""
        ended = self._began + seconds
        self._metrics.spent(name, self._began, ended, self._records)
        self._began = ended

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._metrics.spent(self._name, self._began, time.perf_counter(), self._records)


def _observe_largest(histogram: Histogram, numbers: NDArray[Any]) -> None:
    """Rows without an answer have no error either; where none has, there is nothing to note."""
    if not numbers.size:
        return
    largest = float(numbers.max())
    if not math.isfinite(largest):
        finite = numbers[np.isfinite(numbers)]
        if not finite.size:
            return
        largest = float(finite.max())
    histogram.observe(largest)
