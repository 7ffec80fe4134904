"""KServe's V1 protocol: rows in, predictions or explanations out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from service import codec
from service.codec.kserve_v1 import read_instances, to_explanations
from service.codec.mlflow import to_predictions
from service.documents import responses
from service.errors import BadOption
from service.protocols.documents import (
    INSTANCES,
    AliveDocument,
    ExplanationsDocument,
    ModelsDocument,
    PredictionsDocument,
    ReadyModelDocument,
)
from service.protocols.options import options_from
from service.routes.exchange import Exchange

__all__ = ["router"]


class _ModelName(Convertor[str]):
    """A part of a path that may be a model's name: what has a colon asks for something of it."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


_MODELS = "/v1/models"
register_url_convertor("model_name", _ModelName())


def router(exchange: Exchange) -> APIRouter:
    """`/`, `/v1/models`, `/v1/models/{name}`, and that with `:predict` and `:explain`."""
    routes = APIRouter(tags=["kserve v1"])
    refusals = responses(400, 404, 408, 422, 504)

    async def respond(name: str, request: Request, *, explain: bool) -> Response:
        scorer = exchange.models.pick(name)
        codec.check_media_type(request.headers)
        query = request.query_params.multi_items()
        options = options_from(query, {}, scorer.choices, explain=explain)
        if (options.explain is not False) != explain:
            raise BadOption("The path says whether to explain, and no option can say otherwise.")
        body = await exchange.body(request)
        max_rows = exchange.settings.max_rows
        rows = await exchange.read(read_instances, body, scorer.schema, max_rows)
        scored = await exchange.score(scorer, rows, options)
        if explain:
            told = scored, rows, scorer.model, options, scorer.classes
            answer = await exchange.write(codec.to_response, *told)
            content = to_explanations(answer)
        else:
            content = await exchange.write(to_predictions, scored)
        return Response(content, media_type="application/json")

    @routes.get("/", response_model=AliveDocument)
    async def alive() -> dict[str, str]:
        """Answer as long as the process can."""
        return {"status": "alive"}

    @routes.get(_MODELS, response_model=ModelsDocument)
    async def models() -> dict[str, list[str]]:
        """List the models."""
        return {"models": list(exchange.models)}

    @routes.post(
        f"{_MODELS}/{{name}}:predict",
        response_model=PredictionsDocument,
        responses=refusals,
        openapi_extra=INSTANCES,
    )
    async def predict(name: str, request: Request) -> Response:
        """Predict rows."""
        return await respond(name, request, explain=False)

    @routes.post(
        f"{_MODELS}/{{name}}:explain",
        response_model=ExplanationsDocument,
        responses=refusals,
        openapi_extra=INSTANCES,
    )
    async def explain(name: str, request: Request) -> Response:
        """Predict and explain rows: what `/score` answers, under `explanations`."""
        return await respond(name, request, explain=True)

    @routes.get(
        f"{_MODELS}/{{name:model_name}}",
        response_model=ReadyModelDocument,
        responses=responses(404),
    )
    async def ready(name: str) -> dict[str, str | bool]:
        """Say that a model can score."""
        exchange.check_ready()
        return {"name": exchange.models.pick(name).name, "ready": True}

    return routes
