"""Which models are served."""

from __future__ import annotations

from fastapi import APIRouter

from service.documents import ModelsDocument
from service.models import Models

__all__ = ["router"]


def router(models: Models) -> APIRouter:
    """`GET /models`."""
    routes = APIRouter(tags=["models"])

    @routes.get("/models", response_model=ModelsDocument)
    async def listed() -> dict[str, object]:
        """List the models, and name the one that answers where a request names none."""
        return {"default": models.default, "models": [s.model for s in models.values()]}

    return routes
