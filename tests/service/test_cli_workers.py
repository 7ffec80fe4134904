"""`shapserve serve --workers N`, as operators start, watch and lose it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from tests.service.commands import refused, serving
from tests.service.serving import metric, unexpected

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LONG = 90  # seconds that a busy machine may take for anything


def processes(process):
    parent = psutil.Process(process.pid)
    return [parent, *parent.children()]


def workers(process):
    return {each.pid for each in processes(process)[1:]}


def pss(process):
    """Memory in MiB of a server and its workers; what is shared counts once."""
    told = [Path(f"/proc/{each.pid}/smaps_rollup").read_text() for each in processes(process)]
    found = re.findall(r"^Pss:\s+(\d+) kB", "\n".join(told), re.MULTILINE)
    assert len(found) == len(told)
    return sum(map(int, found)) / 1024


def score(client, sample):
    """Score on a connection of its own, so that any worker may answer."""
    url = f"{client.base_url}/score"
    return httpx.post(url, json=sample, timeout=LONG, trust_env=False)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells the memory")
def test_another_worker_adds_less_than_a_third_of_what_the_first_takes(of_arrays):
    taken = {}
    for n in (1, 2, 3):
        with serving("--artifact", of_arrays, "--workers", n) as (client, process):
            sample = client.get("/schema").json()["sample"]
            assert len(workers(process)) == (n if n > 1 else 0)
            for _ in range(50 * n):
                assert score(client, sample).status_code == 200
            taken[n] = pss(process)
    assert taken[2] - taken[1] < taken[1] / 3, taken
    assert taken[3] - taken[2] < taken[1] / 4, taken


@pytest.mark.parametrize("which", ["onnx", "arrays"])
def test_workers_that_are_killed_under_load_lose_no_request(which, numeric, of_arrays):
    """Every request is answered, or its connection breaks and another one is answered."""
    n, end, broken, wrong = 3, threading.Event(), [], []
    directory = {"onnx": numeric, "arrays": of_arrays}[which]
    with serving("--artifact", directory, "--workers", n) as (client, process):
        sample = client.get("/schema").json()["sample"]
        expected = score(client, sample).json()["local_importance_values"]

        def load():
            answered = 0
            while not end.is_set() or not answered:
                try:
                    answer = score(client, sample)
                except httpx.TimeoutException as exc:
                    wrong.append(repr(exc))
                    return
                except httpx.TransportError as exc:
                    broken.append(exc)
                    continue  # which is to try again
                answered += 1
                if answer.status_code != 200 or not np.allclose(
                    answer.json()["local_importance_values"], expected, rtol=0, atol=1e-9
                ):
                    wrong.append(answer.text)

        threads = [threading.Thread(target=load) for _ in range(6)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(6):
                before = workers(process)
                assert len(before) == n
                os.kill(killed := min(before), signal.SIGKILL)
                deadline = time.monotonic() + LONG
                while len(now := workers(process)) < n or killed in now:
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                time.sleep(0.3)
        finally:
            end.set()
            for thread in threads:
                thread.join()
        assert not wrong
        assert len(broken) <= 6 * len(threads)  # a client has one connection at a time
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=LONG)
        assert process.returncode == 0
        lines = err.splitlines()
        assert len(lines) == 6
        assert all("was ended by SIGKILL; another takes its place" in line for line in lines)


def test_an_artifact_that_is_cut_short_under_a_running_server_changes_nothing(numeric, tmp_path):
    copied = Path(shutil.copytree(numeric, tmp_path / "copied"))
    with serving("--artifact", copied, "--workers", 2) as (client, process):
        sample = client.get("/schema").json()["sample"]
        first = score(client, sample).json()
        for path in copied.rglob("*.*"):
            path.write_bytes(b"")
        before = workers(process)
        for each in before:
            os.kill(each, signal.SIGKILL)
        again = score(client, sample).json()
        assert again["model"] == first["model"]
        assert again["predictions"] == first["predictions"]


def test_metrics_are_kept_where_all_workers_can_reach_them(numeric):
    with serving("--artifact", numeric, "--workers", 2) as (client, process):
        sample = client.get("/schema").json()["sample"]
        assert client.post("/score", json=sample).status_code == 200
        files = {f.path for each in processes(process) for f in each.open_files()}
        [directory] = {Path(f).parent for f in files if f.endswith(".db")}
        assert directory.name.startswith("shapserve-")
        assert metric(client, "shapserve_requests_total") >= 0
        assert unexpected(client) == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=LONG) == 0
        assert not directory.exists()


def test_what_fails_in_a_worker_is_told_in_one_line(numeric):
    """That two models have one name is known when they are built, and these two have sessions."""
    told = refused("serve", "--workers", "2", "--artifact", numeric, "--artifact", numeric)
    assert "NAME=DIR" in told


def test_what_fails_before_is_told_in_one_line(numeric, tmp_path):
    copied = Path(shutil.copytree(numeric, tmp_path / "copied"))
    (copied / "arrays" / "sample.npy").write_bytes(b"")
    assert "sample.npy" in refused("serve", "--workers", "2", "--artifact", copied)
    assert "--workers" in refused("serve", "--workers", "0", "--artifact", numeric)


SHARE = """
import os
import numpy as np
from scoring.forms.onnx import usable_cpus
from service.cli.serve import _share_cpus
from threadpoolctl import threadpool_info
_share_cpus(3)
print(usable_cpus(), {library["num_threads"] for library in threadpool_info()})
"""


@pytest.mark.parametrize(
    ("cpus", "own", "share"),
    [("8", {}, "2 {2}"), ("2", {}, "1 {1}"), ("12", {"OMP_NUM_THREADS": "1"}, "4 {1}")],
)
def test_processors_and_numeric_threads_are_shared(cpus, own, share):
    unset = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    env = {k: v for k, v in os.environ.items() if k not in unset}
    told = subprocess.run(
        [sys.executable, "-c", SHARE],
        env=env | own | {"PYTHON_CPU_COUNT": cpus},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == share
