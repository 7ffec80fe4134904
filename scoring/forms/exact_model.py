"""A model as the arrays of its exact game: what explains it predicts as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.exact import Exact
from scoring.predictor import OutputSpace
from scoring.table import Table

__all__ = ["ExactModel"]


class ExactModel:
    """Answers what the model answers that an exact game was read from.

    Parameters
    ----------
    exact : a game that needs nothing of the model: it has an encoding of its own.
    spaces : the space that is explained; after it `probability`, where that is the logistic
        function or the softmax of margins, or `value`, where that is their exponential function.
    labels : the classes; () for a regression or an outlier detector.
    """

    def __init__(self, exact: Exact, spaces: Sequence[OutputSpace], labels: Sequence[Any]) -> None:
        if exact.encoding is None:
            raise ValueError("the game needs the model's own first half")
        self.exact, self.encoding = exact, exact.encoding
        self.spaces, self.labels = tuple(spaces), tuple(labels)

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:
        """Return outputs (n_rows, n_outputs) in an output space."""
        return self.in_space(self.exact.game.outputs(self.encoding.columns(table.codes)), space)

    def in_space(self, told: NDArray[np.float64], space: OutputSpace) -> NDArray[np.float64]:
        """Return the game's outputs (n_rows, n_outputs) in an output space."""
        if space == self.spaces[0]:
            return told
        return np.exp(told) if space == "value" else _probabilities(told)

    def predict(self, table: Table) -> NDArray[Any]:
        """Return what the model's own `predict` answers."""
        return self.predicted(self.outputs(table, self.spaces[0]))

    def predicted(self, told: NDArray[np.float64]) -> NDArray[Any]:
        """Return what `predict` answers where the game's outputs are known, (n_rows, n_outputs)."""
        one = told.shape[1] == 1
        if len(self.labels) > 2 and told.shape[1] != len(self.labels):
            raise ValueError("the margins of pairs do not tell the class")
        if not self.labels:
            if "value" in self.spaces[1:]:
                told = self.in_space(told, "value")
            elif self.spaces[0] == "margin":  # an outlier detector's
                return np.where(told[:, 0] >= 0, 1, -1)
            return told[:, 0] if one else told
        chosen = (told[:, 0] > 0).astype(np.intp) if one else told.argmax(axis=1)
        return np.asarray(np.asarray(self.labels)[chosen])


def _probabilities(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logistic function of one margin, the softmax of several."""
    if margins.shape[1] == 1:
        margins = np.concatenate([np.zeros_like(margins), margins], axis=1)
    grown = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))
