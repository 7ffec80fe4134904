"""The project's own protocol: rows in, predictions and local importances out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from service import codec
from service.documents import ScoreDocument, request_document, responses
from service.errors import UnknownModel
from service.limits import Workers, read_body
from service.metrics import Metrics
from service.options import Options, options_of
from service.scorer import Scorer
from service.settings import Settings

__all__ = ["router"]


def router(
    settings: Settings, scorers: Mapping[str, Scorer], workers: Workers, metrics: Metrics
) -> APIRouter:
    """`POST /score` for the default model, `POST /models/{name}/score` for each."""
    routes = APIRouter(tags=["score"])
    default = next(iter(scorers.values()))
    samples = {n: codec.sample_body(s.schema, s.sample) for n, s in scorers.items()}
    refusals = responses(400, 404, 413, 415, 422, 500)

    async def respond(request: Request, scorer: Scorer) -> Response:
        codec.check_media_type(request.headers)
        options = options_of(request.query_params.multi_items(), scorer.output_spaces)
        body = await read_body(request, settings.max_body_bytes)
        content, n_rows = await workers.run(_work, body, scorer, options, settings.max_rows)
        metrics.rows.labels(scorer.name).inc(n_rows)
        return Response(content, media_type="application/json")

    def document(*models: str) -> dict[str, Any]:
        return request_document({name: samples[name] for name in models})

    @routes.post(
        "/score",
        response_model=ScoreDocument,
        responses=refusals,
        openapi_extra=document(default.name),
    )
    async def score(request: Request) -> Response:
        """Predict and explain rows."""
        return await respond(request, default)

    @routes.post(
        "/models/{name}/score",
        response_model=ScoreDocument,
        responses=refusals,
        openapi_extra=document(*scorers),
    )
    async def score_with_model(name: str, request: Request) -> Response:
        """Predict and explain rows with one of several models."""
        if name not in scorers:
            raise UnknownModel
        return await respond(request, scorers[name])

    return routes


def _work(body: bytes, scorer: Scorer, options: Options, max_rows: int) -> tuple[bytes, int]:
    """From body to body, on a worker thread; the number of rows with it."""
    rows = codec.to_rows(body, scorer.schema, max_rows)
    scored = scorer.score(rows.table, options)
    return codec.to_response(scored, rows, scorer.model), rows.table.n_rows
