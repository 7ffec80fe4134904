"""`make bench-service`: who answers how much, and how fast."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks import environments, machine
from benchmarks.load import arrow, clients, servers
from benchmarks.load.report import page
from benchmarks.load.ways import WAYS

MANY = 32  # clients
CONNECTIONS = 16  # wrk's, where only the most counts
FULL = 0.9  # of what a closed loop reached: a fixed rate at the very limit only queues
HALF = 0.5
UNBATCHED = ("--max-batch-rows", "1")


@dataclass(frozen=True)
class Capacity:
    """A way of explaining on one worker."""

    way: str
    closed: clients.Load
    half: clients.Load
    full: clients.Load


@dataclass(frozen=True)
class Limit:
    """Requests a second of ours and of a bare endpoint, by wrk.

    The bare one has uvicorn's parser that ours has, and the one that uvicorn takes without it.
    """

    ours: float
    echo: float
    echo_h11: float


@dataclass(frozen=True)
class Batching:
    """The kernel way with and without merging requests: many clients, and one alone."""

    merged: clients.Load
    apart: clients.Load
    alone: clients.Load
    alone_apart: clients.Load


@dataclass(frozen=True)
class Peer:
    """Another server on the same model, background and coalitions."""

    server: str
    way: str
    ours: clients.Load
    theirs: clients.Load


@dataclass
class Results:
    """All of it."""

    machine: dict
    seconds: float = 0.0
    limit: Limit | None = None
    capacity: list[Capacity] = field(default_factory=list)
    batching: Batching | None = None
    peers: list[Peer] = field(default_factory=list)
    arrow: arrow.Streamed | None = None
    notes: list[str] = field(default_factory=list)


def run(output, seconds):
    """Measure, print and write; `seconds` go to every load."""
    start = time.perf_counter()
    results = Results(machine.facts())
    with tempfile.TemporaryDirectory() as directory:
        artifacts = {way.name: way.save(Path(directory, way.name)) for way in WAYS}
        jobs = {way.name: way.job(Path(directory, f"{way.name}.npz")) for way in WAYS}
        ways = {way.name: way for way in WAYS}
        _say("the limit")
        results.limit = _limit(artifacts["tree"], ways["tree"], seconds, results.notes)
        for way in WAYS:
            _say(f"capacity: {way.name}")
            results.capacity.append(_capacity(artifacts[way.name], way, seconds))
        _say("batching")
        results.batching = _batching(artifacts["kernel"], ways["kernel"], seconds)
        for name, path, start_peer, bodies in (
            ("the guide's server", "kernel", servers.guide, "columns"),
            ("MLServer", "kernel", servers.mlserver, "tensors"),
            ("MLServer", "tree", servers.mlserver, "tensors"),
        ):
            _say(f"{name}: {path}")
            closed = next(each.closed for each in results.capacity if each.way == path)
            try:
                with start_peer(jobs[path]) as server:
                    sent = list(getattr(ways[path], bodies)())
                    _agrees(server.url, sent[0])
                    theirs = clients.clients(server.url, sent, MANY, seconds)
                results.peers.append(Peer(name, path, closed, theirs))
            except environments.NotHere as reason:
                results.notes.append(f"left out: {reason}")
        _say("Arrow")
        results.arrow = arrow.measure(artifacts["tree"], ways["tree"])
    results.seconds = time.perf_counter() - start
    text, met = page(results)
    print(text)
    output.mkdir(parents=True, exist_ok=True)
    (output / "SERVICE.md").write_text(text, encoding="utf-8")
    raw = json.dumps(dataclasses.asdict(results), indent=1)
    (output / "service.json").write_text(raw + "\n", encoding="utf-8")
    return 0 if met else 1


def _limit(artifact, way, seconds, notes):
    bodies = list(way.columns())
    try:
        with (
            servers.shapserve(artifact) as ours,
            servers.echo("httptools") as echo,
            servers.echo("h11") as echo_h11,
        ):
            urls = ours.url, echo.url, echo_h11.url
            return Limit(*clients.most_in_turn(urls, bodies, CONNECTIONS, seconds))
    except environments.NotHere as reason:
        notes.append(f"left out: {reason}")
        return None


def _capacity(artifact, way, seconds):
    bodies = list(way.columns())
    with servers.shapserve(artifact) as server:
        clients.clients(server.url, bodies, 4, 2)  # warm
        closed = clients.clients(server.url, bodies, MANY, seconds)
        half, full = (
            clients.at_rate(server.url, bodies, share * closed.rate, seconds)
            for share in (HALF, FULL)
        )
    return Capacity(way.name, closed, half, full)


def _batching(artifact, way, seconds):
    """Both servers at once, asked in turn: the machine's speed changes from minute to minute."""
    bodies = list(way.columns())
    with servers.shapserve(artifact) as merging, servers.shapserve(artifact, *UNBATCHED) as apart:
        urls = merging.url, apart.url
        for url in urls:
            clients.clients(url, bodies, 4, 2)  # warm
        many, one = (clients.in_turn(urls, bodies, n, seconds) for n in (MANY, 1))
    return Batching(many[0], many[1], one[0], one[1])


def _agrees(url, body):
    """See that a peer answers at all, with values for every feature."""
    request = urllib.request.Request(  # noqa: S310 our own address
        url, body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        told = json.loads(answer.read())
    values = told.get("local_importance_values") or told["outputs"][1]["data"]
    if np.size(values) < 30:  # features of every workload here
        raise RuntimeError("the peer does not explain")


def _say(line):
    print(line, file=sys.stderr, flush=True)
