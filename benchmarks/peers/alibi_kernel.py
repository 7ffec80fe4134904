"""alibi's KernelShap, a yardstick only."""

from __future__ import annotations

import logging

import numpy as np
from alibi.explainers import KernelShap

from benchmarks.peers.worker import work
from benchmarks.timing import Contender


def make(f, background):
    """`KernelShap` over all of the background, with as many coalitions as shap takes."""
    logging.disable(logging.WARNING)  # it warns of more than 300 background rows
    explainer = KernelShap(f, link="identity").fit(background)
    default = 2 * background.shape[1] + 2048

    def sized(n):
        def values(rows):
            found = explainer.explain(rows, nsamples=n or default, l1_reg=False, silent=True)
            return np.asarray(found.shap_values[-1])

        return values

    return Contender(sized, float(np.ravel(explainer.expected_value)[-1]), default, 2 * default)


if __name__ == "__main__":
    work(make, "alibi")
