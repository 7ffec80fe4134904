"""The cluster of KUBECONFIG, by way of kubectl."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

NAMESPACE = "shapserve-e2e"
KUBECTL = [*shlex.split(os.environ.get("KUBECTL", "kubectl")), "--namespace", NAMESPACE]
PODS = "app.kubernetes.io/name=shapserve"
TIMEOUT = 180


def say(text: str) -> None:
    """Tell who watches what is done."""
    print(text, flush=True)


def run(*command: str, stdin: IO[Any] | None = None) -> str:
    """Run a command and return what it prints; its errors are shown as they come."""
    say(f"$ {' '.join(command)}")
    return subprocess.run(
        command, stdin=stdin, stdout=subprocess.PIPE, text=True, check=True, timeout=2 * TIMEOUT
    ).stdout


def kubectl(*arguments: str, stdin: IO[Any] | None = None) -> str:
    """Run kubectl in the tests' namespace."""
    return run(*KUBECTL, *arguments, stdin=stdin)


def pods() -> list[str]:
    """Names of the pods that serve, or end."""
    return kubectl("get", "pods", "--selector", PODS, "--output", "name").split()


def begin_rollout(image: str) -> None:
    """Ask for pods of an image."""
    kubectl("set", "image", "deployment/shapserve", f"shapserve={image}")


def wait_for_rollout() -> None:
    """Wait until there are enough pods of the newest kind, and all are ready."""
    kubectl("rollout", "status", "deployment/shapserve", f"--timeout={TIMEOUT}s")


def wait_for_the_end_of_others() -> None:
    """Wait until there are no more pods than replicas: those of before a rollout have ended."""
    replicas = int(kubectl("get", "deployment/shapserve", "--output", "jsonpath={.spec.replicas}"))
    deadline = time.monotonic() + TIMEOUT
    while len(pods()) > replicas:
        assert time.monotonic() < deadline, "pods of before have not ended"
        time.sleep(1)


def service_url() -> str:
    """Where clients in the cluster find the Service, with or without DNS."""
    ip = kubectl("get", "service/shapserve", "--output", "jsonpath={.spec.clusterIP}")
    return f"http://[{ip}]" if ":" in ip else f"http://{ip}"


class Load:
    """Requests that are sent from within the cluster; see `load.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self._began = process, time.monotonic()
        self.told: dict[str, Any] = {}

    def last(self, seconds: float) -> None:
        """Let it go on until it has lasted so long in all."""
        time.sleep(max(0.0, self._began + seconds - time.monotonic()))

    def seconds(self) -> float:
        """Tell how long it has lasted, as the times in `told` count."""
        return time.monotonic() - self._began

    def end(self) -> None:
        """Stop sending, and take in what came."""
        out, _ = self._process.communicate("", timeout=TIMEOUT)
        self.told = json.loads(out)
        say(out.strip())


@contextmanager
def load(**how: float) -> Iterator[Load]:
    """Send requests through the Service while the block lasts; `load.py` tells how."""
    options = [service_url(), *(f"--{name}={value:g}" for name, value in how.items())]
    say(f"$ kubectl exec --stdin client -- python load.py {' '.join(options)}")
    script = (HERE / "load.py").read_text()
    command = [*KUBECTL, "exec", "--stdin", "client", "--", "python", "-c", script, *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "the load did not start"
            under = Load(process)
            yield under
            under.end()
        finally:
            process.kill()
