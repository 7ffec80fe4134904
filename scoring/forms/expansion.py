"""A kernel machine as its own arrays: no file to interpret, nothing but NumPy to run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.games.game import blocks
from scoring.games.rbf import Expansion
from scoring.predictor import OutputSpace
from scoring.table import Table

__all__ = ["ExpansionModel"]

BLOCK_NUMBERS = 2**20


class ExpansionModel:
    """Answers what the machine answers that an expansion was read from.

    Parameters
    ----------
    labels : the two classes; () for a regression or an outlier detector.
    """

    def __init__(self, expansion: Expansion, labels: Sequence[Any]) -> None:
        self.expansion, self.labels = expansion, tuple(labels)
        margin: OutputSpace = "value" if expansion.predicts == "value" else "margin"
        has_probabilities = expansion.sigmoid is not None
        self.spaces: tuple[OutputSpace, ...] = (
            ("probability", margin) if has_probabilities else (margin,)
        )

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:
        """Return outputs (n_rows, n_outputs) in an output space."""
        return self.expansion.outputs(self._margins(table), space)

    def predict(self, table: Table) -> NDArray[Any]:
        """Return what the machine's own `predict` answers."""
        margins = self._margins(table)
        if self.expansion.predicts == "value":
            return margins
        if self.expansion.predicts == "inlier":
            return np.where(margins > 0, 1, -1)
        return np.asarray(np.asarray(self.labels)[(margins >= 0).astype(np.intp)])

    def _margins(self, table: Table) -> NDArray[np.float64]:
        expansion = self.expansion
        margins = np.empty(table.n_rows)
        for some in blocks(table.n_rows, max(1, BLOCK_NUMBERS // expansion.supports.size)):
            apart = table.codes[some, np.newaxis] - expansion.supports
            with np.errstate(over="ignore"):  # so far away that the kernel is 0
                distances = np.einsum("rsf,rsf->rs", apart, apart)
            kernel = np.exp(-expansion.gamma * distances)
            margins[some] = kernel @ expansion.coefficients + expansion.intercept
        return margins
