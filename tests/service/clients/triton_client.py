"""Triton's own HTTP client; it sends and asks for bytes unless it is told otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
from speaking import error_of, tell
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

KINDS = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}


def inputs_of(task: dict[str, Any], *, binary: bool) -> list[InferInput]:
    inputs = []
    for name, datatype in task["datatypes"].items():
        values: Any = np.array([row[name] for row in task["rows"]], dtype=KINDS[datatype])
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


def speak(task: dict[str, Any]) -> dict[str, Any]:
    """Ask for everything in both ways, and for what there is not."""
    client = InferenceServerClient(f"{task['host']}:{task['port']}", network_timeout=60.0)
    inputs = inputs_of(task, binary=True)
    unknown = [InferRequestedOutput("nothing")]
    return {
        "live": client.is_server_live(),
        "server_ready": client.is_server_ready(),
        "ready": client.is_model_ready("houses", "7"),
        "other_version_ready": client.is_model_ready("houses", "8"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata("houses"),
        "json": ask(client, task, binary=False),
        "bytes": ask(client, task, binary=True),
        "default": client.infer("houses", inputs).as_numpy("predict"),
        "options": client.infer("houses", inputs, parameters={"deadline_ms": 50.5}).as_numpy(
            "predict"
        ),
        "one_tensor": one_tensor(client),
        "wrong_rows": error_of(lambda: client.infer("houses", inputs[:-1])),
        "wrong_output": error_of(lambda: client.infer("houses", inputs, outputs=unknown)),
        "wrong_model": error_of(lambda: client.infer("nobody", inputs)),
    }


if __name__ == "__main__":
    tell(speak)
