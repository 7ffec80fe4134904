"""`GET /metrics`, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.metrics import Metrics

__all__ = ["router"]


def router(metrics: Metrics) -> APIRouter:
    """`GET /metrics`."""
    routes = APIRouter(tags=["metrics"])

    @routes.get("/metrics", response_class=Response)
    async def text() -> Response:
        """Counters and histograms in the text format."""
        return Response(metrics.text(), media_type=metrics.content_type)

    return routes
