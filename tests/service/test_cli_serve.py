"""`shapserve serve` as operators start and stop it."""

import json
import shutil
import signal
import socket
import time

import numpy as np
import psutil
import pytest

from scoring import artifact
from tests.service.commands import command, refused, serving
from tests.service.serving import is_error, unexpected

pytestmark = pytest.mark.slow

OFFLINE = {"shap", "pandas", "sklearn", "scipy", "skops", "joblib", "numba", "pyarrow"}


def test_serve_answers_as_the_library_does_and_ends_on_sigterm(files, answer):
    body = (files / "rows.json").read_bytes()
    with serving("--artifact", files / "artifact", "--drain-seconds", "0") as (client, process):
        reply = client.post("/score", content=body, headers={"content-type": "application/json"})
        scored = reply.json()
        assert scored["predictions"] == answer.predictions.tolist()
        assert scored["model"]["artifact_sha256"] == artifact.artifact_sha256(files / "artifact")
        np.testing.assert_allclose(
            scored["local_importance_values"], answer.explanation.layout(), atol=1e-9
        )
        sample = client.get("/schema").json()["sample"]
        assert client.post("/score", json=sample).status_code == 200
        assert unexpected(client) == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0


def test_rows_of_a_real_model_are_refused_where_it_would_refuse_them(files):
    rows = json.loads((files / "rows.json").read_text())
    row = {name: column["250"] for name, column in rows.items()}
    with serving("--artifact", files / "artifact") as (client, _):
        unseen = client.post("/score", json=[row | {"region": "zq-mars"}])
        assert unseen.status_code == 200, unseen.text
        assert [w["column"] for w in unseen.json()["warnings"]] == ["region"]
        assert "zq" not in unseen.text
        missing = client.post("/score", json=[row | {"balance": None, "plan": None}])
        assert missing.status_code == 200, missing.text
        error = is_error(
            client.post("/score", json=[row | {"age": None}]), 422, "schema_violations"
        )
        assert error["violations"][0]["column"] == "age"
        assert unexpected(client) == 0


def test_a_server_of_an_onnx_artifact_is_light_and_quick(numeric):
    """The figures of the bench are tighter; here a busy machine must not fail the test."""
    began = time.monotonic()
    with serving("--artifact", numeric) as (client, process):
        seconds = time.monotonic() - began
        mib = psutil.Process(process.pid).memory_info().rss / 2**20
        sample = client.get("/schema").json()["sample"]
        assert client.post("/score", json=sample).json()["predictions"][0] in {0, 1, 2}
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    loaded = {name.partition(".")[0] for name in out.split()}
    assert {"onnxruntime", "fastapi"} <= loaded
    assert not loaded & OFFLINE
    assert mib < 200
    assert seconds < 10


def test_several_models_with_their_pins(files, numeric):
    pins = [artifact.artifact_sha256(path) for path in (numeric, files / "artifact")]
    variables = {
        "SHAPSERVE_ARTIFACT": f"iris={numeric} b={files / 'artifact'}",
        "SHAPSERVE_EXPECT_SHA256": f"iris={pins[0]},b={pins[1]}",
        "SHAPSERVE_PORT": "tcp://10.0.0.1:80",
    }
    with serving(**variables) as (client, _):
        assert client.get("/health/ready").json()["models"] == ["iris", "b"]
        for path in ("", "/models/iris", "/models/b"):
            document = client.get(f"{path}/schema").json()
            assert client.post(f"{path}/score", json=document["sample"]).status_code == 200
        assert client.get("/models/b/schema").json()["model"]["artifact_sha256"] == pins[1]


def test_the_service_link_of_kubernetes_is_told_and_passed_over(numeric):
    """The default port takes its place, whether somebody else has that one or not."""
    link = {"SHAPSERVE_PORT": "tcp://10.96.0.7:80", "SHAPSERVE_SERVICE_HOST": "10.96.0.7"}
    with command("serve", "--artifact", numeric, **link) as process:
        told = [process.stderr.readline(), process.stderr.readline()]
        process.terminate()
        process.communicate(timeout=15)
    assert "SHAPSERVE_PORT is a Kubernetes service link; using port 8000" in told[0]
    assert "ready on http://127.0.0.1:8000" in told[1] or "port 8000: Address already" in told[1]


def test_a_request_under_way_is_finished_before_the_server_ends(numeric):
    with serving("--artifact", numeric) as (client, process):
        sample = client.get("/schema").json()["sample"]
        rows = {name: [column["0"]] * 5000 for name, column in sample.items()}
        body = json.dumps(rows).encode()
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address, timeout=30) as connection:
            head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(f"POST /score HTTP/1.1\r\nHost: x\r\n{head}".encode() + body[:-1])
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(body[-1:])
            answered = connection.makefile("rb").read()
        assert answered.startswith(b"HTTP/1.1 200 ")
        assert process.wait(timeout=15) == 0


def test_ctrl_c_ends_the_server_quietly(numeric):
    with serving("--artifact", numeric) as (_, process):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=15)
        assert process.returncode == 0
        assert err == ""


def test_no_artifact():
    assert "SHAPSERVE_ARTIFACT" in refused("serve")
    assert "there is no artifact here" in refused("serve", "--artifact", "nowhere")
    assert "there is no artifact here" in refused("inspect", "nowhere")


def test_a_broken_artifact(numeric, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(numeric, broken)
    model = broken / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    for arguments in (["serve", "--artifact", broken], ["inspect", broken]):
        assert "model.onnx" in refused(*arguments)


def test_a_directory_that_may_not_be_read(numeric, tmp_path):
    (tmp_path / "manifest.json").mkdir()
    assert "manifest.json" in refused("serve", "--artifact", tmp_path)


def test_the_wrong_digest(numeric):
    told = refused("serve", "--artifact", numeric, SHAPSERVE_EXPECT_SHA256="ab" * 32)
    assert "another was pinned" in told


def test_two_models_of_one_name(numeric):
    told = refused("serve", "--artifact", numeric, "--artifact", numeric)
    assert "NAME=DIR" in told


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken(numeric, host):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refused("serve", "--artifact", numeric, "--host", host, "--port", port)
    assert f"cannot listen on {host} port {port}" in told


def test_a_host_that_is_not_there(numeric):
    told = refused("serve", "--artifact", numeric, "--host", "no-such-host.invalid")
    assert "cannot listen on no-such-host.invalid" in told
