"""`make bench`: measure, print one page, and leave it in RESULTS.md and results.json."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.machine import ONE_THREAD


def main():
    """Read the command line; threads are fixed before anything imports NumPy."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes and no targets: does it run at all?"
    )
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent, help="where the results go"
    )
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)

    from benchmarks.run import run

    sys.exit(run(options.output, quick=options.quick))


if __name__ == "__main__":
    main()
