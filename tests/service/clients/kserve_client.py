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
            "live": await client.is_server_live(url),
            "server_ready": await error_text(client.is_server_ready(url)),
            "ready": await client.is_model_ready(url, "houses"),
            "unknown_ready": await error_text(client.is_model_ready(url, "nobody")),
            "by_url": await client.infer(
                f"{url}/v1/models/houses:predict", body, is_graph_endpoint=True
            ),
            "predicted": await client.infer(url, body, "houses"),
            "objects": await client.infer(url, {"instances": task["rows"]}, "houses"),
            "explained": await client.explain(url, "houses", body),
            "error": await error_text(client.infer(url, wrong, "houses")),
        }


async def in_v2(task: dict[str, Any], *, binary: bool) -> dict[str, Any]:
    """Ask for tensors, all as JSON or all as bytes."""
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        url = task["url"]
        heard: dict[str, str] = {}
        answer = await client.infer(
            url, request_of(task, binary=binary), "houses", response_headers=heard
        )
        gap = await client.infer(url, request_of(task, binary=binary, gap=True), "houses")
        return {
            "live": await client.is_server_live(url),
            "server_ready": await client.is_server_ready(url),
            "ready": await client.is_model_ready(url, "houses"),
            "unknown_ready": await client.is_model_ready(url, "nobody"),
            "outputs": {output.name: output.as_numpy() for output in answer.outputs},
            "with_gap": {output.name: output.as_numpy() for output in gap.outputs},
            "content_type": heard["content-type"],
            "explained": await error_text(client.explain(url, "houses", {})),
            "error": await error_text(client.infer(url, {"inputs": []}, "houses")),
        }


def request_of(task: dict[str, Any], *, binary: bool, gap: bool = False) -> InferRequest:
    """The rows as tensors; with a gap, as single floats of which the first is missing."""
    inputs = []
    kinds = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "BOOL": np.bool_}
    for name, told in task["datatypes"].items():
        datatype = "FP32" if gap and name == task["may_be_missing"] else told
        values: Any = [row[name] for row in task["rows"]]
        if datatype == "FP32":
            values[0] = np.nan
        values = np.array(values, dtype=kinds.get(datatype, np.object_))
        tensor = InferInput(name, [len(values)], datatype, parameters={"content_type": "np"})
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    asked = [RequestedOutput(name, {"binary_data": binary}) for name in OUTPUTS]
    parameters = {"content_type": "pd", "sequence_id": 7}
    return InferRequest("houses", inputs, request_outputs=asked, parameters=parameters)


async def error_text(call: Any) -> str:
    try:
        await call
    except Exception as exc:  # noqa: BLE001 whatever the client raises
        return str(exc) or type(exc).__name__
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
