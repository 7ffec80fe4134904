"""The value function of a model whose numbers are known: a twin of masked rows through the model.

Raw features become columns by an encoding, rows and background apart, and the masks are laid over
the columns: that is what masking raw features does, where every column depends on one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.encoding import Encoding
from scoring.games.expansion import Expansion
from scoring.games.game import Asked, Worth
from scoring.games.layered import layered_values
from scoring.games.layers import Layers
from scoring.games.rbf import rbf_values
from scoring.games.tree_scores import TreeScores
from scoring.predictor import Predictor
from scoring.table import Table

__all__ = ["Twin", "TwinGame"]


@dataclass(frozen=True, eq=False)
class Twin:
    """A model as its numbers, and the way to its columns.

    Parameters
    ----------
    numbers : a kernel machine's, a network's, or those of boosted trees.
    encoding : from raw features to its columns.
    """

    numbers: Expansion | Layers | TreeScores
    encoding: Encoding


@dataclass(frozen=True, eq=False)
class TwinGame:
    """Values of coalitions without masked rows."""

    predictor: Predictor
    background: Background
    block_bytes: int
    twin: Twin

    def values(self, rows: Table, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return v (n_rows, n_coalitions, n_outputs) of every coalition for every row."""
        return self.prepared(masks)(rows, slice(0, len(masks)))

    def prepared(self, masks: NDArray[np.bool_]) -> Worth:
        """Return `values` of fixed coalitions, with what depends on no row made once."""
        encoding = self.twin.encoding
        asked = self._asked(masks[:, encoding.sources])
        return lambda rows, some: asked(encoding.columns(rows.codes), some)

    def _asked(self, masks: NDArray[np.bool_]) -> Asked:
        """The value function over columns, of coalitions (n_coalitions, n_columns)."""
        numbers = self.twin.numbers
        fixed = self._known, self.background.weights, masks, self.block_bytes
        if isinstance(numbers, Expansion):
            return rbf_values(numbers, *fixed, self.predictor.space)
        if isinstance(numbers, Layers):
            return layered_values(numbers, *fixed)
        return numbers.prepared(*fixed)

    @cached_property
    def _known(self) -> NDArray[np.float64]:
        """The background's columns, (n_background, n_columns)."""
        return self.twin.encoding.columns(self.background.table.codes)
