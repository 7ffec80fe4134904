"""The project's own protocol: rows in, predictions and local importances out."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from service import codec
from service.documents import RowsDocument, ScoreDocument, responses
from service.engine import Engine
from service.jobs import Jobs
from service.jobs.documents import ACCEPTED
from service.jobs.predictions import predictions
from service.limits import read_body
from service.models import Models
from service.options import options_of
from service.request_document import ARROW_ANSWER, request_document, show_sample
from service.routes.direct import Direct
from service.scorer import Scorer
from service.settings import Settings

__all__ = ["router"]


def router(settings: Settings, models: Models, engine: Engine, jobs: Jobs) -> APIRouter:
    """`POST /score` for the default model, `POST /models/{name}/score` for each."""
    routes = APIRouter(tags=["score"], route_class=Direct)
    default, every = request_document(), request_document()
    answers = ACCEPTED | ARROW_ANSWER | responses(400, 408, 422, 504)

    async def respond(request: Request, scorer: Scorer) -> Response:
        media_type = codec.check_media_type(request.headers, codec.MEDIA_TYPES)
        later = jobs.asked(request)
        body = await read_body(request, settings.max_decoded_bytes)
        told = scorer.schema, settings.max_rows, media_type
        rows = await engine.parse(codec.to_rows, body, *told)
        query = request.query_params.multi_items() if request.scope["query_string"] else ()
        options = options_of(query, scorer.choices, rows.options)
        as_arrow = codec.wants_arrow(request.headers)
        scorer.check(rows.table, options, as_arrow=as_arrow)

        async def complete(engine: Engine) -> Response:
            scored = await engine.score(scorer, rows.table, options)
            about = rows, scorer.model, options, scorer.classes
            if as_arrow:
                stream = codec.arrow_answer(scored, *about)
                return StreamingResponse(stream, media_type=codec.ARROW)
            content = await engine.encode(codec.to_response, scored, *about)
            return Response(content, media_type=codec.JSON)

        if not later or options.explain is False:
            return await complete(engine)
        at_once = partial(predictions, engine, scorer, rows, options)
        return await jobs.accept(request, rows, at_once, complete)

    def show(scorer: Scorer) -> None:
        """Show what rows of a model look like that answers from now on."""
        sample = codec.sample_body(scorer.schema, scorer.sample)
        for document in (default, every) if scorer.name == models.default else (every,):
            show_sample(document, scorer.name, sample)

    models.tell(show)

    @routes.post(
        "/score",
        response_model=ScoreDocument | RowsDocument,
        responses=answers,
        openapi_extra=default,
    )
    async def score(request: Request) -> Response:
        """Predict and explain rows."""
        return await respond(request, models.pick())

    @routes.post(
        "/models/{name}/score",
        response_model=ScoreDocument | RowsDocument,
        responses=answers | responses(404),
        openapi_extra=every,
    )
    async def score_with_model(name: str, request: Request) -> Response:
        """Predict and explain rows with one of several models."""
        return await respond(request, models.pick(name))

    return routes
