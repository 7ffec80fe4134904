"""What a value function is to those who use one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.predictor import Predictor
from scoring.table import Table

__all__ = ["Asked", "Game", "Worth", "blocks", "even_blocks", "players_of"]

Worth = Callable[[Table, slice], NDArray[np.float64]]
"""From rows and some of fixed coalitions to v (n_rows, n_some, n_outputs)."""

Asked = Callable[[NDArray[np.float64], slice], NDArray[np.float64]]
"""The same over a model's columns: rows are float64 (n_rows, n_columns)."""


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


def even_blocks(total: int, size: int) -> Iterator[slice]:
    """Cut range(total) into as few slices of at most `size`, none much shorter than another."""
    if total:
        n_blocks = -(-total // size)
        yield from blocks(total, -(-total // n_blocks))


def players_of(masks: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Columns that are in the same coalitions move together, and are one player.

    Parameters
    ----------
    masks : bool (n_coalitions, n_columns).

    Returns
    -------
    The coalitions (n_coalitions, n_players), and float64 (n_players, n_columns): 1 where a column
    is a player's, to sum columns with.
    """
    distinct, owner = np.unique(masks, axis=1, return_inverse=True)
    owned = owner.ravel() == np.arange(distinct.shape[1])[:, np.newaxis]
    return distinct, owned.astype(np.float64)
