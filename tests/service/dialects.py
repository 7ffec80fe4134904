"""Rows of the fake model's schema as the protocols of others write them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
import orjson

from tests.service.fakes import SCHEMA, in_split

DATATYPES = dict(zip(SCHEMA.names, ("FP64", "INT64", "BOOL", "BYTES", "BYTES"), strict=True))
OUTPUTS = (
    "predict",
    "probabilities",
    "local_importance_values",
    "base_values",
    "standard_errors",
    "additivity_gap",
)


def in_lists(rows: list[dict[str, Any]]) -> list[list[Any]]:
    """Rows in the schema's order, without names."""
    return [[row[name] for name in SCHEMA.names] for row in rows]


def in_invocations(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every body that `/invocations` reads."""
    return [
        {"dataframe_split": in_split(rows)},
        {"dataframe_records": rows},
        {"instances": rows},
        {"instances": in_lists(rows)},
        {"inputs": in_lists(rows)},
        {"inputs": {name: [row[name] for row in rows] for name in SCHEMA.names}},
    ]


def in_tensors(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A tensor for each feature."""
    return {
        "inputs": [
            {
                "name": name,
                "shape": [len(rows)],
                "datatype": datatype,
                "data": [row[name] for row in rows],
            }
            for name, datatype in DATATYPES.items()
        ]
    }


def in_bytes(
    tensors: list[tuple[str, str, list[int], bytes]], **more: Any
) -> tuple[bytes, dict[str, str]]:
    """A body of binary tensors, and the header that it needs."""
    inputs = [
        {
            "name": name,
            "shape": shape,
            "datatype": datatype,
            "parameters": {"binary_data_size": len(raw)},
        }
        for name, datatype, shape, raw in tensors
    ]
    text = orjson.dumps({"inputs": inputs, **more})
    headers = {"inference-header-content-length": str(len(text))}
    return b"".join([text, *(raw for *_, raw in tensors)]), headers


def text_bytes(texts: list[str]) -> bytes:
    """Texts as a binary tensor has them."""
    encoded = [text.encode() for text in texts]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


def asked_for(*names: str, **parameters: Any) -> dict[str, Any]:
    """The `outputs` of a request."""
    return {"outputs": [{"name": n, "parameters": parameters} for n in names]}


def tensors_of(answer: httpx.Response) -> dict[str, Any]:
    """The tensors of an answer in JSON, by name."""
    assert answer.status_code == 200, answer.text
    return {output["name"]: array_of(output) for output in answer.json()["outputs"]}


def array_of(output: Mapping[str, Any]) -> Any:
    """One of them as an array."""
    kind = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_}.get(output["datatype"], object)
    return np.array(output["data"], dtype=kind).reshape(output["shape"])
