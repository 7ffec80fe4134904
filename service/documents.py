"""The bodies as the OpenAPI document describes them; answers are not validated at run time."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

__all__ = [
    "ErrorDocument",
    "ModelDocument",
    "ModelsDocument",
    "RowsDocument",
    "SchemaDocument",
    "ScoreDocument",
    "ViolationDocument",
    "responses",
]

Label = str | int | float | bool
Number = float | None


class ModelDocument(BaseModel):
    """Which model answers."""

    name: str
    version: str
    artifact_sha256: str = Field(description="Digest of the artifact's manifest.")


class ModelsDocument(BaseModel):
    """Which models are served."""

    default: str = Field(description="Name of the one that answers /score.")
    models: list[ModelDocument]


class ViolationDocument(BaseModel):
    """One broken rule."""

    row: int | None = Field(description="Row in the order of the body, counted from 0.")
    column: str | None = Field(description="A column of the schema.")
    rule: str


class RowErrorDocument(BaseModel):
    """A row that got no usable answer."""

    row: int
    rule: str


class ReasonDocument(BaseModel):
    """One of a row's strongest features, with the text that goes with it."""

    feature: str
    direction: str = Field(description="increases or decreases.")
    value: float = Field(description="Its value for the output that reasons are given for.")
    text: str


class IntervalDocument(BaseModel):
    """What standard errors say by Student's t."""

    level: float = Field(description="How often an interval holds the exact value.")
    degrees_of_freedom: int
    factor: float = Field(description="The value -/+ this many standard errors is the interval.")


class ScoreDocument(BaseModel):
    """Predictions and, for every row, why."""

    predictions: list[Any] = Field(description="What the model's own `predict` answers.")
    probabilities: list[list[Number]] | None = Field(
        description="Per row, in the order of the model's classes; null where it has none."
    )
    local_importance_values: list[Any] = Field(description="Nested as `axes` says.")
    base_values: list[Number] = Field(description="What the model says of the background.")
    features: list[str]
    classes: list[str] = Field(description="The outputs that are explained.")
    index: list[Label] = Field(description="The rows' labels, as they came.")
    output_space: str = Field(description="probability, margin or value.")
    axes: list[str] = Field(description="What `local_importance_values` count through.")
    additivity_gap: list[Number] = Field(
        description="Per row |base value + sum of values - output|, the largest of all outputs."
    )
    method: str
    coalitions_used: int
    standard_errors: list[Any] | float | None = Field(
        description="Nested like the values: what sampling coalitions leaves unsure. One 0 where "
        "the values are exact, one number where a series is cut short, null where the design is "
        "too small to tell."
    )
    interval: IntervalDocument | None = Field(
        description="How wide an interval is; null where the standard errors are 0 or null."
    )
    background_error: Number = Field(
        description="Relative RMS error that a summary of the background costs, if measured."
    )
    explained_rows: list[int] | None = Field(
        None,
        description="Places of the rows that are explained, if some are not: values, errors, gaps, "
        "remainders and reasons are of these only.",
    )
    explained_classes: list[str] | None = Field(
        None,
        description="Per explained row the class that its values are for, if each has its own; "
        "its base value stands in that class's place.",
    )
    top_features: list[Any] | None = Field(
        None, description="Nested like the values: whose they are, if only the strongest are told."
    )
    interaction_values: list[Any] | None = Field(
        None,
        description="Nested like the values, with one more axis of features: half of what a pair "
        "does together on each side of the diagonal, so that a line sums to its feature's value.",
    )
    remainder: list[list[Number]] | None = Field(
        None, description="Per row and output what unlisted features add up to; if some are."
    )
    reason_codes: list[list[ReasonDocument]] | None = Field(
        None, description="Per row the reasons to tell, the strongest first; if there are texts."
    )
    warnings: list[ViolationDocument] = Field(description="What was accepted but is unusual.")
    errors: list[RowErrorDocument] = Field(description="Rows with null in their answer.")
    model: ModelDocument


class OutputExplanation(BaseModel):
    """Why a row has an output."""

    base_value: Number = Field(description="What the model says of the background.")
    output: Number = Field(description="What it says of the row.")
    values: dict[str, Number] = Field(description="By feature; the strongest first under top_k.")
    standard_errors: dict[str, Number] | None = Field(
        None, description="By feature: what sampling coalitions leaves unsure; if it was sampled."
    )
    remainder: Number = Field(
        None, description="What unlisted features add up to; if some are not listed."
    )
    interaction_values: list[list[Number]] | None = Field(
        None, description="By two of `features`; if they are asked for."
    )


class RowDocument(BaseModel):
    """One row of the `rows` layout."""

    index: Label = Field(description="The row's label, as it came.")
    prediction: Any = Field(description="What the model's own `predict` answers.")
    probabilities: dict[str, Number] | None = Field(
        description="By class; null where the model has none."
    )
    explanation: dict[str, OutputExplanation] | None = Field(
        description="By output; null where the row was not to be explained."
    )
    additivity_gap: Number = Field(
        description="|base value + sum of values - output|, the largest of all outputs."
    )
    reason_codes: list[ReasonDocument] | None = Field(
        None, description="The reasons to tell, the strongest first; if there are texts."
    )


class RowsDocument(BaseModel):
    """The `rows` layout: one object for each row, and what all rows share."""

    rows: list[RowDocument]
    features: list[str]
    classes: list[str] = Field(description="The outputs that are explained.")
    output_space: str = Field(description="probability, margin or value.")
    method: str
    coalitions_used: int
    standard_errors: float | None = Field(
        None, description="One for all values, if rows do not have their own: 0 for exact values."
    )
    interval: IntervalDocument | None = Field(
        description="How wide an interval is; null where the standard errors are 0 or null."
    )
    background_error: Number = Field(
        description="Relative RMS error that a summary of the background costs, if measured."
    )
    warnings: list[ViolationDocument] = Field(description="What was accepted but is unusual.")
    errors: list[RowErrorDocument] = Field(description="Rows with null in their answer.")
    model: ModelDocument


class FeatureDocument(BaseModel):
    """One column of a row."""

    name: str
    type: str = Field(description="number, integer, boolean, category or datetime.")
    minimum: float | str | None = Field(description="The least that training saw.")
    maximum: float | str | None = Field(description="The greatest that training saw.")
    categories: list[Label] | None = Field(description="The values that training saw.")
    allows_missing: bool = Field(description="Whether the model takes null here.")
    allows_unseen: bool = Field(description="Whether it takes other categories.")


class ClassDocument(BaseModel):
    """One class of the model."""

    label: Label = Field(description="As `predictions` have it.")
    name: str = Field(description="As it is shown.")


class SchemaDocument(BaseModel):
    """What a row must look like, and what is explained."""

    model: ModelDocument
    features: list[FeatureDocument]
    classes: list[ClassDocument]
    outputs: list[str] = Field(description="The outputs that are explained.")
    output_space: str = Field(description="The one that is explained by default.")
    output_spaces: list[str] = Field(description="Those that a request may choose from.")
    sample: dict[str, Any] = Field(description="A body that works when it is posted back.")


class Problem(BaseModel):
    """Why a request was turned away."""

    code: str
    message: str
    violations: list[ViolationDocument] = Field(description="The first hundred.")
    total_violations: int


class ErrorDocument(BaseModel):
    """The body of every refusal."""

    error: Problem
    request_id: str


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document refusals."""
    return {status: {"model": ErrorDocument} for status in statuses}
