"""Raw rows on both sides of the splits of trees that see engineered columns.

A tree behind an imputer and a scaler compares a scaled number with its threshold. Where that number
crosses the threshold as the raw feature grows, a copy that computes in another precision may take
the other side. The crossing is found by bisection in the raw feature.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.features import Engineering, engineering_of
from scoring.forms.estimators import parts, sklearn_trees
from scoring.predictor import Predictor
from scoring.table import Table

__all__ = ["crossing_rows", "thresholds_of"]

MOST = 4000
"""Crossings that are looked for, drawn from all thresholds by a fixed seed."""

GRID = 65
"""Values of a feature among which the neighbours of a crossing are found first."""

HALVINGS = 64

WHOLE = {"integer", "boolean"}
"""Kinds of features whose table takes no other numbers than whole ones."""


def crossing_rows(predictor: Predictor, background: Background) -> Table | None:
    """Rows on both sides of every split behind a pipeline's first half, or None.

    Only columns that depend on one number count; categories are tried one by one elsewhere. Each
    row holds a crossing of every feature, drawn together at random.
    """
    cut = engineering_of(predictor, background.table)
    if cut is None:
        return None
    columns, thresholds = thresholds_of(cut.tail, cut.columns.n_features)
    single = (cut.feature_map > 0).sum(axis=0) == 1
    numeric = np.array([not (f.is_category or f.allowed) for f in cut.raw.features])
    usable = single[columns] & numeric[cut.owners[columns]]
    columns, thresholds = columns[usable], thresholds[usable]
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(columns))[:MOST])
    columns, thresholds = columns[chosen], thresholds[chosen]
    owners = cut.owners[columns]
    found = {
        int(j): _sides(cut, background, int(j), columns[owners == j], thresholds[owners == j])
        for j in np.unique(owners)
    }
    n_rows = max((len(values) for values in found.values()), default=0)
    if not n_rows:
        return None
    known = background.table.codes
    rows = known[np.resize(np.arange(len(known)), n_rows)].copy()
    for j, values in found.items():
        if len(values):
            rows[:, j] = np.resize(rng.permutation(values), n_rows)
    return background.table.with_codes(rows)


def thresholds_of(tail: Any, width: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Columns (n,) and thresholds (n,) that an estimator's trees compare, each pair once."""
    pairs = [np.zeros((0, 2))]
    for tree in sklearn_trees(tail):
        inner = tree.feature >= 0
        if tree.n_features == width:
            pairs.append(np.column_stack([tree.feature[inner], tree.threshold[inner]]))
    for part in parts(tail):
        name = f"{type(part).__module__}.{type(part).__qualname__}"
        if name.endswith("_hist_gradient_boosting.predictor.TreePredictor"):
            inner = (part.nodes["is_leaf"] == 0) & (part.nodes["is_categorical"] == 0)
            nodes = part.nodes[inner]
            pairs.append(np.column_stack([nodes["feature_idx"], nodes["num_threshold"]]))
        elif name == "lightgbm.basic.Booster":
            frame = part.trees_to_dataframe()
            frame = frame[frame["decision_type"] == "<="]
            order = {feature: c for c, feature in enumerate(part.feature_name())}
            columns = frame["split_feature"].map(order)
            pairs.append(np.column_stack([columns, frame["threshold"].astype(float)]))
    unique = np.unique(np.concatenate(pairs), axis=0)
    unique = unique[np.isfinite(unique).all(axis=1)]
    return unique[:, 0].astype(np.intp), unique[:, 1]


def _sides(
    cut: Engineering,
    background: Background,
    j: int,
    columns: NDArray[np.intp],
    thresholds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Raw values just on both sides of each crossing, in double and in single precision."""
    feature = cut.raw.features[j]
    low, high = feature.minimum or 0.0, feature.maximum or 0.0
    span = (high - low) or 1.0
    least, most = max(low - span, feature.lowest), min(high + span, feature.limit)
    if feature.kind == "boolean":  # a table takes no other flags
        least, most = 0.0, 1.0
    grid = np.linspace(least, most, GRID)
    below = _engineered(cut, background, j, grid)[:, columns] <= thresholds  # (GRID, n)
    flips = below[1:] != below[:-1]
    crossed = flips.any(axis=0)
    first = flips.argmax(axis=0)[crossed]
    columns, thresholds = columns[crossed], thresholds[crossed]
    left, right = grid[first], grid[first + 1]
    left_below = below[first, np.flatnonzero(crossed)]
    which = np.arange(len(columns))
    for _ in range(HALVINGS if len(columns) else 0):
        if feature.kind in WHOLE and (right - left).max() < 0.5:
            break  # each rounds to a neighbour of the other
        middle = left + (right - left) / 2
        values = _engineered(cut, background, j, middle)[which, columns]
        same = (values <= thresholds) == left_below
        left, right = np.where(same, middle, left), np.where(same, right, middle)
    single = np.concatenate([left, right]).astype(np.float32)
    around = [np.nextafter(single, np.float32(far)) for far in (-np.inf, np.inf)]
    sides = np.concatenate([left, right, single, *around]).astype(np.float64)
    whole = np.rint(sides) if feature.kind in WHOLE else sides
    return np.unique(np.clip(whole, least, most))


def _engineered(
    cut: Engineering, background: Background, j: int, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Engineered rows (n, n_columns) of one background row with other values of a feature."""
    codes = np.repeat(background.table.codes[:1], len(values), axis=0)
    codes[:, j] = np.rint(values) if cut.raw.features[j].kind in WHOLE else values
    return cut.table(background.table.with_codes(codes)).codes
