"""Who answers: this project's server, the limit, and what a user would pick instead."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import environments
from benchmarks.machine import ONE_THREAD

ROOT = environments.ROOT
PATIENCE = 180  # seconds until a server is ready; some fit a model first
MODEL_SETTINGS = """\
{"name": "model", "implementation": "benchmarks.load.peers.mlserver_shap.Explained"}
"""
SERVER_SETTINGS = (
    '{{"http_port": {port}, "grpc_port": 0, "metrics_port": 0, "parallel_workers": 0}}'
)


@dataclass(frozen=True)
class Server:
    """A process that answers; `url` takes the bodies."""

    url: str
    process: psutil.Process

    @property
    def mebibytes(self):
        """Resident, with its children."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(each.memory_info().rss for each in every) / 2**20


@contextmanager
def shapserve(artifact, *options):
    """This project's, with what it ships."""
    port = _free_port()
    command = [
        sys.executable, "-m", "shapserve", "serve", "--artifact", str(artifact),
        "--port", str(port), *options,
    ]  # fmt: skip
    with _started(command, port, "/score", "/health/ready") as server:
        yield server


@contextmanager
def echo(parser):
    """A bare endpoint, under one of uvicorn's parsers: httptools, as ours, or h11."""
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.load.echo", str(port), parser]
    with _started(command, port, "/score", "/health/ready") as server:
        yield server


@contextmanager
def guide(job):
    """The guide's `score.py` under the server that the guide deploys it with."""
    python, port = environments.python_of("azure_server"), _free_port()
    script = ROOT / "benchmarks" / "load" / "peers" / "guide_score.py"
    command = [
        str(python.parent / "azmlinfsrv"), "--entry_script", str(script), "--port", str(port),
    ]  # fmt: skip
    with _started(command, port, "/score", "/", BENCH_JOB=str(job)) as server:
        yield server


@contextmanager
def mlserver(job):
    """MLServer with a small runtime."""
    python, port = environments.python_of("mlserver"), _free_port()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "model-settings.json").write_text(MODEL_SETTINGS)
        Path(directory, "settings.json").write_text(SERVER_SETTINGS.format(port=port))
        command = [str(python.parent / "mlserver"), "start", directory]
        ready, path = "/v2/models/model/ready", "/v2/models/model/infer"
        with _started(command, port, path, ready, BENCH_JOB=str(job)) as server:
            yield server


@contextmanager
def _started(command, port, path, ready, **told):
    environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    environment |= {"PYTHONPATH": str(ROOT), **told}
    with tempfile.TemporaryFile() as log, subprocess.Popen(  # noqa: S603 commands of this file
        command, cwd=ROOT, env=environment, stdout=log, stderr=log, preexec_fn=_last_cpu,  # noqa: PLW1509 no threads
    ) as child:  # fmt: skip
        try:
            base = f"http://127.0.0.1:{port}"
            if not _answers(child, base + ready):
                log.seek(0)
                raise RuntimeError(f"{command[0]} is not ready:\n{log.read().decode()[-4000:]}")
            yield Server(base + path, psutil.Process(child.pid))
        finally:
            family = [child, *psutil.Process(child.pid).children(recursive=True)]
            for each in family:
                each.terminate()
            child.wait(60)


def _answers(child, url):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 our own address
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _last_cpu():
    """The generator has the others."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
