"""What a model wants and what it explains."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from fastapi import APIRouter, Response

from service import codec
from service.documents import SchemaDocument, responses
from service.models import Models
from service.scorer import Scorer

__all__ = ["router"]


def router(models: Models) -> APIRouter:
    """`GET /schema` for the default model, `GET /models/{name}/schema` for each."""
    routes = APIRouter(tags=["schema"])
    documents: WeakKeyDictionary[Scorer, bytes] = WeakKeyDictionary()

    def describe(scorer: Scorer) -> Response:
        document = documents.get(scorer)
        if document is None:
            document = documents[scorer] = _document(scorer)
        return Response(document, media_type="application/json")

    for scorer in models.values():
        describe(scorer)

    @routes.get("/schema", response_model=SchemaDocument)
    async def schema() -> Response:
        """Describe features and outputs, with a sample that works when it is posted back."""
        return describe(models.pick())

    @routes.get("/models/{name}/schema", response_model=SchemaDocument, responses=responses(404))
    async def schema_of_model(name: str) -> Response:
        """Describe one of several models."""
        return describe(models.pick(name))

    return routes


def _document(scorer: Scorer) -> bytes:
    features = codec.feature_documents(scorer.schema)
    sample = codec.sample_body(scorer.schema, scorer.sample)
    content = {"model": scorer.model, "features": features, **scorer.outputs, "sample": sample}
    return codec.to_json(content)
