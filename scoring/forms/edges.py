"""Rows where a wrong copy of a model looks right everywhere else: the edges of its domain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.feature import Category, Feature
from scoring.forms.estimators import sklearn_trees
from scoring.schema import FeatureSchema
from scoring.table import Table

__all__ = ["STRANGER", "STRANGERS", "covering_rows", "edge_rows", "held_out_rows", "threshold_rows"]

CONTEXTS = 4
"""Background rows that each edge value is put into."""

FAR = 1e60
"""How far from zero a number is tried: a model that computes in double precision squares it, and a
copy in single precision has no such number."""

COVERING_SHARES = (1.0, 0.5, 0.25)

STRANGER = "\N{REPLACEMENT CHARACTER}never seen"
STRANGERS = (STRANGER, "nan", "None", "")
"""Texts that training did not see, as a rule; some forms write the word for a missing one."""


def held_out_rows(background: Background, sample: NDArray[np.float64], n_rows: int = 1000) -> Table:
    """Rows mixed feature by feature from the background, after the background and the sample."""
    known = background.table.codes
    rng = np.random.default_rng(0)
    picks = rng.choice(len(known), (n_rows, known.shape[1]), p=background.weights)
    mixed = np.take_along_axis(known, picks, axis=0)
    return background.table.with_codes(np.concatenate([known[:n_rows], mixed, sample[np.newaxis]]))


def edge_rows(schema: FeatureSchema, background: Background) -> Table:
    """Background rows with one feature at a time at the edge of what it may be.

    The ends of the training range and beyond, every category; missing, and categories that
    training never saw, where the schema allows them. At the end all features at once.
    """
    known = background.table.codes
    rows = []
    for j, feature in enumerate(schema.features):
        values = _edges(feature)
        contexts = np.resize(np.arange(len(known)), CONTEXTS * len(values))
        some = known[contexts].copy()
        some[:, j] = np.tile(values, CONTEXTS)
        rows.append(some)
    ends = [_edges(feature) for feature in schema.features]
    widest = max(map(len, ends))
    rows.append(np.column_stack([np.resize(values, widest) for values in ends]))
    return Table(np.concatenate(rows), _with_strangers(schema))


def covering_rows(schema: FeatureSchema, examples: Table) -> Table:
    """Few rows that hold every category, gap and end of a range of every feature.

    Examples of which all features, a half and a quarter stand at an edge, each row at others.
    """
    rng = np.random.default_rng(0)
    ends = [_edges(feature, far=False) for feature in schema.features]
    n_rows = max(map(len, ends))
    blocks = []
    for share in COVERING_SHARES:
        edges = np.column_stack([np.resize(rng.permutation(end), n_rows) for end in ends])
        codes = examples.codes[rng.integers(0, examples.n_rows, n_rows)]
        blocks.append(np.where(rng.random(edges.shape) < share, edges, codes))
    return Table(np.concatenate(blocks), _with_strangers(schema))


def threshold_rows(estimator: Any, schema: FeatureSchema, background: Background) -> Table | None:
    """Rows on both sides of every split of trees that see the raw features, or None.

    Each threshold is there itself and with its neighbours, as float64 and as float32, because
    scikit-learn compares float32 values with float64 thresholds and others do not. One row holds
    a threshold of every feature, drawn together at random: as many rows as the feature with the
    most splits needs.
    """
    known, rng = background.table.codes, np.random.default_rng(0)
    thresholds: list[list[NDArray[np.float64]]] = [[] for _ in schema.features]
    for tree in sklearn_trees(estimator):
        if tree.n_features == schema.n_features:
            for j in np.unique(tree.feature[tree.feature >= 0]):
                thresholds[j].append(tree.threshold[tree.feature == j])
    sides = [_sides(np.concatenate(found)) if found else np.zeros(0) for found in thresholds]
    n_rows = max(map(len, sides))
    if not n_rows or any(feature.is_category for feature in schema.features):
        return None
    rows = known[np.resize(np.arange(len(known)), n_rows)].copy()
    for j, values in enumerate(sides):
        if len(values):
            rows[:, j] = np.resize(rng.permutation(values), n_rows)
    return background.table.with_codes(rows)


def _sides(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each threshold with its neighbours on both sides, in float64 and in float32."""
    exact: NDArray[np.float64] = np.unique(thresholds)
    single = exact.astype(np.float32)
    doubles = [np.nextafter(exact, far) for far in (-np.inf, np.inf)]
    singles = [np.nextafter(single, np.float32(far)) for far in (-np.inf, np.inf)]
    around = [exact, *doubles, *(side.astype(np.float64) for side in (single, *singles))]
    return np.unique(np.concatenate(around))


def _with_strangers(schema: FeatureSchema) -> tuple[tuple[Category, ...], ...]:
    """The categories of each feature, and after them some that training never saw."""
    return tuple(
        (*f.categories, *f.others(STRANGERS)) if f.is_category else () for f in schema.features
    )


def _edges(feature: Feature, *, far: bool = True) -> NDArray[np.float64]:
    if feature.is_category:
        n_unseen = len(feature.others(STRANGERS)) if feature.allows_unseen else 0
        values = [float(code) for code in range(len(feature.categories) + n_unseen)]
    elif feature.kind == "boolean":
        values = [0.0, 1.0]
    elif feature.allowed:
        values = list(feature.allowed)
    else:
        low, high = feature.minimum or 0.0, feature.maximum or 0.0
        step = (high - low) or 1.0
        values = [low, high, low - step, high + step, 0.0]
        if feature.kind == "number":
            values += [np.nextafter(low, -np.inf), np.nextafter(high, np.inf)]
        if far:
            values += [max(feature.lowest, -FAR), min(feature.limit, FAR)]
    return np.array([*values, *([np.nan] if feature.allows_missing else [])])
