"""A signal that comes while the command is still being imported."""

import subprocess
import sys

import pytest

# The real process 1 would ignore what this one dies of.
EARLY = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "service.cli":
            os.kill(own, signal.SIGTERM)

own = os.getpid()
os.getpid = lambda: {seen}
sys.meta_path.insert(0, Finder())

from shapserve.start import main

main()
"""


@pytest.mark.parametrize(("seen", "status"), [("1", 143), ("own", -15)])
def test_process_1_heeds_a_signal_that_comes_while_it_starts(seen, status):
    done = subprocess.run([sys.executable, "-c", EARLY.format(seen=seen)], timeout=60, check=False)
    assert done.returncode == status


def test_it_is_the_command():
    told = subprocess.run(
        [sys.executable, "-c", "from shapserve.start import main; main()", "--version"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert told.stdout.startswith("shapserve ")
