"""The application, as a table of contents."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from scoring.forms.onnx import usable_cpus
from service import errors
from service.gate import Gate
from service.limits import Workers
from service.metrics import Metrics
from service.routes import health, schema, score
from service.routes import metrics as metrics_route
from service.scorer import Scorer
from service.settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings, scorers: Mapping[str, Scorer]) -> FastAPI:
    """Build the application that serves `scorers`; the first of them answers `/score`."""
    metrics = Metrics()
    workers = Workers(settings.concurrency or usable_cpus())
    app = FastAPI(
        title="shapserve",
        version=_version(),
        description="Predictions and, for every row, why.",
        redirect_slashes=False,
        redoc_url=None,
    )
    app.include_router(score.router(settings, scorers, workers, metrics))
    app.include_router(schema.router(scorers))
    app.include_router(health.router(scorers))
    app.include_router(metrics_route.router(metrics))
    errors.install(app)
    app.add_middleware(Gate, metrics=metrics)
    return app


def _version() -> str:
    try:
        return version("shapserve")
    except PackageNotFoundError:  # run from the source tree
        return "0"
