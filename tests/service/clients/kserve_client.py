"""KServe's own client, in its first and its second protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from speaking import tell

OUTPUTS = ("predict", "probabilities", "local_importance_values", "base_values")


async def in_v1(task: dict[str, Any]) -> dict[str, Any]:
    """Predict and explain rows."""
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        url, body = task["url"], {"instances": [list(row.values()) for row in task["rows"]]}
        wrong: dict[str, Any] = {"instances": [[]]}
        return {
            "ready": await client.is_model_ready(url, "houses"),
            "predicted": await client.infer(url, body, "houses"),
            "objects": await client.infer(url, {"instances": task["rows"]}, "houses"),
            "explained": await client.explain(url, "houses", body),
            "error": await error_text(client.infer(url, wrong, "houses")),
        }


async def in_v2(task: dict[str, Any], *, binary: bool) -> dict[str, Any]:
    """Ask for tensors, all as JSON or all as bytes."""
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        url = task["url"]
        answer = await client.infer(url, request_of(task, binary=binary), "houses")
        return {
            "live": await client.is_server_live(url),
            "server_ready": await client.is_server_ready(url),
            "ready": await client.is_model_ready(url, "houses"),
            "unknown_ready": await client.is_model_ready(url, "nobody"),
            "outputs": {output.name: output.as_numpy() for output in answer.outputs},
            "error": await error_text(client.infer(url, {"inputs": []}, "houses")),
        }


def request_of(task: dict[str, Any], *, binary: bool) -> InferRequest:
    inputs = []
    for name, datatype in task["datatypes"].items():
        kind = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}
        values: Any = np.array([row[name] for row in task["rows"]], dtype=kind[datatype])
        tensor = InferInput(name, [len(values)], datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    asked = [RequestedOutput(name, {"binary_data": binary}) for name in OUTPUTS]
    return InferRequest("houses", inputs, request_outputs=asked)


async def error_text(call: Any) -> str:
    try:
        await call
    except Exception as exc:  # noqa: BLE001 whatever the client raises
        return str(exc)
    return ""


def speak(task: dict[str, Any]) -> dict[str, Any]:
    """Speak both."""
    return {
        "v1": asyncio.run(in_v1(task)),
        "json": asyncio.run(in_v2(task, binary=False)),
        "bytes": asyncio.run(in_v2(task, binary=True)),
    }


if __name__ == "__main__":
    tell(speak)
