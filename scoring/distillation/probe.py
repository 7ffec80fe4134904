"""Synthetic rows: mixtures of training rows, and one that no training row is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.schema import FeatureSchema
from scoring.table import Table

__all__ = ["mixed_rows", "sample_row"]


def mixed_rows(rows: Table, n_rows: int, seed: int) -> Table:
    """Rows of which every value is some training row's, each feature drawn for itself."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, rows.n_rows, (n_rows, rows.codes.shape[1]))
    return rows.with_codes(np.take_along_axis(rows.codes, picks, axis=0))


def sample_row(schema: FeatureSchema, rows: Table) -> NDArray[np.float64]:
    """Make up a row (n_features,) inside the training ranges that is no training row.

    The first of a few fixed mixtures that training did not hold; with few categories and no
    numbers, every row there is may be one of training's.
    """
    shares = (0.5, 0.4, 0.6, 0.3, 0.7)
    made_up = [np.array([_inside(f, share) for f in schema.features]) for share in shares]
    new = [row for row in made_up if not (rows.codes == row).all(axis=1).any()]
    return (new or made_up)[0]


def _inside(feature: Any, share: float) -> float:
    if feature.is_category:
        return float(int(share * len(feature.categories)))
    if feature.allowed:
        return float(feature.allowed[int(share * len(feature.allowed))])
    low, high = feature.minimum or 0.0, feature.maximum or 0.0
    value = low + share * (high - low)
    if feature.kind != "number":
        return float(round(value))
    return float(f"{value:.4g}") if low <= float(f"{value:.4g}") <= high else value
