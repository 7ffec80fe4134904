"""`make bench`: measure, print one page, and leave it in RESULTS.md and results.json."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.effort import PARTS
from benchmarks.machine import ONE_THREAD


def main():
    """Read the command line; threads are fixed before anything imports NumPy."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes and no targets: does it run at all?"
    )
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="a part of the run; may be repeated"
    )
    parser.add_argument("--workload", help="only workloads whose name holds this")
    parser.add_argument("--output", type=Path, help="where the results go")
    options = parser.parse_args()
    part = options.only or options.workload
    # A run in part must not pass for the whole one.
    output = options.output or (Path("build/bench") if part else Path(__file__).parent)
    os.environ.update(ONE_THREAD)

    from benchmarks.run import run

    sys.exit(run(output, quick=options.quick, only=options.only, workload=options.workload))


if __name__ == "__main__":
    main()
