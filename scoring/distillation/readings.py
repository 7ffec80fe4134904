"""A model as an estimator of columns, each of which is one player's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.encoding import Encoding, encoding_of, plain_encoding
from scoring.features import Engineering, read_lineage
from scoring.games.additive import Additive, additive_of
from scoring.lineage import Form
from scoring.models.boosters import unwrapped
from scoring.players import Players
from scoring.predictor import Predictor
from scoring.table import Table

__all__ = ["Reading", "readings"]

Reading = tuple[Any, Encoding | None, NDArray[np.int64]]
"""An estimator of columns, the way to these, and the player that each of them belongs to."""


def readings(
    predictor: Predictor, engineering: Engineering | None, examples: Table, players: Players
) -> Iterator[Reading]:
    """Yield the ways to look at a model as an estimator of columns, the likeliest first.

    Parameters
    ----------
    predictor : of an estimator or pipeline.
    engineering : where the model is cut, if it is a pipeline.
    examples : rows that it takes.
    """
    estimator = unwrapped(getattr(predictor.model, "estimator", None))
    player_of = players.owners
    if engineering is None:
        encoding = _own_encoding(predictor, estimator, examples)
        if encoding is not None:
            yield estimator, encoding, player_of[encoding.sources]
        return
    sources = engineering.lineage.sources(predictor.schema.n_features)
    moved = players.membership @ sources > 0  # (n_players, n_columns)
    if (moved.sum(axis=0) <= 1).all():
        encoding = encoding_of(engineering, examples)
        yield unwrapped(engineering.tail), encoding, np.asarray(moved.argmax(axis=0))
        return
    composed = _composed(predictor, engineering, examples)
    if composed is not None:
        yield composed, plain_encoding(predictor.schema, {}), player_of


def _own_encoding(predictor: Predictor, estimator: Any, examples: Table) -> Encoding | None:
    """What an estimator that takes raw rows makes of them."""
    schema = predictor.schema
    own = getattr(estimator, "_preprocessor", None)
    if own is not None:  # HistGradientBoosting encodes and reorders columns of categories
        cut = Engineering(own, estimator, schema, schema, read_lineage(own, schema, examples))
        return encoding_of(cut, examples)
    if not any(feature.is_category for feature in schema.features):
        return plain_encoding(schema, {})
    known = getattr(getattr(estimator, "booster_", None), "pandas_categorical", None)
    of_categories = [j for j, feature in enumerate(schema.features) if feature.is_category]
    if known is None or len(known) != len(of_categories):
        return None
    lists = {}
    for j, categories in zip(of_categories, known, strict=True):
        place = {category: float(code) for code, category in enumerate(categories)}
        codes = [place.get(category, np.nan) for category in schema.features[j].categories]
        lists[j] = np.array([*codes, np.nan, np.nan])
    return plain_encoding(schema, lists)


def _composed(predictor: Predictor, cut: Engineering, examples: Table) -> Additive | None:
    """A linear model of columns that several features share, where it is one of raw features.

    Rotations of scaled columns are: what a feature adds to the scores is found by moving it.
    """
    tail = additive_of(cut.tail, predictor.space)
    if tail is None or any(f.is_category or f.allows_missing for f in predictor.schema.features):
        return None
    if any(column.form > Form.AFFINE for column in cut.lineage.columns):
        return None
    spread = np.ptp(examples.codes, axis=0)
    step = np.diag(np.where(spread > 0, spread, 1.0))
    base = examples.codes[:1]
    scores = cut.table(examples.with_codes(np.concatenate([base, base + step]))).codes
    scores = scores @ tail.coefficients.T + tail.intercepts
    slopes = ((scores[1:] - scores[0]) / np.diag(step)[:, np.newaxis]).T
    intercepts = scores[0] - slopes @ base[0]
    return Additive(slopes, intercepts, tail.link)
