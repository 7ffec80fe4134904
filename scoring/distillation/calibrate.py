"""Standard errors held against the truth: their factors as they are measured at distillation.

What a prior says of the whole design against its parts is a good first guess where it fits the
model. Where few features leave little to guess, or some of them matter much more than others, it
is not. The reference that the fidelity is measured against tells the real ratio, on rows that the
design was not fitted to. Its own error is in what is measured, which makes intervals a little
wider rather than narrower.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scoring.distillation.measure import Track
from scoring.kernel import Kernel
from scoring.stages import Stage
from scoring.table import Table

__all__ = ["calibrated"]


def calibrated(
    fitted: Kernel,
    rows: Table,
    outputs: NDArray[np.float64],
    truth: NDArray[np.float64],
    track: Track,
) -> Kernel:
    """Return the same kernel, its standard errors right on average over some rows.

    Parameters
    ----------
    outputs : float64 (n_rows, n_outputs), what the model says of the rows.
    truth : float64 (n_rows, n_players, n_outputs), their values.
    """
    every = (*fitted.prefixes, fitted.whole)
    if all(stage.sub_designs is None for stage in every):
        return fitted
    squares = np.zeros((len(every), 2))
    for r in track(rows, "measuring standard errors"):
        some = slice(r, r + 1)
        solutions = fitted.by_stage(rows.take(some), outputs[some])
        for k, (values, errors) in enumerate(solutions):
            if errors is not None:
                squares[k] += ((values - truth[some]) ** 2).sum(), (errors**2).sum()
    stages = [_scaled(stage, *two) for stage, two in zip(every, squares.tolist(), strict=True)]
    return replace(fitted, prefixes=tuple(stages[:-1]), whole=stages[-1])


def _scaled(stage: Stage, error: float, told: float) -> Stage:
    """A stage with another factor; the same one where there is no error to measure."""
    if stage.sub_designs is None or not error > 0 or not told > 0:
        return stage
    factor = stage.sub_designs.factor * float(np.sqrt(error / told))
    return replace(stage, sub_designs=replace(stage.sub_designs, factor=factor))
