"""Extensions of the Open Inference Protocol: the index of models, and a clear no to the others.

Triton's clients have a call for each of them; a 501 tells them apart from a mistake in the address.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from service.errors import NotOffered
from service.protocols.documents import IndexedModelDocument, ModelsDocument
from service.routes.exchange import Exchange

__all__ = ["router"]

_METRICS = "Statistics are not kept in this form; GET /metrics has them for Prometheus."
_CONFIG = "There is no configuration; GET /v2/models/NAME describes a model's tensors."
_LOADING = "Models are loaded when the server starts; POST /admin/reload loads one again."
_TRACING = "Tracing is set by the variables of OpenTelemetry when the server starts."
_LOGGING = "Logging is set by options when the server starts."
_SHARED = "Memory is not shared with clients; send tensors in the request."
_GENERATION = "Models here answer tensors, by infer, and generate nothing."

_REGION = "memory/region/{region}"
_STATISTICS = "stats"  # of all models, unless one of them has that name
_OF_SERVER = {
    "/repository/models/{repository_model}/load": ("POST", _LOADING),
    "/repository/models/{repository_model}/unload": ("POST", _LOADING),
    "/trace/setting": ("GET, POST", _TRACING),
    "/logging": ("GET, POST", _LOGGING),
    **{
        f"/{kind}shared{place}": (method, _SHARED)
        for kind in ("system", "cuda")
        for place, method in (
            ("memory/status", "GET"),
            ("memory/unregister", "POST"),
            (f"{_REGION}/status", "GET"),
            (f"{_REGION}/register", "POST"),
            (f"{_REGION}/unregister", "POST"),
        )
    },
}
_OF_MODEL = {
    _STATISTICS: ("GET", _METRICS),
    "config": ("GET", _CONFIG),
    "trace/setting": ("GET, POST", _TRACING),
    "generate": ("POST", _GENERATION),
    "generate_stream": ("POST", _GENERATION),
    "infer_stream": ("POST", _GENERATION),
}


def router(exchange: Exchange) -> APIRouter:
    """What is under `/v2` besides health, metadata and `infer`."""
    routes = APIRouter(prefix="/v2", tags=["open inference protocol"])

    @routes.get("/models", response_model=ModelsDocument)
    async def models() -> dict[str, list[str]]:
        """List the models, as KServe's own server does."""
        return {"models": list(exchange.models)}

    @routes.post("/repository/index", response_model=list[IndexedModelDocument])
    async def index() -> list[dict[str, Any]]:
        """List the models as Triton does; all of them are ready, whatever the body asks for."""
        return [
            {"name": name, "version": scorer.model["version"], "state": "READY", "reason": ""}
            for name, scorer in exchange.models.items()
        ]

    def refuse(path: str, methods: str, message: str) -> None:
        async def refusal(request: Request) -> None:
            if "name" in request.path_params:
                exchange.named(**request.path_params)
            raise NotOffered(message)

        routes.add_api_route(path, refusal, methods=methods.split(", "), include_in_schema=False)

    if _STATISTICS not in exchange.models:
        refuse(f"/models/{_STATISTICS}", "GET", _METRICS)
    for path, said in _OF_SERVER.items():
        refuse(path, *said)
    for path, said in _OF_MODEL.items():
        refuse(f"/models/{{name}}/{path}", *said)
        refuse(f"/models/{{name}}/versions/{{version}}/{path}", *said)
    return routes
