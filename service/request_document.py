"""The bodies and options of `/score` as the OpenAPI document describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.options import LONGEST_MS

__all__ = ["ARROW_ANSWER", "OPTIONS", "request_document", "show_sample"]

ARROW = "application/vnd.apache.arrow.stream"

_BYTES = {"type": "string", "format": "binary"}
_NAMES = {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}

ARROW_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Successful Response",
        "content": {
            ARROW: {
                "schema": {
                    **_BYTES,
                    "description": "Where `Accept` asks for it: `index`, `prediction`, "
                    "`probability:CLASS`, `importance:OUTPUT:FEATURE` and more as columns; what "
                    "all rows share stands as JSON in the schema's metadata, under `shapserve`.",
                }
            }
        },
    }
}

OPTIONS: dict[str, dict[str, Any]] = {
    "output_space": {
        "description": "One of the model's `output_spaces`; by default the first.",
        "type": "string",
        "enum": ["probability", "margin", "value"],
    },
    "deadline_ms": {
        "description": "When to stop asking about coalitions: values come from a shorter design "
        "then, with larger standard errors. Exact values are not cut short.",
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": LONGEST_MS,
    },
    "outputs": {
        "description": "`all`, `predicted` for each row's own class, or names of outputs; in the "
        "query several names are a JSON list.",
        "anyOf": [{"type": "string"}, _NAMES],
    },
    "top_k": {
        "description": "List a row's strongest features only; the others add up to the remainder.",
        "type": "integer",
        "minimum": 1,
        "exclusiveMaximum": 2**31,
    },
    "layout": {
        "description": "`guide` nests values as `axes` says, `rows` has one object for each row.",
        "type": "string",
        "enum": ["guide", "rows"],
    },
    "explain": {
        "description": "false for predictions only, or which rows to explain: those of some "
        "predicted `classes`, or by the probability of a `class`; in the query as JSON.",
        "anyOf": [
            {"type": "boolean"},
            {
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "properties": {
                    "classes": {"type": "array", "items": {"type": "string"}},
                    "class": {"type": "string"},
                    "above": _SHARE,
                    "below": _SHARE,
                },
            },
        ],
    },
    "interactions": {
        "description": "Tell what pairs of features do together, where values are exact.",
        "type": "boolean",
    },
    "baseline": {
        "description": "A named background of the artifact to explain against.",
        "type": "string",
    },
}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An option that may be null, which is as good as leaving it out."""
    rest = {key: value for key, value in schema.items() if key != "description"}
    return {"description": schema["description"], "anyOf": [rest, {"type": "null"}]}


def _parameter(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in schema.items() if key != "description"}
    parameter = {"name": name, "in": "query", "description": schema["description"]}
    if name in {"outputs", "explain"}:  # JSON in a query is text
        rest = {"type": "string"}
    elif name in {"deadline_ms", "top_k", "interactions"}:  # so is this, and null may be written
        rest = {"anyOf": [rest, {"type": "null"}]}
    return {**parameter, "schema": rest}


_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`respond-async` answers predictions at once, with 202 and a link to the whole "
    "answer.",
    "schema": {"type": "string", "examples": ["respond-async"]},
}

_OBJECT = {"type": "object"}

_ORIENTATIONS: list[dict[str, Any]] = [
    {"type": "object", "title": "columns", "description": '{"age": {"0": 31, "1": 54}, ...}'},
    {"type": "array", "title": "records", "items": _OBJECT},
    {
        "type": "object",
        "title": "split",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "index": {"type": "array", "items": {}},
            "data": {"type": "array", "items": {"type": "array", "items": {}}},
        },
    },
]

_ENVELOPE: dict[str, Any] = {
    "type": "object",
    "title": "envelope",
    "description": "Rows with options beside them; unless a column is called data or options.",
    "required": ["data"],
    "properties": {
        "data": {"anyOf": _ORIENTATIONS},
        "options": {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: _or_null(schema) for name, schema in OPTIONS.items()},
        },
    },
}


def show_sample(
    document: dict[str, Any], name: str, sample: Mapping[str, Mapping[str, Any]]
) -> None:
    """Put a sample of a model into a document, or another one in its place."""
    # As lists: FastAPI drops a null that is the value of a key.
    rows = {column: list(values.values()) for column, values in sample.items()}
    document["requestBody"]["content"]["application/json"]["examples"][name] = {"value": rows}


def request_document() -> dict[str, Any]:
    """Document the rows that `/score` takes; `show_sample` adds what they look like."""
    examples: dict[str, Any] = {}
    schema = {"anyOf": [*_ORIENTATIONS, _ENVELOPE]}
    content = {
        "application/json": {"schema": schema, "examples": examples},
        "text/csv": {
            "schema": {
                "type": "string",
                "description": "A header row with the columns' names; an empty cell is missing.",
            }
        },
        ARROW: {"schema": {**_BYTES, "description": "An Arrow IPC stream, uncompressed."}},
    }
    parameters = [_parameter(name, schema) for name, schema in OPTIONS.items()] + [_PREFER]
    return {"requestBody": {"required": True, "content": content}, "parameters": parameters}
