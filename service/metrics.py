"""What Prometheus gets to see; labels come from our own routes and models only."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

__all__ = ["Metrics"]

# A time of birth beside every number doubles the page for nothing.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    """The counters of one application, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "shapserve_requests",
            "Requests answered.",
            ["route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "shapserve_request_seconds",
            "Seconds from the request's headers to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.rows = Counter("shapserve_rows", "Rows scored.", ["model"], registry=self.registry)
        self.unexpected_exceptions = Counter(
            "shapserve_unexpected_exceptions",
            "Exceptions that nobody foresaw: each is a bug, and was answered with 500.",
            registry=self.registry,
        )

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Note one answered request."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return everything in the text format that Prometheus reads."""
        return generate_latest(self.registry)
