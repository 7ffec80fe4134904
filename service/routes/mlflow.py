"""What MLflow's scoring server answers: `/invocations`, `/ping`, `/health` and `/version`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from service import codec
from service.codec.mlflow import read_invocation, to_invocation, to_predictions
from service.documents import RowsDocument, ScoreDocument, responses
from service.protocols.documents import INVOCATION, PredictionsDocument, mlflow_responses
from service.protocols.options import options_from
from service.routes.exchange import Exchange

__all__ = ["router"]

JSON = "application/json"


def router(exchange: Exchange, version: str) -> APIRouter:
    """Answer MLflow's clients with the default model."""
    routes = APIRouter(tags=["mlflow"])

    @routes.post(
        "/invocations",
        response_model=ScoreDocument | RowsDocument | PredictionsDocument,
        responses=mlflow_responses(400, 408, 422, 504),
        openapi_extra=INVOCATION,
    )
    async def invocations(request: Request) -> Response:
        """Predict rows, and explain them where `params` say `{"explain": true}`."""
        media_type = codec.check_media_type(request.headers, (codec.JSON, codec.CSV))
        scorer = exchange.models.pick()
        body = await exchange.body(request)
        schema, max_rows = scorer.schema, exchange.settings.max_rows
        rows, params = await exchange.read(read_invocation, body, schema, max_rows, media_type)
        query = request.query_params.multi_items()
        options = options_from(query, params, scorer.choices, explain=False)
        scored = await exchange.score(scorer, rows, options)
        if options.explain is not False:
            told = scored, rows, scorer.model, options, scorer.classes
            content = await exchange.write(to_invocation, *told)
        else:
            content = await exchange.write(to_predictions, scored)
        return Response(content, media_type=JSON)

    @routes.get("/health", response_class=Response, responses=responses(503))
    @routes.get("/ping", response_class=Response, responses=responses(503))
    async def ping() -> Response:
        """Answer an empty line once the model can score, until SIGTERM."""
        exchange.check_ready()
        return Response("\n", media_type=JSON)

    @routes.get("/version", response_class=PlainTextResponse)
    async def of_server() -> Response:
        """Tell the version, as bare text: this server's, which holds no MLflow."""
        return PlainTextResponse(version)

    return routes
