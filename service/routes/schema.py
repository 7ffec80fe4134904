"""What a model wants and what it explains."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Response

from service import codec
from service.documents import SchemaDocument, responses
from service.errors import UnknownModel
from service.scorer import Scorer

__all__ = ["router"]


def router(scorers: Mapping[str, Scorer]) -> APIRouter:
    """`GET /schema` for the default model, `GET /models/{name}/schema` for each."""
    routes = APIRouter(tags=["schema"])
    documents = {name: _document(scorer) for name, scorer in scorers.items()}
    default = next(iter(documents.values()))

    @routes.get("/schema", response_model=SchemaDocument)
    async def schema() -> Response:
        """Describe features and outputs, with a sample that works when it is posted back."""
        return Response(default, media_type="application/json")

    @routes.get("/models/{name}/schema", response_model=SchemaDocument, responses=responses(404))
    async def schema_of_model(name: str) -> Response:
        """Describe one of several models."""
        if name not in documents:
            raise UnknownModel
        return Response(documents[name], media_type="application/json")

    return routes


def _document(scorer: Scorer) -> bytes:
    features = codec.feature_documents(scorer.schema)
    sample = codec.sample_body(scorer.schema, scorer.sample)
    content = {"model": scorer.model, "features": features, **scorer.outputs, "sample": sample}
    return codec.to_json(content)
