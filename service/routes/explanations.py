"""Explanations that were asked for with `Prefer: respond-async`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service.documents import RowsDocument, ScoreDocument, responses
from service.jobs import Jobs
from service.jobs.documents import RUNNING
from service.request_document import ARROW_ANSWER

__all__ = ["router"]


def router(jobs: Jobs) -> APIRouter:
    """`GET` and `DELETE /explanations/{id}`; ending the application ends the jobs."""
    routes = APIRouter(tags=["score"], lifespan=jobs.lifespan)
    answers = RUNNING | ARROW_ANSWER | responses(404, 504)

    @routes.get(
        "/explanations/{id}", response_model=ScoreDocument | RowsDocument, responses=answers
    )
    async def explanation(id: str, request: Request) -> Response:  # noqa: A002 the template's name
        """Fetch the whole answer of `/score`, or learn that it is not done yet."""
        return await jobs.find(id, request)

    @routes.delete("/explanations/{id}", status_code=204, responses=responses(404))
    async def forget(id: str, request: Request) -> Response:  # noqa: A002 the template's name
        """Forget an explanation, done or not."""
        await jobs.forget(id, request)
        return Response(status_code=204)

    return routes
