"""Who asks: k6 at a fixed rate or with a fixed number of clients, and wrk for the limit."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments

HERE = Path(__file__).resolve().parent
MOST_WAITING = 2000  # clients that k6 may have at a fixed rate
ROUNDS = 5  # in which servers are asked in turn
LONGER = 60  # seconds that a generator may take beyond its scenario


@dataclass(frozen=True)
class Load:
    """What a generator saw.

    Parameters
    ----------
    rate : answered requests a second.
    median, p99 : milliseconds from when a request was meant to be sent to the end of its answer.
    failed : the share that was not answered with 2xx.
    dropped : requests that were never sent, as too many were waiting.
    """

    rate: float
    median: float
    p99: float
    failed: float
    dropped: int


def at_rate(url, bodies, rate, seconds):
    """So many requests a second, whether or not earlier ones are answered."""
    scenario = {
        "executor": "constant-arrival-rate", "rate": max(1, round(10 * rate)), "timeUnit": "10s",
        "duration": f"{seconds}s", "preAllocatedVUs": 200, "maxVUs": MOST_WAITING,
        "gracefulStop": "30s",
    }  # fmt: skip
    return _k6(url, bodies, scenario, seconds)


def clients(url, bodies, n, seconds):
    """So many clients, each of which sends its next request when it has its answer."""
    scenario = {"executor": "constant-vus", "vus": n, "duration": f"{seconds}s"}
    return _k6(url, bodies, scenario, seconds)


def in_turn(urls, bodies, n, seconds):
    """So many clients of one server, then as many of the next, and again: a Load for each.

    Rates are means, medians those of the rounds' medians, and the rest is that of the worst round.
    """
    return [
        Load(
            rate=statistics.mean(load.rate for load in loads),
            median=statistics.median(load.median for load in loads),
            p99=max(load.p99 for load in loads),
            failed=max(load.failed for load in loads),
            dropped=0,
        )
        for loads in _in_turn(clients, urls, bodies, n, seconds)
    ]


def most_in_turn(urls, bodies, n, seconds):
    """What `most` tells of every server, the mean of rounds."""
    return [statistics.mean(rates) for rates in _in_turn(most, urls, bodies, n, seconds)]


def _in_turn(ask, urls, bodies, n, seconds):
    each = max(1, round(seconds / ROUNDS))
    rounds = [[ask(url, bodies, n, each) for url in urls] for _ in range(ROUNDS)]
    return zip(*rounds, strict=True)


def _k6(url, bodies, scenario, seconds):
    with tempfile.TemporaryDirectory() as directory:
        sent, summary = Path(directory, "bodies.json"), Path(directory, "summary.json")
        sent.write_text(json.dumps(bodies), encoding="utf-8")
        told = {"BODIES": str(sent), "SUMMARY": str(summary), "URL": url}
        k6 = environments.python_of("k6").parent / "k6"
        _run(
            [str(k6), "run", "--quiet", "--no-usage-report", str(HERE / "script.js")],
            told | {"SCENARIO": json.dumps(scenario)},
            seconds,
        )
        metrics = {name: m["values"] for name, m in json.loads(summary.read_text()).items()}
    waited = metrics["iteration_duration"]
    failed = metrics["http_req_failed"]["rate"]
    return Load(
        rate=metrics["http_reqs"]["rate"] * (1 - failed),
        median=waited["med"],
        p99=waited["p(99)"],
        failed=failed,
        dropped=int(metrics.get("dropped_iterations", {"count": 0})["count"]),
    )


def most(url, bodies, n, seconds):
    """Answered requests a second of `n` clients that do nothing else; wrk costs least itself."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise environments.NotHere("wrk is not installed (Debian's package wrk)")
    with tempfile.TemporaryDirectory() as directory:
        sent = Path(directory, "bodies.txt")
        sent.write_text("\n".join(bodies) + "\n", encoding="utf-8")
        command = [wrk, "-t1", f"-c{n}", f"-d{seconds}s", "-s", str(HERE / "post.lua"), url]
        told = _run(command, {"BODIES": str(sent)}, seconds)
    if "Non-2xx" in told:
        raise RuntimeError(f"not all requests were answered with 2xx:\n{told}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found is not None  # noqa: S101 wrk tells it at the end of every run
    return float(found.group(1))


def _run(command, told, seconds):
    done = subprocess.run(  # noqa: S603 the generators' own commands
        command, env=os.environ | told, capture_output=True, text=True,
        timeout=seconds + LONGER, check=False, preexec_fn=_own_cpu,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _own_cpu():
    """The server has the last processor to itself."""
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {max(os.sched_getaffinity(0))})
