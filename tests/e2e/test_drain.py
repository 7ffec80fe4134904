"""Why a server that ends waits as long as it does: what shorter waits lose."""

from __future__ import annotations

import json
import os

import pytest

from tests.e2e.cluster import kubectl, load, pods, say, wait_for_rollout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

RATE = float(os.environ.get("E2E_RATE", "500"))
DELETIONS = int(os.environ.get("E2E_DELETIONS", "3"))
SHIPPED = 10


@pytest.fixture(scope="module")
def ending(cluster):
    """Sets how long a pod waits before SIGTERM (`preStop`), and after it (our drain)."""

    def wait(pre_stop, drain):
        sleep = ["python", "-c", f"import time; time.sleep({pre_stop})"]
        container = {
            "name": "shapserve",
            "env": [{"name": "SHAPSERVE_DRAIN_SECONDS", "value": str(drain)}],
            "lifecycle": {"preStop": {"exec": {"command": sleep}}} if pre_stop else None,
        }
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        kubectl("patch", "deployment/shapserve", "--patch", json.dumps(patch))
        wait_for_rollout()

    yield wait
    wait(0, SHIPPED)


def lost_by_deletions(pre_stop, drain):
    """Delete pods one after another under load; what got no answer, or not the right one."""
    with load(rate=RATE) as under:
        for _ in range(DELETIONS):
            kubectl("delete", pods()[0])
            wait_for_rollout()
    lost = {what: n for what, n in under.told["outcomes"].items() if what != "200"}
    say(f"| {pre_stop} | {drain} | {DELETIONS} | {under.told['requests']} | {lost or 0} |")
    return under.told["failed"]


def test_without_a_wait_requests_are_lost(ending):
    ending(0, 0)
    assert lost_by_deletions(0, 0) > 0


@pytest.mark.parametrize(("pre_stop", "drain"), [(1, 0), (5, 0), (0, 1), (0, 2)])
def test_a_short_wait_is_measured(ending, pre_stop, drain):
    ending(pre_stop, drain)
    lost_by_deletions(pre_stop, drain)


@pytest.mark.parametrize("drain", [5, SHIPPED])
def test_a_long_enough_wait_loses_nothing(ending, drain):
    ending(0, drain)
    assert lost_by_deletions(0, drain) == 0
