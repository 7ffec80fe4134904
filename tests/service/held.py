"""Scorers whose explanations last for as long as a test wants, in this process and in others."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from service.cli import run
from service.errors import Refusal
from service.jobs import background
from service.scorer import Scored, Scorer, Table
from tests.service.commands import ready
from tests.service.fakes import ROWS, FakeExplainer, FakeModel

HELD = 77.5
"""An `age` whose explanation waits until it is let go."""
FAILS = 78.5
"""One whose explanation runs into a bug."""
REFUSED = 79.5
"""One whose explanation is refused."""
BUSY = 80.5
"""One whose explanation is refused twice because the server is busy."""


class Teapot(Refusal):
    """A refusal that only an explanation runs into."""

    status, code = 422, "teapot"


class Busy(Refusal):
    """The server has too much to do."""

    status, code = 503, "busy"


@dataclass(frozen=True, eq=False)
class HeldExplainer(FakeExplainer):
    """The fake explanation, when it is allowed."""

    go: threading.Event = field(default_factory=threading.Event)
    file: Path | None = None
    started: list[float] = field(default_factory=list)

    def score(
        self, rows: Table, deadline_ms: float | None = None, *, explain: Any = True, **rest: Any
    ) -> Scored:
        ages = set(rows.codes[:, 0].tolist())
        self.started.extend(ages & {HELD, FAILS, REFUSED, BUSY})
        if FAILS in ages:
            raise RuntimeError(f"cannot explain {rows.codes.tolist()}")
        if REFUSED in ages:
            raise Teapot("It is a teapot.", {"Retry-After": "9"})
        if BUSY in ages and self.started.count(BUSY) <= 2:
            raise Busy("Too much to do.")
        until = time.monotonic() + 120
        while HELD in ages and not self.go.wait(0.02):
            if self.file is not None and self.file.exists():
                break
            assert time.monotonic() < until
        return super().score(rows, deadline_ms, explain=explain, **rest)


def held_scorer(file: Path | None = None) -> tuple[Scorer, HeldExplainer]:
    """A scorer, and the explainer in it; `go.set()` lets that go."""
    sample = np.array([40.0, 3.0, 1.0, 0.0, np.nan])
    explainer = HeldExplainer(FakeModel(), "houses", sample, file=file)
    return Scorer("houses", explainer, "ab" * 32), explainer


def rows(age: float) -> list[dict[str, Any]]:
    """A body of three rows, the first of that age."""
    return [ROWS[0] | {"age": age}, *ROWS[1:]]


@contextmanager
def held_server(**variables: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """`shapserve serve` in a process of its own, with such a scorer: see `main`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SHAPSERVE_")}
    # Nobody reads a line for every request from the pipe, and no balancer has to notice the end.
    env |= {"SHAPSERVE_DRAIN_SECONDS": "0", "SHAPSERVE_LOG_REQUESTS": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import main; main()"],
        env=env | variables,
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )
    with ready(process, 60) as both:
        yield both


def main() -> None:
    """Serve; HELD_FILE names the file that lets explanations go, HELD_LEASE a worker's lease."""
    scorer, _ = held_scorer(Path(os.environ["HELD_FILE"]))
    command: Any = importlib.import_module("service.cli.serve")  # the package has it by this name
    command.load_scorers = lambda *_: {"houses": scorer}
    background.LEASE = float(os.environ.get("HELD_LEASE", "15"))
    raise SystemExit(run(["serve", "--artifact", "none", "--port", "0"]))
