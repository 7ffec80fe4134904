"""The application, as a table of contents."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware

from scoring.machine import usable_cpus
from service import errors
from service.agreement import Team
from service.auth import Auth
from service.drain import Drain
from service.drift_files import DriftFiles
from service.drift_metrics import DriftCollector
from service.engine import Engine
from service.gate import Gate
from service.head import HeadAsGet
from service.jobs import Jobs, open_store
from service.keys import KeyRing
from service.limits import Limits
from service.logs import RequestLog
from service.metrics import Metrics, across_processes
from service.models import Models
from service.openapi import complete
from service.protocols.refusals import Translated
from service.reload import Reloader
from service.reload_shared import everywhere
from service.routes import (
    admin,
    docs,
    explanations,
    health,
    kserve_v1,
    mlflow,
    open_inference,
    schema,
    score,
    v2_extensions,
)
from service.routes import metrics as metrics_route
from service.routes import models as models_route
from service.routes.exchange import Exchange
from service.scorer import Fit, Scorer, load_scorer
from service.settings import Settings
from service.tracing import tracing_of

__all__ = ["create_app"]


def create_app(
    settings: Settings,
    scorers: Mapping[str, Scorer],
    drain: Drain | None = None,
    team: Team | None = None,
    fit: Fit | None = None,
) -> FastAPI:
    """Build the application that serves `scorers`; the first of them answers `/score`.

    Parameters
    ----------
    drain : what the server tells the application when it is about to end.
    team : the other processes that serve the same; without it, this is the only one.
    fit : how large blocks may be of a model that is loaded again.
    """
    models, metrics, drain = Models(scorers), Metrics(scorers), drain or Drain()
    together = across_processes()
    if team is not None and together is not None:
        models.tell(DriftFiles(together, team.number, settings.workers).share)
    metrics.watch(DriftCollector(models))
    concurrency = settings.concurrency or usable_cpus()
    engine = Engine(settings, metrics, concurrency)
    exchange = Exchange(settings, engine, models, drain)
    jobs = _jobs(settings, metrics, settings.background_jobs or max(1, concurrency // 2))
    sources = dict(zip(scorers, settings.sources, strict=False))  # loaded in this order
    reloader = Reloader(
        models,
        sources,
        metrics,
        everywhere=None if team is None else everywhere(team, models, fit),
        load=partial(load_scorer, fit=fit),
    )
    app = FastAPI(
        title="shapserve",
        version=_version(),
        description="Predictions and, for every row, why.",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None if settings.no_docs else "/openapi.json",
        telemetry=_NO_TELEMETRY,
    )
    models.tell(lambda _: setattr(app, "openapi_schema", None))  # it holds samples of models
    # Not included: a request would be matched twice, and this is what most requests are for.
    app.router.routes.extend(score.router(settings, models, engine, jobs).routes)
    app.include_router(explanations.router(jobs))
    app.include_router(mlflow.router(exchange, app.version))
    app.include_router(kserve_v1.router(exchange))
    app.include_router(v2_extensions.router(exchange))  # before a model's name may be `stats`
    app.include_router(open_inference.router(exchange, app.version))
    app.include_router(schema.router(models))
    app.include_router(models_route.router(models))
    app.include_router(health.router(models, drain))
    app.include_router(metrics_route.router(metrics))
    app.include_router(admin.router(reloader))
    if not settings.no_docs:
        app.include_router(docs.router(app.title))
    complete(app, keys=_keys_wanted(settings))
    errors.install(app)
    _surround(app, settings, metrics, drain)
    return app


def _jobs(settings: Settings, metrics: Metrics, at_a_time: int) -> Jobs:
    """Explanations that come later, with workers of their own: those of others are never taken."""
    patient = settings.model_copy(update={"request_seconds": settings.results_seconds})
    engine = Engine(patient, metrics, at_a_time, in_loop=False, attended=False)
    return Jobs(open_store(settings), engine, settings, metrics, at_a_time)


def _surround(app: FastAPI, settings: Settings, metrics: Metrics, drain: Drain) -> None:
    """Put around the routes what every request passes; the last is the first that it meets."""
    app.add_middleware(HeadAsGet)
    app.add_middleware(Limits, settings=settings, drain=drain)
    app.add_middleware(Auth, keys=_keys(settings))
    if settings.cors_origin:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origin,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Prefer", "X-API-Key", "X-Request-ID"],
            expose_headers=["Location", "Retry-After", "X-Request-ID"],
        )
    tracing = tracing_of()
    notes = [metrics.observe, RequestLog(settings.log_requests).note]
    if tracing is not None:
        notes.insert(0, tracing.note)  # before the log, which tells the trace's id
    app.add_middleware(Gate, metrics=metrics, drain=drain, notes=notes)
    app.add_middleware(Translated)  # outermost: it puts what the gate says into other words too


# FastAPI's own would export paths, queries and the messages of exceptions, which quote values.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


def _keys(settings: Settings) -> KeyRing | None:
    """The keys, if any are configured; else the service is open."""
    if not _keys_wanted(settings):
        return None
    return KeyRing(settings.api_keys, settings.api_keys_file)


def _keys_wanted(settings: Settings) -> bool:
    return bool(settings.api_keys) or settings.api_keys_file is not None


def _version() -> str:
    try:
        return version("shapserve")
    except PackageNotFoundError:  # run from the source tree
        return "0"
