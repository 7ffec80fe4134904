"""Probes: alive means that the process answers, ready that it can score."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter

from service.scorer import Scorer

__all__ = ["router"]


def router(scorers: Mapping[str, Scorer]) -> APIRouter:
    """`GET /health/live` and `GET /health/ready`."""
    routes = APIRouter(prefix="/health", tags=["health"])

    @routes.head("/live", include_in_schema=False)
    @routes.get("/live")
    async def live() -> dict[str, str]:
        """Answer as long as the process can."""
        return {"status": "live"}

    @routes.head("/ready", include_in_schema=False)
    @routes.get("/ready")
    async def ready() -> dict[str, str | list[str]]:
        """Answer once every model is loaded and has scored its sample."""
        return {"status": "ready", "models": list(scorers)}

    return routes
