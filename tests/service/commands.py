"""The command line in processes of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager

import httpx

# Tells which modules were loaded, after the command has ended.
TELL_MODULES = """
import atexit, sys
atexit.register(lambda: print(*sys.modules))
from service.cli import main
sys.argv[0] = "shapserve"
main()
"""


def command(*arguments, **variables):
    """A command of this project in a process of its own, without the caller's own settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SHAPSERVE_")}
    # Nobody reads a line for every request from the pipe, and no balancer has to notice the end.
    env |= {"SHAPSERVE_DRAIN_SECONDS": "0", "SHAPSERVE_LOG_REQUESTS": "0"}
    return subprocess.Popen(
        [sys.executable, "-c", TELL_MODULES, *map(str, arguments)],
        env=env | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving(*arguments, **variables):
    """Serve on a free port; yields a client and the process."""
    with ready(command("serve", "--port", "0", *arguments, **variables), 30) as both:
        yield both


@contextmanager
def ready(process, timeout):
    """Wait until a server says where it is; yields a client and the process, and ends it."""
    assert process.stderr is not None  # narrows the type: whoever starts one pipes it
    try:
        told: list[str] = []
        while not (url := re.search(r"ready on (http://\S+)", "".join(told[-1:]))):
            line = process.stderr.readline()
            assert line, "".join(told)
            told.append(line)
        with httpx.Client(base_url=url[1], timeout=timeout, trust_env=False) as client:
            yield client, process
    finally:
        process.kill()
        process.communicate()


def refused(*arguments, **variables):
    """Run a command that must fail; returns the one line that it says."""
    with command(*arguments, **{"SHAPSERVE_PORT": "0"} | variables) as process:
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode not in (0, None)
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1, err
    assert err.startswith("shapserve: ")
    return err
