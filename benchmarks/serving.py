"""What the server adds: time on top of the library, time to start, memory, imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import numpy as np
import psutil
from tqdm import tqdm

from benchmarks.machine import ONE_THREAD

ROOT = Path(__file__).parents[1]
NOT_SERVED = ("joblib", "pandas", "scipy", "shap", "sklearn", "skops")
WARM_UP = 50

SERVE = ("-m", "shapserve")
TELL = "import atexit, sys; atexit.register(lambda: print(*sys.modules))"
SERVE_AND_TELL = ("-c", f"{TELL}; from service.cli import main; main()")
"""The same, and it prints the names of all modules when it is stopped."""


@dataclass(frozen=True)
class Overhead:
    """Milliseconds of one-row requests, in turn over HTTP and as a library call."""

    http: list[float]
    library: list[float]

    @property
    def added(self):
        """What HTTP added, exchange by exchange."""
        return np.subtract(self.http, self.library)

    def percentiles(self):
        """A thousand exchanges in a few figures."""
        figures = {"http": self.http, "library": self.library, "added": self.added}
        told = [5, 25, 50, 75, 95]
        return {
            name: dict(zip(map(str, told), np.percentile(some, told).tolist(), strict=True))
            for name, some in figures.items()
        }


@dataclass(frozen=True)
class Process:
    """The server's process for an artifact, before its first request; a figure per start."""

    seconds_to_ready: list[float]
    resident_mib: list[float]
    imported: list[str]


@dataclass(frozen=True)
class Server:
    """A process that has said that it is ready."""

    process: subprocess.Popen[str]
    host: str
    seconds: float


def overhead(artifact, subject, effort):
    """Time one-row requests on a kept connection against the same call in a process of its own."""
    names = [f["name"] for f in json.loads((artifact / "manifest.json").read_text())["features"]]
    http, library = [], []
    with started(artifact) as server, _library(artifact) as call:
        connection = HTTPConnection(server.host)
        exchanges = range(WARM_UP + effort.exchanges)
        for exchange in tqdm(exchanges, "requests over HTTP", leave=False):
            [row] = subject.fresh(1, exchange).tolist()
            http.append(_post(connection, dict(zip(names, row, strict=True))))
            library.append(call([row]))
        connection.close()
    return Overhead(http[WARM_UP:], library[WARM_UP:])


def process(artifact, effort):
    """Start the server some times, and once more to ask what it imported."""
    seconds, resident = [], []
    for _ in tqdm(range(effort.starts), "starts of the server", leave=False):
        with started(artifact) as server:
            resident.append(psutil.Process(server.process.pid).memory_info().rss / 2**20)
            seconds.append(server.seconds)
            _check_ready(server)
    return Process(seconds, resident, _imported(artifact))


@contextmanager
def started(artifact, way=SERVE):
    """Start the server on a free port, wait for the line in which it says where; stop it."""
    command = [sys.executable, *way, "serve", "--artifact", str(artifact), "--port", "0"]
    command += ["--drain-seconds", "0"]
    start = time.perf_counter()
    with _child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        said = []
        for line in child.stderr:
            said.append(line)
            if "http://" in line:
                url = line[line.index("http://") :].split()[0]
                Thread(target=_read_on, args=(child.stderr,), daemon=True).start()
                yield Server(child, urlsplit(url).netloc, time.perf_counter() - start)
                return
        raise SystemExit("the server did not start:\n" + "".join(said))


def _read_on(log):
    """Read a server's log to its end: it would stop answering when the pipe is full."""
    with suppress(ValueError):  # it was closed meanwhile
        deque(log, 0)


@contextmanager
def _library(artifact):
    """A function that sends rows to the other process and gives its milliseconds."""
    command = [sys.executable, "-m", "benchmarks.library", str(artifact)]
    with _child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:

        def call(rows):
            child.stdin.write(json.dumps(rows) + "\n")
            child.stdin.flush()
            return float(child.stdout.readline())

        yield call


@contextmanager
def _child(command, **streams):
    """Run a command of this project with the threads that it takes by itself."""
    environment = {k: v for k, v in os.environ.items() if k not in ONE_THREAD}
    with subprocess.Popen(  # noqa: S603 the project's own commands
        command, cwd=ROOT, env=environment, text=True, **streams
    ) as child:
        try:
            yield child
        finally:
            child.terminate()


def _post(connection, row):
    """Milliseconds of one request, answer read."""
    body = json.dumps({name: {"0": value} for name, value in row.items()})
    start = time.perf_counter()
    connection.request("POST", "/score", body.encode(), {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    took = (time.perf_counter() - start) * 1000
    if response.status != 200:
        raise SystemExit(f"/score answered {response.status}: {answer.decode()}")
    return took


def _check_ready(server):
    connection = HTTPConnection(server.host)
    connection.request("GET", "/health/ready")
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise SystemExit(f"/health/ready answered {status} after the server had said it was ready")


def _imported(artifact):
    """Which of the offline libraries a server has imported once it has scored its sample."""
    with started(artifact, SERVE_AND_TELL) as server:
        connection = HTTPConnection(server.host)
        connection.request("GET", "/schema")
        sample = json.loads(connection.getresponse().read())["sample"]
        _post(connection, {name: next(iter(cells.values())) for name, cells in sample.items()})
        connection.close()
        server.process.terminate()
        names = server.process.stdout.read()
    packages = {name.partition(".")[0] for name in names.split()}
    if "service" not in packages:
        raise SystemExit("the server did not tell its modules")
    return [package for package in NOT_SERVED if package in packages]
