"""The InferenceServices: pods that Kubernetes takes, settings that the server knows."""

import os
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from service.settings import ENV_PREFIX, Settings
from tests.deploy import test_pod_security
from tests.deploy.rendering import DEPLOY

KSERVES = {"minReplicas", "maxReplicas"}  # the fields of ours that are no pod's
PARTS = ["predictor", "explainer"]
SHAPSERVE = Path(sys.executable).parent / "shapserve"


def service(part):
    return yaml.safe_load((DEPLOY / "kserve" / f"{part}.yaml").read_text("utf-8"))


def pod_of(part):
    spec = {key: value for key, value in service(part)["spec"][part].items() if key not in KSERVES}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": part}, "spec": spec}


@pytest.mark.parametrize("part", PARTS)
def test_the_pod_is_one(part):
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(pod_of(part), version, strict=True)


@pytest.mark.parametrize("part", PARTS)
def test_the_pod_is_restricted(part):
    pod = pod_of(part)
    broken = [rule for rule, holds in test_pod_security.RULES.items() if not all(holds(pod))]
    assert broken == []


@pytest.mark.parametrize("part", PARTS)
def test_kserve_finds_the_container_its_port_and_the_model(part):
    [container] = pod_of(part)["spec"]["containers"]
    told = {variable["name"]: variable["value"] for variable in container["env"]}
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert container["name"] == "kserve-container"
    assert {port["containerPort"] for port in container["ports"]} == {int(told["SHAPSERVE_PORT"])}
    probed = {container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("readiness", "liveness")}
    assert probed == {int(told["SHAPSERVE_PORT"])}
    assert told["SHAPSERVE_ARTIFACT"].startswith(service(part)["metadata"]["name"] + "=/")
    assert {name for name in told if name.startswith(ENV_PREFIX)} <= known


def refusal(*command):
    """What the server says to whom it misses an artifact."""
    env = {"PATH": f"{SHAPSERVE.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode
    return done.stderr


def test_what_kserve_appends_does_not_reach_the_server():
    appended = [
        "--model_name",
        "credit",
        "--predictor_host",
        "credit-predictor.ns",
        "--http_port",
        "8080",
    ]
    [container] = pod_of("explainer")["spec"]["containers"]
    assert "SHAPSERVE_ARTIFACT must name" in refusal(*container["command"], *appended)
    assert "No such option" in refusal("shapserve", "serve", *appended)
