"""rollout.sh, remove.sh and play.sh, with stand-ins for a cluster and for podman."""

import os
import shlex
import subprocess

import pytest
import yaml

from tests.deploy.rendering import DEPLOY, one

# Renders as the real one does; of the rest it notes what it was asked, and keeps what it was given.
KUBECTL = """#!/bin/sh
[ "$1" = kustomize ] && exec {real} "$@"
echo "$*" >>{directory}/asked
case "$*" in
  *"apply -f -") cat >{directory}/applied ;;
  *"rollout status"*) exit {rollout} ;;
  *"get deployment"*) echo registry.example/credit@sha256:1234 ;;
  *"get job"*) echo {job} ;;
  *"get pods -o name"*) echo pod/shapserve-1 ;;
  *"logs pod/"*) echo "cannot read /artifact" ;;
esac
"""

PODMAN = """#!/bin/sh
echo "$*" >>{directory}/asked
case "$*" in
  "image exists"*) exit {missing} ;;
  "kube play"*) cp "$4" {directory}/applied ;;
esac
"""


@pytest.fixture
def run(tmp_path):
    """Run one of the scripts; returns what it said, and what was asked of the stand-in."""

    def run(script, *arguments, **facts):
        real = os.environ.get("KUBECTL", "kubectl")
        facts = {"rollout": 0, "job": "Complete", "missing": 0} | facts
        for name, text in (("kubectl", KUBECTL), ("podman", PODMAN)):
            file = tmp_path / name
            file.write_text(text.format(real=real, directory=shlex.quote(str(tmp_path)), **facts))
            file.chmod(0o755)
        tools = {"KUBECTL": str(tmp_path / "kubectl"), "PODMAN": str(tmp_path / "podman")}
        done = subprocess.run(
            ["sh", DEPLOY / script, *arguments],
            env=os.environ | tools | {"PORT": "1", "SECONDS_TO_WAIT": "1"},  # nobody answers there
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        asked = tmp_path / "asked"
        return done, asked.read_text().splitlines() if asked.exists() else []

    return run


def test_a_rollout_is_checked_with_its_own_image_in_its_own_namespace(run, tmp_path):
    done, asked = run("rollout.sh", "local")
    assert done.returncode == 0, done.stderr
    applied = list(yaml.safe_load_all((tmp_path / "applied").read_text()))
    [container] = one(applied, "Job")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/credit@sha256:1234"
    assert {each["metadata"]["namespace"] for each in applied} == {"shapserve"}
    assert asked[0].startswith("apply -k ")
    assert asked[-2:] == [
        "--namespace shapserve logs job/shapserve-smoke",
        "--namespace shapserve delete job shapserve-smoke",
    ]


def test_a_rollout_that_gets_nowhere_says_why_and_how_to_go_back(run):
    done, asked = run("rollout.sh", "local", rollout=1)
    assert done.returncode == 1
    assert "cannot read /artifact" in done.stderr
    assert "rollout undo deployment/shapserve" in done.stderr.splitlines()[-1]
    assert not any("job" in line for line in asked)


def test_a_check_that_fails_fails_the_rollout(run):
    done, asked = run("rollout.sh", "local", job="Failed")
    assert done.returncode == 1
    assert done.stderr.endswith("rollout.sh: the check failed\n")
    assert not asked[-1].endswith("delete job shapserve-smoke")  # it can be looked at


def test_what_was_put_there_is_taken_away_and_nothing_else(run):
    done, asked = run("remove.sh", "local")
    assert done.returncode == 0, done.stderr
    ours = "--selector app.kubernetes.io/name in (shapserve, shapserve-smoke)"
    assert len(asked) == 2
    assert all(line.count(ours) == 1 for line in asked)
    assert "--cascade=foreground" in asked[0]  # until the pods are gone too


@pytest.mark.parametrize("script", ["rollout.sh", "remove.sh"])
def test_an_overlay_must_be_named(run, script):
    done, asked = run(script)
    assert done.returncode
    assert "OVERLAY" in done.stderr
    assert asked == []


def test_without_its_image_nothing_is_played(run):
    done, asked = run("play.sh", missing=1)
    assert done.returncode == 1
    assert "there is no image localhost/breast-cancer:1" in done.stderr
    assert asked == ["image exists localhost/breast-cancer:1"]


def test_podman_gets_one_replica_on_a_port_of_this_machine_alone(run, tmp_path):
    done, _ = run("play.sh")
    assert done.returncode == 1
    assert "no answer from http://127.0.0.1:1" in done.stderr
    played = list(yaml.safe_load_all((tmp_path / "applied").read_text()))
    deployment = one(played, "Deployment")["spec"]
    assert deployment["replicas"] == 1
    [container] = deployment["template"]["spec"]["containers"]
    [port] = container["ports"]
    assert port == {"name": "http", "containerPort": 8000, "hostPort": 1, "hostIP": "127.0.0.1"}
