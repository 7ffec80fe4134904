"""Synthetic rows, and what the model says when it is asked about unusual ones."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.feature import Category
from scoring.forms.estimators import learnt_categories
from scoring.predictor import Predictor
from scoring.schema import FeatureSchema
from scoring.table import Table

__all__ = ["mixed_rows", "sample_row", "with_allowances"]

MAGNITUDES = (
    sys.float_info.max,
    float(np.finfo(np.float32).max),  # trees work in float32
    float(2**63 - 1024),  # the largest double in a 64-bit integer
    1e15,
    1e9,
    1e6,
    1e3,
)
"""How far from zero a number may be, tried from the farthest on."""


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
    answers with a non-finite number is not allowed. Likewise how large a number may be. Categories
    that only the model's encoders know are added behind those of the rows.
    """
    features = []
    for j, feature in enumerate(schema.features):
        missing = _accepts(predictor, rows, j, np.nan, ())
        unseen = False
        categories = feature.categories
        if feature.is_category:
            unseen = _takes(predictor, rows, j, _stranger(categories))
            # What the model takes besides is what its encoders learnt from rows that are not here.
            more = () if unseen else learnt_categories(predictor.model, feature)
            categories += tuple(text for text in more if _takes(predictor, rows, j, text))
        features.append(
            replace(
                feature,
                categories=categories,
                allows_missing=missing,
                allows_unseen=unseen,
                limit=feature.limit if feature.is_time else _limit(predictor, rows, j, 1),
                lowest=feature.lowest if feature.is_time else -_limit(predictor, rows, j, -1),
            )
        )
    return replace(schema, features=tuple(features))


def _limit(predictor: Predictor, rows: Table, j: int, sign: int) -> float:
    """The largest of `MAGNITUDES` that the model takes on one side, or else what training held.

    A logarithm takes nothing below zero; its side ends at zero, or at the least that training held.
    """
    if rows.categories[j]:
        return sys.float_info.max
    held = sign * rows.codes[:, j]
    farthest = float(held[np.isfinite(held)].max(initial=-sys.float_info.max))
    codes = rows.codes[:1].copy()
    for magnitude in (m for m in (*MAGNITUDES, 0.0) if m >= farthest):
        codes[0, j] = sign * magnitude
        if _answer(predictor, rows.with_codes(codes)) is not None:
            return magnitude
    return farthest if np.isfinite(held).any() else 0.0


def _stranger(known: tuple[Any, ...]) -> Any:
    if known and isinstance(known[0], (int, float)):
        return max(known) + 1
    return max(known, key=len, default="") + "?"


def _takes(predictor: Predictor, rows: Table, j: int, category: Category) -> bool:
    """Whether the model takes a category that the rows do not have."""
    known = rows.categories[j]
    return _accepts(predictor, rows, j, float(len(known)), (*known, category))


def _accepts(
    predictor: Predictor, rows: Table, j: int, code: float, categories: tuple[Category, ...]
) -> bool:
    codes = rows.codes[:1].copy()
    codes[0, j] = code
    tables = rows.categories
    if categories:
        tables = (*tables[:j], categories, *tables[j + 1 :])
    answer = _answer(predictor, Table(codes, tables))
    return answer is not None and bool(np.isfinite(answer).all())


def _answer(predictor: Predictor, asked: Table) -> NDArray[np.float64] | None:
    """What the model says, or None where it raises."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # an encoder warns of what it then accepts
            predictor.predictions(asked)
            return predictor.outputs(asked)
    except Exception:  # noqa: BLE001 whatever a user's model raises is its way of saying no
        return None
