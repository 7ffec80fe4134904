"""The background: weighted rows that stand for "this feature is absent"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.table import Table

__all__ = ["WHOLE_ROWS", "Background", "drawn", "whole"]

WHOLE_ROWS = 100
"""Up to this many training rows are the background as they are."""

DRAWN_ROWS = 50
"""Rows that are drawn where nobody says how many."""


@dataclass(frozen=True, eq=False)
class Background:
    """Weighted rows.

    Parameters
    ----------
    table : codes (n_background, n_features).
    weights : float64 (n_background,), summing to 1.
    method : how the rows were chosen, as `all rows` or `rows drawn at random`.
    n_source_rows : how many training rows they stand for.
    """

    table: Table
    weights: NDArray[np.float64]
    method: str
    n_source_rows: int

    def __str__(self) -> str:
        if self.table.n_rows == self.n_source_rows:
            return f"{self.method} ({self.n_source_rows})"
        return f"{self.table.n_rows} {self.method} for {self.n_source_rows} rows"


def whole(rows: Table) -> Background:
    """All rows, weighing the same."""
    n_rows = rows.n_rows
    return Background(rows, np.full(n_rows, 1 / n_rows), "all rows", n_rows)


def drawn(rows: Table, n_background: int | None, seed: int = 0) -> Background:
    """A few rows, each as likely as any other and weighing the same: no values depend on them.

    Parameters
    ----------
    n_background : how many; None for `DRAWN_ROWS`.
    """
    n_background = n_background or DRAWN_ROWS
    if rows.n_rows <= max(WHOLE_ROWS, n_background):
        return whole(rows)
    some = np.random.default_rng(seed).choice(rows.n_rows, n_background, replace=False)
    weights = np.full(n_background, 1 / n_background)
    return Background(rows.take(np.sort(some)), weights, "rows drawn at random", rows.n_rows)
