"""The real command, serving a model that takes as long as it is told: `main()` in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import httpx

from service.cli import run
from tests.service.commands import ready
from tests.service.slow import slow_scorer


def main() -> None:
    """Serve on a free port; SLOW_CALL is seconds, the rest are settings.

    Put into place of what loads artifacts, so that everything else is the real server.
    """
    scorer, _ = slow_scorer(float(os.environ["SLOW_CALL"]))

    def load(sources: Iterable[Any], fit: Any = None) -> dict[str, Any]:
        return {"houses": scorer}

    # The package has the command under the name of its module.
    sys.modules["service.cli.serve"].load_scorers = load  # type: ignore[attr-defined]  # a module by a name in a dict has no known attributes
    raise SystemExit(run(["serve", "--port", "0", "--artifact", "none"]))


@contextmanager
def slow_serving(
    call_seconds: float, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """Serve until the block ends; gives a client and the process."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SHAPSERVE_")}
    # Nobody reads a line for every request from the pipe, and no balancer has to notice the end.
    env |= {"SHAPSERVE_DRAIN_SECONDS": "0", "SHAPSERVE_LOG_REQUESTS": "0"}
    env |= {"SLOW_CALL": str(call_seconds), **variables}
    code = "from tests.service.slow_server import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, text=True
    )
    with ready(process, 60) as both:
        yield both
