"""The HTTP service and the command line around `scoring`."""

import sys

from shapserve.shadowed import Shadowed, check

try:
    check("scoring")
except Shadowed as exc:
    if sys.argv[0] == "-m":  # as Python has it while it looks for the module to run
        sys.exit(f"shapserve: {exc}")
    raise
