"""What a value function is to those who use one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.predictor import Predictor
from scoring.table import Table

__all__ = ["Game", "Worth", "blocks"]

Worth = Callable[[Table, slice], NDArray[np.float64]]
"""From rows and some of fixed coalitions to v (n_rows, n_some, n_outputs)."""


class Game(Protocol):
    """The interventional values of coalitions: `v(S) = sum_b w_b f(x_S, b_not_S)`."""

    @property
    def predictor(self) -> Predictor:
        """The model f."""

    @property
    def background(self) -> Background:
        """The rows b and their weights w."""

    @property
    def block_bytes(self) -> int:
        """Upper bound on what is allocated at a time, beyond the answer and the model's own."""

    def values(self, rows: Table, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return v (n_rows, n_coalitions, n_outputs) of every coalition for every row."""


def blocks(total: int, size: int) -> Iterator[slice]:
    """Cut range(total) into slices of at most `size`."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
