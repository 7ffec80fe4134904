"""A process that explains by library call, as the server's does: rows in, milliseconds out."""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from scoring import load


def main(directory):
    """Answer each line of rows with the time that predicting and explaining them took."""
    explainer = load(directory)
    for line in sys.stdin:
        rows = np.array(json.loads(line))
        start = time.perf_counter()
        explainer.score(explainer.predictor.schema.encode(rows))
        print((time.perf_counter() - start) * 1000, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
