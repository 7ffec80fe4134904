"""`GET /metrics`, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from service.metrics import Metrics

__all__ = ["router"]


def router(metrics: Metrics) -> APIRouter:
    """`GET /metrics`."""
    routes = APIRouter(tags=["metrics"])

    # Not `async`: it takes milliseconds, which a thread spends without keeping others waiting.
    @routes.get("/metrics", response_class=PlainTextResponse)
    def text() -> Response:
        """Counters and histograms in the text format."""
        return Response(metrics.text(), media_type=metrics.content_type)

    return routes
