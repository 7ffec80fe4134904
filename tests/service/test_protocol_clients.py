"""The protocols spoken by the clients that their own projects publish, over real HTTP.

The clients live in an environment of their own (`make clients`), because they bring half a
gigabyte of packages, some of them in other versions than ours.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.service.dialects import DATATYPES, OUTPUTS
from tests.service.fakes import ROWS, SCHEMA, fake_scorer, tiny_scorer
from tests.service.serving import served, unexpected

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-clients/bin/python"
CLIENTS = Path(__file__).parent / "clients"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON.exists(), reason=f"no clients to speak with: `make clients` makes {PYTHON}"
    ),
]
WHOLE = [ROWS[0], ROWS[2]]  # neither numpy's integers nor binary texts can say that one is missing


@pytest.fixture(scope="module")
def servers():
    scorers = {"houses": fake_scorer(), "tiny": tiny_scorer()}
    with served(scorers) as client, served({"tiny": tiny_scorer()}) as tiny:
        yield client, tiny
        assert unexpected(client) == unexpected(tiny) == 0


def speak(script, servers, rows):
    """Run a client's script in its own environment; return what it heard."""
    client, tiny = servers
    task = {
        "url": str(client.base_url),
        "host": client.base_url.host,
        "port": client.base_url.port,
        "tiny_port": tiny.base_url.port,
        "rows": rows,
        "datatypes": DATATYPES,
        "may_be_missing": "rooms",
        "outputs": OUTPUTS,
    }
    run = subprocess.run(
        [PYTHON, CLIENTS / script],
        input=json.dumps(task),
        env=os.environ | {"NO_PROXY": "*", "no_proxy": "*", "PYTHONPATH": str(CLIENTS)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def scored_of(servers, rows):
    return servers[0].post("/score", json=rows).json()


def same_tensors(heard, scored):
    assert heard["predict"] == scored["predictions"]
    assert heard["probabilities"] == scored["probabilities"]
    values = np.array(heard["local_importance_values"])
    assert values.transpose(2, 0, 1).tolist() == scored["local_importance_values"]
    assert heard["base_values"] == scored["base_values"]


def test_mlflow(servers):
    heard, scored = speak("mlflow_client.py", servers, ROWS), scored_of(servers, ROWS)
    predictions = {"predictions": scored["predictions"]}
    assert heard["frame"] == heard["list"] == heard["by_hand"] == predictions
    assert heard["as_frame"] == {"0": scored["predictions"]}
    assert heard["explained"] == scored
    assert heard["array"] == {"predictions": [1, 1]}
    assert heard["version"] == servers[0].get("/version").text
    assert "error code 422" in heard["error"]
    assert "INVALID_PARAMETER_VALUE" in heard["error"]


def test_kserve(servers):
    heard, scored = speak("kserve_client.py", servers, WHOLE), scored_of(servers, WHOLE)
    v1 = heard["v1"]
    assert v1["live"] is v1["ready"] is True
    assert v1["server_ready"].startswith("Unsupported protocol")  # says the client itself
    assert "404" in v1["unknown_ready"]
    assert (
        v1["predicted"] == v1["by_url"] == v1["objects"] == {"predictions": scored["predictions"]}
    )
    assert v1["explained"] == {"explanations": scored}
    assert "422" in v1["error"]
    assert "must be a list of 5 values" in v1["error"]
    gap = scored_of(servers, [WHOLE[0] | {"rooms": None}, WHOLE[1]])
    kinds = {"json": "application/json", "bytes": "application/octet-stream"}
    for how, kind in kinds.items():
        v2 = heard[how]
        assert v2["content_type"] == kind
        same_tensors(v2["with_gap"], gap)
        assert v2["explained"].startswith("Unsupported protocol")
        assert (v2["live"], v2["server_ready"], v2["ready"]) == (True, True, True)
        assert v2["unknown_ready"] is False
        same_tensors(v2["outputs"], scored)
        assert "inputs must be a list of tensors" in v2["error"]


def test_triton(servers):
    heard, scored = speak("triton_client.py", servers, WHOLE), scored_of(servers, WHOLE)
    assert (heard["live"], heard["server_ready"], heard["ready"]) == (True, True, True)
    assert heard["other_version_ready"] is False
    assert heard["server"]["extensions"] == ["binary_tensor_data"]
    assert [tensor["name"] for tensor in heard["model"]["inputs"]] == list(SCHEMA.names)
    for answer in (heard["json"], heard["bytes"]):
        assert answer["id"] == "7"
        assert json.loads(answer["features"]) == list(SCHEMA.names)
        same_tensors(answer["outputs"], scored)
        assert answer["outputs"]["additivity_gap"] == scored["additivity_gap"]
    assert heard["model_of_version"] == heard["model"]
    assert [(model["name"], model["state"]) for model in heard["index"]] == [
        ("houses", "READY"),
        ("tiny", "READY"),
    ]
    assert len(heard["refusals"]) == 23
    for call, said in heard["refusals"].items():
        assert said.startswith("[501] "), call
    gap = scored_of(servers, [WHOLE[0] | {"rooms": None}, WHOLE[1]])["probabilities"]
    assert gap != scored["probabilities"]
    assert heard["json_with_gap"] == heard["bytes_with_gap"] == gap
    for ways in ("default", "options", "sequence", "gzip", "later", "by_hand"):
        assert heard[ways] == scored["predictions"], ways
    assert heard["deflate"].startswith("[415] Send the body uncompressed, or with")
    assert heard["one_tensor"] == [1, 1]
    assert heard["wrong_rows"].startswith("[422] The rows do not fit the schema")
    assert heard["wrong_rows"].endswith("First of 1: column plan: is missing.")
    assert heard["wrong_output"].startswith("[422] outputs must be")
    assert heard["wrong_memory"].startswith("[422] ")
    assert "shared memory is not read" in heard["wrong_memory"]
    assert heard["wrong_classes"].startswith("[422] Outputs come as tensors")
    assert heard["wrong_model"].startswith("[404] No model of that name")
