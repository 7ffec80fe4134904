"""The container tool of this machine: docker or podman, whichever works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all"),  # noqa: S108 inside the container
    *("--security-opt", "no-new-privileges", "--memory", "512m", "--cpus", "1"),
    *("--pids-limit", "100"),
)
PORT = 8000


@dataclass(frozen=True)
class Engine:
    """A tool that was seen to work, and how it is called."""

    tool: str
    env: dict[str, str]

    def __call__(self, *arguments, timeout=900, check=True):
        """Run one of its commands."""
        done = subprocess.run(
            [self.tool, *map(str, arguments)],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def has(self, image):
        return self("image", "inspect", image, check=False).returncode == 0

    @contextmanager
    def running(self, image, *options, command=()) -> Iterator[Container]:
        """Start a container of an image; it is gone afterwards."""
        name = self("run", "--detach", *options, image, *command).stdout.strip()
        try:
            yield Container(self, name)
        finally:
            self("rm", "--force", "--volumes", name)

    @contextmanager
    def serving(self, image, artifact, *options):
        """Serve an artifact, hardened; yields a client, the container and the seconds it took."""
        mount = ("--volume", f"{artifact}:/artifact:ro") if artifact else ()
        began = time.monotonic()
        port = ("--publish", f"127.0.0.1::{PORT}")
        run = self.running(image, *HARDENED, *mount, *port, *options)
        with run as container, container.client() as client:
            container.wait_until_ready(client)
            yield client, container, time.monotonic() - began

    def ends(self, image, *options, command=()):
        """Run a container that ends by itself, hardened; its exit code and its log's lines."""
        done = self("run", "--rm", *HARDENED, *options, image, *command, check=False, timeout=60)
        # The tool's own complaints on health checks, where there is no systemd, are not the log.
        lines = [line for line in done.stderr.splitlines() if not line.startswith("time=")]
        return done.returncode, lines


@dataclass(frozen=True)
class Container:
    """One that was started."""

    engine: Engine
    name: str

    @contextmanager
    def client(self):
        address = self.engine("port", self.name, PORT).stdout.split()[0]
        with httpx.Client(base_url=f"http://{address}", timeout=60, trust_env=False) as client:
            yield client

    def wait_until_ready(self, client, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if client.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:  # not listening yet
                assert self.state("Running") == "true", self.log()
            time.sleep(0.01)
        raise AssertionError(f"not ready after {seconds} s: {self.log()}")

    def state(self, name):
        return self.engine(
            "inspect", "--format", f"{{{{.State.{name}}}}}", self.name
        ).stdout.strip()

    def log(self):
        done = self.engine("logs", self.name)
        return done.stdout + done.stderr

    def python(self, code):
        """Run Python beside the server."""
        return self.engine("exec", self.name, "python", "-c", code).stdout

    def status(self, name):
        """A number that the kernel tells of process 1."""
        told = self.python("print(open('/proc/1/status').read())")
        match = re.search(rf"^{name}:\s+(\d+)", told, re.MULTILINE)
        assert match, told
        return int(match[1])


def found() -> Engine | str:
    """The first tool that works, or why there is none."""
    reasons = []
    for tool in os.environ.get("CONTAINER", "docker podman").split():
        if shutil.which(tool) is None:
            reasons.append(f"{tool} is not installed")
            continue
        engine = Engine(tool, _env(tool))
        done = engine("info", check=False, timeout=60)
        if done.returncode == 0:
            return engine
        reasons.append(f"{tool}: {done.stderr.strip().splitlines()[-1:]}")
    return "no container tool works here: " + "; ".join(reasons)


def _env(tool):
    env = dict(os.environ)
    if tool == "podman":
        env["BUILDAH_FORMAT"] = "docker"  # its own format has no HEALTHCHECK
        if not Path("/run/systemd/system").is_dir():
            env.setdefault("CONTAINERS_CONF", str(Path(__file__).with_name("containers.conf")))
    return env
