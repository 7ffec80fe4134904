"""From local to global: the mean absolute value of each feature, row block by row block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scoring.explanation import GlobalExplanation, LocalExplanation
from scoring.games.game import blocks
from scoring.table import Table

__all__ = ["mean_absolute"]

BLOCK_ROWS = 64
"""Rows explained at a time: enough to forget the call's own cost, few enough to see a bar move."""


def mean_absolute(
    explain: Callable[[Table], LocalExplanation], rows: Table, *, show_progress: bool = False
) -> GlobalExplanation:
    """Explain a model over many rows.

    Of engineered columns with a feature map, the absolute sums of each raw feature are averaged
    as well: the mean of |a + b| is not the sum of the means of |a| and |b|.

    Parameters
    ----------
    explain : from some of the rows to their explanation.
    rows : at least one.
    show_progress : whether to show a bar, where the output is a terminal.
    """
    from tqdm import tqdm

    total: NDArray[np.float64] = np.zeros(())
    local: LocalExplanation | None = None
    raw_total: NDArray[np.float64] | None = None
    # disable=None: nothing is drawn where nobody would see it move.
    shown = None if show_progress else True
    with tqdm(total=rows.n_rows, desc="explaining", unit="row", disable=shown, leave=False) as bar:
        for some in blocks(rows.n_rows, BLOCK_ROWS):
            local = explain(rows.take(some))
            total = total + np.abs(local.values).sum(axis=0)
            if local.feature_map is not None:
                summed = np.abs(np.einsum("rco,fc->rfo", local.values, local.feature_map))
                raw_total = summed.sum(axis=0) + (0.0 if raw_total is None else raw_total)
            bar.update(some.stop - some.start)
    assert local is not None  # noqa: S101 there is at least one row
    return GlobalExplanation(
        (total / rows.n_rows).T,
        local.features,
        local.output_names,
        local.output_space,
        local.method,
        rows.n_rows,
        local.background,
        base_values=local.base_values,
        feature_map=local.feature_map,
        raw_features=local.raw_features,
        raw_per_output=None if raw_total is None else (raw_total / rows.n_rows).T,
        fidelity=local.fidelity,
    )
