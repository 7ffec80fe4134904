"""The value function of a pipeline whose every engineered column depends on one feature.

Masking a raw feature then moves a group of columns, so rows and background are transformed once
and the masks are laid over the columns: the pipeline's first half runs once for a row instead of
once for every coalition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.features import Engineering
from scoring.games.game import Game, Worth
from scoring.predictor import Predictor
from scoring.table import Table

__all__ = ["ColumnsGame"]


@dataclass(frozen=True, eq=False)
class ColumnsGame:
    """Values of coalitions of raw features, evaluated over engineered columns.

    Parameters
    ----------
    predictor, background : the whole pipeline and raw rows.
    engineering : where the pipeline is cut; its columns are exclusive.
    inner : the game of the pipeline's second half, against the transformed background.
    """

    predictor: Predictor
    background: Background
    block_bytes: int
    engineering: Engineering
    inner: Game

    def values(self, rows: Table, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return v (n_rows, n_coalitions, n_outputs) of every coalition for every row."""
        if not rows.n_rows:  # many transformers refuse to transform nothing
            return np.zeros((0, len(masks), len(self.predictor.output_names)))
        columns = masks[:, self.engineering.owners]  # (n_coalitions, n_columns)
        return self.inner.values(self.engineering.table(rows), columns)

    def prepared(self, masks: NDArray[np.bool_]) -> Worth:
        """Return `values` of fixed coalitions, with what depends on no row made once."""
        prepared = getattr(self.inner, "prepared", None)
        if prepared is None:
            return lambda rows, some: self.values(rows, masks[some])
        worth: Worth = prepared(masks[:, self.engineering.owners])
        return lambda rows, some: worth(self.engineering.table(rows), some)
