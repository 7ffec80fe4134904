"""How the OpenAPI document describes explanations that are fetched later."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from service.documents import ModelDocument, ViolationDocument

__all__ = ["ACCEPTED", "RUNNING", "AcceptedDocument", "StatusDocument"]


class LinkDocument(BaseModel):
    """Where the explanation will be."""

    status: str = Field(description="running.")
    href: str = Field(description="GET it for the answer, DELETE it to forget it.")
    expires_in: int = Field(description="Seconds that it is kept, again from when it is done.")


class AcceptedDocument(BaseModel):
    """Predictions at once; why comes later."""

    predictions: list[Any] = Field(description="What the model's own `predict` answers.")
    probabilities: list[list[float | None]] | None = Field(
        description="Per row, in the order of the model's classes; null where it has none."
    )
    index: list[str | int | float | bool] = Field(description="The rows' labels, as they came.")
    warnings: list[ViolationDocument] = Field(description="What was accepted but is unusual.")
    model: ModelDocument
    explanation: LinkDocument


class StatusDocument(BaseModel):
    """How far an explanation is."""

    status: str = Field(description="running.")


_RETRY_AFTER = {"description": "Seconds to wait.", "schema": {"type": "string"}}

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": AcceptedDocument,
        "description": "Accepted: predictions now, the explanation later",
        "headers": {
            "Location": {"description": "Of the explanation.", "schema": {"type": "string"}},
            "Preference-Applied": {
                "description": "respond-async.",
                "schema": {"type": "string"},
            },
            "Retry-After": _RETRY_AFTER,
        },
    }
}

RUNNING: dict[int | str, dict[str, Any]] = {
    202: {
        "model": StatusDocument,
        "description": "Not done yet",
        "headers": {"Retry-After": _RETRY_AFTER},
    }
}
