"""Probes: alive means that the process answers, ready that it can score."""

from __future__ import annotations

from fastapi import APIRouter

from service.documents import responses
from service.drain import Drain
from service.errors import ShuttingDown
from service.models import Models

__all__ = ["router"]


def router(models: Models, drain: Drain) -> APIRouter:
    """`GET /health/live` and `GET /health/ready`."""
    routes = APIRouter(prefix="/health", tags=["health"])

    @routes.get("/live")
    async def live() -> dict[str, str]:
        """Answer as long as the process can."""
        return {"status": "live"}

    @routes.get("/ready", responses=responses(503))
    async def ready() -> dict[str, str | list[str]]:
        """Answer once every model is loaded and has scored its sample, until SIGTERM."""
        if drain.draining:
            raise ShuttingDown
        return {"status": "ready", "models": list(models)}

    return routes
