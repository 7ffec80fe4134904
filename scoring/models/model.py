"""The model protocol: outputs in named spaces, and labels."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.table import Table

__all__ = ["Model", "OutputSpace", "Task"]

OutputSpace = Literal["probability", "margin", "value"]

Task = Literal["classification", "regression"]


class Model(Protocol):
    """What a predictor needs of a model, in whatever form it travels."""

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        """The output spaces that `outputs` knows, the default first."""

    @property
    def labels(self) -> tuple[Any, ...]:
        """The classes in the model's own order, as plain Python values; () for a regression."""

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:
        """Return outputs (n_rows, n_outputs) in an output space."""

    def predict(self, table: Table) -> NDArray[Any] | None:
        """Return what the model's own `predict` answers, or None where it has none."""
