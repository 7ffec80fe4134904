"""shapiq's Shapley values by its default approximator, KernelSHAP."""

from __future__ import annotations

import warnings

import numpy as np
import shapiq

from benchmarks.peers.worker import work
from benchmarks.timing import Contender


def make(f, background):
    """`TabularExplainer` for Shapley values of the last output, over all of the background."""
    explainer = shapiq.TabularExplainer(
        lambda rows: f(rows)[:, -1],
        background,
        index="SV",
        max_order=1,
        sample_size=len(background),
        random_state=0,
    )
    n_players = background.shape[1]
    default = 2 * n_players + 2048

    def sized(n):
        def one(row):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return explainer.explain(row, budget=n or default).get_n_order_values(1)

        return lambda rows: np.array([one(row) for row in rows])

    return Contender(sized, float(explainer.baseline_value), default, 2 * default)


if __name__ == "__main__":
    work(make, "shapiq")
