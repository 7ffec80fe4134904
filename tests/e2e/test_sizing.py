"""What a processor answers, by way of explaining, and how replicas add up."""

from __future__ import annotations

import os
import time

import pytest

from benchmarks.load.ways import WAYS
from tests.e2e.cluster import (
    begin_rollout,
    kubectl,
    load,
    pods,
    say,
    wait_for_rollout,
    wait_for_the_end_of_others,
)
from tests.e2e.images import build

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

SECONDS = float(os.environ.get("E2E_SIZING_SECONDS", "15"))
CLIENTS = 16
SIZES = ((1, "1"), (1, "500m"), (2, "500m"))  # replicas, and the CPU limit of each


@pytest.fixture(scope="module")
def sized(cluster):
    """The Deployment, brought to a size; afterwards it is as it was."""

    def bring(replicas, cpu):
        limits = f"--limits=cpu={cpu}"  # the memory that the base allows stays
        kubectl("set", "resources", "deployment/shapserve", limits, "--requests=cpu=100m")
        kubectl("scale", "deployment/shapserve", f"--replicas={replicas}")
        wait_for_rollout()

    yield bring
    bring(2, "1")


def cpu_seconds():
    """Processor time that the servers have taken so far, all together."""
    script = (
        "import re, urllib.request as r; told = r.urlopen('http://127.0.0.1:8000/metrics').read();"
        "print(float(re.search(rb'^process_cpu_seconds_total (.*)$', told, re.M)[1]))"
    )
    return sum(float(kubectl("exec", pod, "--", "python", "-c", script)) for pod in pods())


def measure(**how):
    """Load of one kind; requests a second, processor milliseconds for each, and latencies."""
    before = cpu_seconds()
    with load(**how) as under:
        time.sleep(SECONDS)
    told = under.told
    assert told["failed"] == 0
    each = 1000 * (cpu_seconds() - before) / told["requests"]
    return told["requests"] / told["seconds"], each, told["ms"]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_sizes_answer_everything(way, cluster, sized, tmp_path):
    image = build(way.save(tmp_path / way.name), way.name)
    begin_rollout(image)
    for replicas, cpu in SIZES:
        sized(replicas, cpu)
        wait_for_the_end_of_others()
        measure(clients=2)  # warm
        most, each, at_most = measure(clients=CLIENTS)
        _, _, at_half = measure(rate=most / 2)
        say(
            f"| {way.name} | {replicas} × {cpu} | {most:.0f} | {each:.2f} "
            f"| {at_most['p50']} | {at_most['p99']} | {at_half['p50']} | {at_half['p99']} |"
        )
