"""Updates and failures under load, through the Service of a real cluster: `make e2e`."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager

import pytest

from scoring import artifact_sha256
from tests.e2e.cluster import (
    PODS,
    ROOT,
    begin_rollout,
    kubectl,
    load,
    pods,
    say,
    service_url,
    wait_for_rollout,
    wait_for_the_end_of_others,
)
from tests.e2e.images import BROKEN

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.usefixtures("version_1")]

RATE = float(os.environ.get("E2E_RATE", "500"))  # requests a second
REQUESTS = 10_000
SECONDS = 20
QUIET = 3  # seconds before something happens, and after


@contextmanager
def loaded():
    """Load before, during and after the block."""
    with load(rate=RATE, requests=REQUESTS) as under:
        time.sleep(QUIET)
        yield under
        time.sleep(QUIET)
        under.last(SECONDS)


def test_the_service_answers_as_it_should():
    with (ROOT / "deploy" / "smoke.sh").open() as script:
        say(kubectl("exec", "--stdin", "client", "--", "sh", "-s", service_url(), stdin=script))


def test_a_new_version_loses_no_request(image, artifacts):
    with loaded() as under:
        begin_rollout(image["2"])
        wait_for_rollout()
        wait_for_the_end_of_others()
        switched = under.seconds()
    versions = under.told["versions"]
    assert under.told["failed"] == 0
    assert under.told["requests"] >= REQUESTS
    assert versions.keys() == {artifact_sha256(artifacts["1"]), artifact_sha256(artifacts["2"])}
    assert versions[artifact_sha256(artifacts["1"])]["last"] < switched


def test_a_deleted_pod_loses_no_request():
    with loaded() as under:
        kubectl("delete", pods()[0])
        wait_for_rollout()
    assert under.told["failed"] == 0
    assert under.told["requests"] >= REQUESTS


def test_a_killed_pod_costs_connections_only():
    with loaded() as under:
        kubectl("delete", pods()[0], "--grace-period=0", "--force")
        wait_for_rollout()
        whole = under.seconds()
    answered = [outcome for outcome in under.told["outcomes"] if outcome.isdigit()]
    say(f"all replicas are back {whole - QUIET:.1f} s after the deletion")
    assert answered == ["200"]
    assert not under.told["failed_at"] or under.told["failed_at"][-1] < whole


def test_a_broken_artifact_stops_the_rollout_and_is_rolled_back(image, artifacts):
    with loaded() as under:
        begin_rollout(image[BROKEN])
        with pytest.raises(subprocess.CalledProcessError):
            kubectl("rollout", "status", "deployment/shapserve", "--timeout=20s")
        said = kubectl("logs", "--selector", PODS, "--tail=1")
        kubectl("rollout", "undo", "deployment/shapserve")
        wait_for_rollout()
        wait_for_the_end_of_others()
    say(said)
    assert "its SHA-256 is not the manifest's" in said
    assert under.told["failed"] == 0
    assert under.told["versions"].keys() == {artifact_sha256(artifacts["1"])}
