"""A model as its numbers: no file to interpret, nothing but NumPy to run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.games.twin import Twin
from scoring.predictor import OutputSpace
from scoring.table import Table

__all__ = ["TwinModel"]


class TwinModel:
    """Answers what the model answers that the numbers were read from.

    Parameters
    ----------
    labels : the classes; () for a regression or an outlier detector.
    """

    def __init__(self, twin: Twin, labels: Sequence[Any]) -> None:
        self.twin, self.labels = twin, tuple(labels)
        self.spaces: tuple[OutputSpace, ...] = twin.numbers.spaces

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:
        """Return outputs (n_rows, n_outputs) in an output space."""
        return self.twin.numbers.outputs(self._columns(table), space)

    def predict(self, table: Table) -> NDArray[Any]:
        """Return what the model's own `predict` answers."""
        return self.twin.numbers.predict(self._columns(table), self.labels)

    def _columns(self, table: Table) -> NDArray[np.float64]:
        return self.twin.encoding.columns(table.codes)
