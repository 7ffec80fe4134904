"""`make bench-service`: measure the service under load, and leave a page in SERVICE.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.load.run import run


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of every load")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent)
    options = parser.parse_args()
    sys.exit(run(options.output, options.seconds))


if __name__ == "__main__":
    main()
