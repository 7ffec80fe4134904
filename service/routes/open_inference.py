"""The Open Inference Protocol V2: health, metadata and `infer`, with binary tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from service import codec
from service.codec import open_inference as bodies
from service.protocols.documents import (
    BINARY_ANSWER,
    INFER,
    InferDocument,
    LiveDocument,
    ReadyDocument,
    ReadyModelDocument,
    ServedModelDocument,
    ServerDocument,
    v2_responses,
)
from service.protocols.options import options_from, tensor_options
from service.routes.exchange import Exchange
from service.scorer import Scorer

__all__ = ["router"]

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"

_MODEL = "/models/{name}"
_VERSION = "/models/{name}/versions/{version}"
_NONE = v2_responses(404)
_ANSWERS = BINARY_ANSWER | v2_responses(400, 404, 408, 422, 504)


def router(exchange: Exchange, own_version: str) -> APIRouter:
    """`/v2` and what is under it."""
    routes = APIRouter(prefix="/v2", tags=["open inference protocol"])

    named = exchange.named

    @routes.get("", response_model=ServerDocument)
    async def server() -> dict[str, Any]:
        """Say who answers."""
        extensions = ["binary_tensor_data"]
        return {"name": "shapserve", "version": own_version, "extensions": extensions}

    @routes.get("/health/live", response_model=LiveDocument)
    async def live() -> dict[str, bool]:
        """Answer as long as the process can."""
        return {"live": True}

    @routes.get("/health/ready", response_model=ReadyDocument, responses=v2_responses(503))
    async def ready() -> dict[str, bool]:
        """Answer once every model can score, until SIGTERM."""
        exchange.check_ready()
        return {"ready": True}

    async def infer(scorer: Scorer, request: Request) -> Response:
        _check_media_type(request.headers)
        body = await exchange.body(request)
        length, max_rows = request.headers.get(HEADER_LENGTH), exchange.settings.max_rows
        asked = await exchange.read(bodies.read_infer, body, length, scorer.schema, max_rows)
        params = tensor_options(request.query_params.multi_items(), asked.parameters)
        options = options_from((), params, scorer.choices, explain=asked.explain)
        scored = await exchange.score(scorer, asked.rows, options)
        answer = await exchange.write(
            bodies.to_infer, scored, asked, scorer.model, bodies.labels_of(scorer.outputs)
        )
        if answer.header_length is None:
            return Response(answer.content, media_type="application/json")
        headers = {HEADER_LENGTH: str(answer.header_length)}
        return Response(answer.content, headers=headers, media_type=BINARY)

    # A function for each path: a parameter that one path has and another has not would be read
    # from the query there.

    @routes.get(f"{_MODEL}/ready", response_model=ReadyModelDocument, responses=_NONE)
    async def model_ready(name: str) -> dict[str, str | bool]:
        """Say that a model can score."""
        exchange.check_ready()
        return {"name": named(name).name, "ready": True}

    @routes.get(f"{_VERSION}/ready", response_model=ReadyModelDocument, responses=_NONE)
    async def version_ready(name: str, version: str) -> dict[str, str | bool]:
        """Say that a version of a model can score."""
        exchange.check_ready()
        return {"name": named(name, version).name, "ready": True}

    @routes.get(_MODEL, response_model=ServedModelDocument, responses=_NONE)
    async def model(name: str) -> dict[str, Any]:
        """Describe the tensors that a model takes and gives."""
        return await exchange.engine.run(_document, named(name))

    @routes.get(_VERSION, response_model=ServedModelDocument, responses=_NONE)
    async def version_of_model(name: str, version: str) -> dict[str, Any]:
        """Describe the tensors that a version of a model takes and gives."""
        return await exchange.engine.run(_document, named(name, version))

    @routes.post(
        f"{_MODEL}/infer", response_model=InferDocument, responses=_ANSWERS, openapi_extra=INFER
    )
    async def infer_with_model(name: str, request: Request) -> Response:
        """Answer the tensors that are asked for; predictions alone where none are."""
        return await infer(named(name), request)

    @routes.post(
        f"{_VERSION}/infer", response_model=InferDocument, responses=_ANSWERS, openapi_extra=INFER
    )
    async def infer_with_version(name: str, version: str, request: Request) -> Response:
        """Answer the tensors that are asked of a version of a model."""
        return await infer(named(name, version), request)

    return routes


def _document(scorer: Scorer) -> dict[str, Any]:
    """Describe a model; its one sample row tells what outputs look like."""
    labels = bodies.labels_of(scorer.outputs)
    scored = scorer.score(bodies.sample_table(scorer.schema, scorer.sample))
    return {
        "name": scorer.name,
        "versions": [scorer.model["version"]],
        "platform": "shapserve",
        "inputs": bodies.input_documents(scorer.schema),
        "outputs": bodies.output_documents(scored, labels),
    }


def _check_media_type(headers: Mapping[str, str]) -> None:
    """Refuse what is neither JSON nor binary; `tritonclient` does not say which it sends."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in {"", BINARY}:
        headers = {**headers, "content-type": "application/json"}
    codec.check_media_type(headers)
