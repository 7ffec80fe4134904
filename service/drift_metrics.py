"""Drift as Prometheus sees it.

Apart from `service.drift`, because scorers bring that along, and `prometheus_client` must not be
imported before the processes that count together are told where.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.drift import Drift

__all__ = ["DriftCollector"]


class _Watched(Protocol):
    """What the collector needs of a served model."""

    @property
    def drift(self) -> Drift | None:
        """None where the artifact has no reference."""


class DriftCollector(Collector):
    """Gauges of every model that has a reference, computed when they are asked for.

    Parameters
    ----------
    models : by name; read anew each time, so a model that is replaced is told as it is now.
    """

    def __init__(self, models: Mapping[str, _Watched]) -> None:
        self._models = models

    def describe(self) -> Iterable[Any]:
        """Return the gauges without samples."""
        return _families()

    def collect(self) -> Iterator[Any]:
        """Return the gauges."""
        mean_abs, psi, reference = families = _families()
        for model, watched in list(self._models.items()):
            for reading in watched.drift.readings() if watched.drift else ():
                labels = [model, reading.feature]
                reference.add_metric(labels, reading.reference_mean_abs)
                if not math.isnan(reading.mean_abs):
                    mean_abs.add_metric(labels, reading.mean_abs)
                if not math.isnan(reading.psi):
                    psi.add_metric(labels, reading.psi)
        yield from families


def _families() -> list[GaugeMetricFamily]:
    told = {
        "mean_abs": "Mean absolute attribution of late, averaged over outputs.",
        "psi": "Population stability index of attributions against the artifact's reference.",
        "reference_mean_abs": "Mean absolute attribution at distillation.",
    }
    labels = ["model", "feature"]
    return [
        GaugeMetricFamily(f"shapserve_attribution_{name}", text, labels=labels)
        for name, text in told.items()
    ]
