"""Triton's own HTTP client; it sends and asks for bytes unless it is told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np
from speaking import error_of, tell
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

KINDS = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "BOOL": np.bool_}
SETTINGS = {"log_verbose_level": 1}


def inputs_of(task: dict[str, Any], *, binary: bool, gap: bool = False) -> list[InferInput]:
    """The rows as tensors; with a gap, as single floats of which the first is missing."""
    inputs = []
    for name, told in task["datatypes"].items():
        datatype = "FP32" if gap and name == task["may_be_missing"] else told
        values: Any = [row[name] for row in task["rows"]]
        if datatype == "FP32":
            values[0] = np.nan
        values = np.array(values, dtype=KINDS.get(datatype, np.object_))
        tensor = InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    return inputs


def ask(client: InferenceServerClient, task: dict[str, Any], *, binary: bool) -> dict[str, Any]:
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in task["outputs"]]
    inputs = inputs_of(task, binary=binary)
    answer = client.infer("houses", inputs, outputs=outputs, request_id="7", model_version="7")
    values = answer.get_output("local_importance_values")["parameters"]
    return {
        "id": answer.get_response()["id"],
        "features": values["features"],
        "outputs": {name: answer.as_numpy(name) for name in task["outputs"]},
    }


def one_tensor(client: InferenceServerClient) -> Any:
    numbers = np.array([[0.5], [1.5]])
    tensor = InferInput("rows", [2, 1], "FP64")
    tensor.set_data_from_numpy(numbers)
    return client.infer("tiny", [tensor]).as_numpy("predict")


def compressed(client: InferenceServerClient, task: dict[str, Any], algorithm: str) -> Any:
    return client.infer(
        "houses",
        inputs_of(task, binary=True),
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    ).as_numpy("predict")


def with_gap(client: InferenceServerClient, task: dict[str, Any], *, binary: bool) -> Any:
    outputs = [InferRequestedOutput("probabilities", binary_data=binary)]
    inputs = inputs_of(task, binary=binary, gap=True)
    return client.infer("houses", inputs, outputs=outputs).as_numpy("probabilities")


def by_hand(client: InferenceServerClient, task: dict[str, Any]) -> Any:
    """The body written and the answer read by what the client has for other transports."""
    body, length = client.generate_request_body(inputs_of(task, binary=True))
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(length),
    }
    request = Request(f"{task['url']}/v2/models/houses/infer", body, headers)  # noqa: S310 ours
    with build_opener(ProxyHandler({})).open(request) as answer:
        length = int(answer.headers["Inference-Header-Content-Length"])
        return client.parse_response_body(answer.read(), header_length=length).as_numpy("predict")


def shared_input() -> InferInput:
    tensor = InferInput("age", [2], "FP64")
    tensor.set_shared_memory("region", 16)
    return tensor


def refusals(client: InferenceServerClient) -> dict[str, str]:
    """What a call says that is not answered here, for each of them."""
    calls: dict[str, Callable[[], object]] = {
        "config": lambda: client.get_model_config("houses"),
        "config_of_version": lambda: client.get_model_config("houses", "7"),
        "statistics": client.get_inference_statistics,
        "statistics_of_model": lambda: client.get_inference_statistics("houses"),
        "statistics_of_version": lambda: client.get_inference_statistics("houses", "7"),
        "load": lambda: client.load_model("houses"),
        "unload": lambda: client.unload_model("houses", unload_dependents=True),
        "trace": client.get_trace_settings,
        "trace_of_model": lambda: client.get_trace_settings("houses"),
        "set_trace": lambda: client.update_trace_settings(settings={"trace_rate": "1"}),
        "set_trace_of_model": lambda: client.update_trace_settings("houses", {"trace_rate": "1"}),
        "log": client.get_log_settings,
        "set_log": lambda: client.update_log_settings(SETTINGS),
        "memory": client.get_system_shared_memory_status,
        "memory_region": lambda: client.get_system_shared_memory_status("region"),
        "register": lambda: client.register_system_shared_memory("region", "/key", 16),
        "unregister": client.unregister_system_shared_memory,
        "unregister_region": lambda: client.unregister_system_shared_memory("region"),
        "cuda_memory": client.get_cuda_shared_memory_status,
        "cuda_memory_region": lambda: client.get_cuda_shared_memory_status("region"),
        "cuda_register": lambda: client.register_cuda_shared_memory("region", b"handle", 0, 16),
        "cuda_unregister": client.unregister_cuda_shared_memory,
        "cuda_unregister_region": lambda: client.unregister_cuda_shared_memory("region"),
    }
    return {name: error_of(call) for name, call in calls.items()}


def speak(task: dict[str, Any]) -> dict[str, Any]:
    """Make every call of the client, those to infer in all ways, and ask for what there is not."""
    client = InferenceServerClient(f"{task['host']}:{task['port']}", network_timeout=60.0)
    inputs = inputs_of(task, binary=True)
    unknown, classes = [InferRequestedOutput("nothing")], [InferRequestedOutput("predict", True, 2)]
    heard = {
        "live": client.is_server_live(),
        "server_ready": client.is_server_ready(),
        "ready": client.is_model_ready("houses", "7"),
        "other_version_ready": client.is_model_ready("houses", "8"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata("houses"),
        "model_of_version": client.get_model_metadata("houses", "7"),
        "index": client.get_model_repository_index(),
        "refusals": refusals(client),
        "json": ask(client, task, binary=False),
        "bytes": ask(client, task, binary=True),
        "json_with_gap": with_gap(client, task, binary=False),
        "bytes_with_gap": with_gap(client, task, binary=True),
        "gzip": compressed(client, task, "gzip"),
        "deflate": error_of(lambda: compressed(client, task, "deflate")),
        "later": client.async_infer("houses", inputs).get_result().as_numpy("predict"),
        "by_hand": by_hand(client, task),
        "default": client.infer("houses", inputs).as_numpy("predict"),
        "sequence": client.infer(
            "houses", inputs, sequence_id=7, sequence_start=True, priority=1, timeout=9
        ).as_numpy("predict"),
        "options": client.infer(
            "houses", inputs, parameters={"deadline_ms": 50.5, "content_type": "pd"}
        ).as_numpy("predict"),
        "one_tensor": one_tensor(client),
        "wrong_rows": error_of(lambda: client.infer("houses", inputs[:-1])),
        "wrong_output": error_of(lambda: client.infer("houses", inputs, outputs=unknown)),
        "wrong_model": error_of(lambda: client.infer("nobody", inputs)),
        "wrong_memory": error_of(lambda: client.infer("houses", [shared_input(), *inputs[1:]])),
        "wrong_classes": error_of(lambda: client.infer("houses", inputs, outputs=classes)),
    }
    client.close()
    return heard


if __name__ == "__main__":
    tell(speak)
