"""A real Redis server on a free loopback port."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PASSWORD = "zq-redis-password-7731"  # noqa: S105 of a server that lives for one test


@contextmanager
def redis_server(directory, *options: str, port: int | None = None) -> Iterator[str]:
    """Run one until the block ends; yields its URL, which holds the password."""
    command = shutil.which("redis-server")
    if command is None:
        # `.ci/run` installs it; a laptop may have no Redis, and the other stores are tested there.
        pytest.skip("redis-server is not installed here: apt-get install redis-server")
    port = port or free_port()
    process = subprocess.Popen(
        [
            *(command, "--port", str(port), "--bind", "127.0.0.1", "--requirepass", PASSWORD),
            *("--save", "", "--appendonly", "no", "--dir", str(directory), *options),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, process)
        yield f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, "redis-server ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("redis-server does not listen")
