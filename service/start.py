"""Where the command began once; it begins in `shapserve.start`."""

from shapserve.start import main

__all__ = ["main"]
