"""The bodies of the protocols of others, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.codec.tensors import DATATYPES
from service.documents import ErrorDocument, Problem, RowsDocument, ScoreDocument

__all__ = [
    "BINARY_ANSWER",
    "INFER",
    "INSTANCES",
    "INVOCATION",
    "AliveDocument",
    "ExplanationsDocument",
    "IndexedModelDocument",
    "InferDocument",
    "LiveDocument",
    "ModelsDocument",
    "PredictionsDocument",
    "ReadyDocument",
    "ReadyModelDocument",
    "ServedModelDocument",
    "ServerDocument",
    "mlflow_responses",
    "v2_responses",
]

Scalar = str | int | float | bool


class PredictionsDocument(BaseModel):
    """Predictions alone."""

    predictions: list[Any] = Field(description="What the model's own `predict` answers.")


class ExplanationsDocument(BaseModel):
    """Predictions and, for every row, why."""

    explanations: ScoreDocument | RowsDocument = Field(
        description="What `/score` answers to the same rows."
    )


class ModelsDocument(BaseModel):
    """The models that are served."""

    models: list[str]


class AliveDocument(BaseModel):
    """That the process answers, as KServe's first protocol says it."""

    status: Literal["alive"]


class IndexedModelDocument(BaseModel):
    """One of the models, as Triton lists them."""

    name: str
    version: str
    state: Literal["READY"]
    reason: str


class ReadyModelDocument(BaseModel):
    """One of them, and whether it can score."""

    name: str
    ready: bool


class LiveDocument(BaseModel):
    """Whether the process answers."""

    live: bool


class ReadyDocument(BaseModel):
    """Whether it can score."""

    ready: bool


class ServerDocument(BaseModel):
    """Who answers."""

    name: str
    version: str
    extensions: list[str]


class TensorDocument(BaseModel):
    """A tensor that a model takes or gives; -1 stands for the number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ServedModelDocument(BaseModel):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorDocument]
    outputs: list[TensorDocument]


class OutputDocument(BaseModel):
    """One tensor of an answer."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Scalar] | None = Field(
        None, description="Names of what the axes count through, as JSON text."
    )
    data: list[Any] | None = Field(
        None, description="Row-major and flat; not there where the data is binary."
    )


class InferDocument(BaseModel):
    """Tensors that were asked for."""

    model_name: str
    model_version: str
    id: str | None = Field(None, description="As the request has it, if it has one.")
    parameters: dict[str, Scalar] | None = Field(
        None, description="What belongs to no tensor; warnings as JSON text."
    )
    outputs: list[OutputDocument]


class V2ErrorDocument(BaseModel):
    """A refusal, as clients of this protocol read it."""

    error: str = Field(description="What is wrong, with the first violation.")
    details: Problem
    request_id: str


class MlflowErrorDocument(ErrorDocument):
    """A refusal, with the keys that MLflow's clients look for."""

    error_code: str
    message: str


def v2_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document refusals of the Open Inference Protocol."""
    return {status: {"model": V2ErrorDocument} for status in statuses}


def mlflow_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document refusals of `/invocations`."""
    return {status: {"model": MlflowErrorDocument} for status in statuses}


def _body(schema: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object", **schema}}, **others}
    return {"requestBody": {"required": True, "content": content}}


_ROWS = {
    "type": "array",
    "description": "Rows as lists in the schema's order, or as objects.",
    "items": {"anyOf": [{"type": "array", "items": {}}, {"type": "object"}]},
}

_ONE_OF = ("dataframe_split", "dataframe_records", "instances", "inputs")

INVOCATION = _body(
    {
        "oneOf": [{"required": [name]} for name in _ONE_OF],
        "properties": {
            "dataframe_split": {"type": "object"},
            "dataframe_records": {"type": "array", "items": {"type": "object"}},
            "instances": _ROWS,
            "inputs": {"anyOf": [_ROWS, {"type": "object"}]},
            "params": {
                "type": "object",
                "description": 'Options: {"explain": true} adds the explanation.',
            },
        },
        "additionalProperties": False,
    },
    **{"text/csv": {"schema": {"type": "string"}}},
)
INSTANCES = _body(
    {"required": ["instances"], "properties": {"instances": _ROWS}, "additionalProperties": False}
)
INFER = _body(
    {
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "maxLength": 128},
            "parameters": {"type": "object"},
            "inputs": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["name", "shape", "datatype"],
                    "properties": {
                        "name": {"type": "string"},
                        "shape": {
                            "type": "array",
                            "items": {"type": "integer", "minimum": 0},
                            "minItems": 1,
                            "maxItems": 2,
                        },
                        "datatype": {"type": "string", "enum": list(DATATYPES)},
                        "parameters": {"type": "object"},
                        "data": {"type": "array", "items": {}},
                    },
                },
            },
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
                },
            },
        },
    },
    **{
        "application/octet-stream": {
            "schema": {
                "type": "string",
                "format": "binary",
                "description": "The same JSON, and after it the bytes of binary tensors.",
            }
        }
    },
)
INFER["parameters"] = [
    {
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "description": "How many bytes of the body are JSON, where binary tensors come after it.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,17}$"},
    }
]
BINARY_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Successful Response",
        "content": {
            "application/octet-stream": {
                "schema": {
                    "type": "string",
                    "format": "binary",
                    "description": "JSON, and after it the bytes of tensors asked for as binary.",
                }
            }
        },
        "headers": {
            "Inference-Header-Content-Length": {
                "description": "How many bytes of the body are JSON, where not all are.",
                "schema": {"type": "string"},
            }
        },
    }
}
