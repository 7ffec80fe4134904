"""Synthetic rows, and what the model says when it is asked about unusual ones."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError
from scoring.predictor import Predictor
from scoring.schema import FeatureSchema
from scoring.table import Table

__all__ = ["mixed_rows", "sample_row", "with_allowances"]


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
    low, high = feature.minimum or 0.0, feature.maximum or 0.0
    value = low + share * (high - low)
    if feature.kind != "number":
        return float(round(value))
    return float(f"{value:.4g}") if low <= float(f"{value:.4g}") <= high else value


def with_allowances(schema: FeatureSchema, predictor: Predictor, rows: Table) -> FeatureSchema:
    """Find out which features may be missing and which take categories training never saw.

    The model is asked, on the first training row with that one value replaced. What it refuses or
    answers with a non-finite number is not allowed.
    """
    features = []
    for j, feature in enumerate(schema.features):
        missing = _accepts(predictor, rows, j, np.nan, ())
        unseen = False
        if feature.is_category:
            known = feature.categories
            stranger: str | int = _stranger(known)
            unseen = _accepts(predictor, rows, j, float(len(known)), (*known, stranger))
        features.append(replace(feature, allows_missing=missing, allows_unseen=unseen))
    return replace(schema, features=tuple(features))


def _stranger(known: tuple[Any, ...]) -> Any:
    if known and isinstance(known[0], int):
        return max(known) + 1
    return max(known, key=len, default="") + "?"


def _accepts(
    predictor: Predictor, rows: Table, j: int, code: float, categories: tuple[str | int, ...]
) -> bool:
    codes = rows.codes[:1].copy()
    codes[0, j] = code
    tables = rows.categories
    if categories:
        tables = (*tables[:j], categories, *tables[j + 1 :])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an encoder warns of what it then accepts
            asked = Table(codes, tables)
            predictor.predictions(asked)
            return bool(np.isfinite(predictor.outputs(asked)).all())
    except ModelError:
        raise
    except Exception:  # noqa: BLE001 whatever a user's model raises is its way of saying no
        return False
