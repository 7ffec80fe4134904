"""Raw features and engineered columns: where a pipeline is cut, and which column is whose.

A pipeline's last step sees engineered columns, its first raw features. Which features a column
depends on is read off a ColumnTransformer's branches and, inside a branch, found by changing one
feature at a time and looking which columns change.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.feature import Feature
from scoring.forms.estimators import learnt_categories
from scoring.frames import column_names
from scoring.predictor import EstimatorModel, Predictor
from scoring.schema import FeatureSchema
from scoring.table import Table

__all__ = ["Engineering", "engineered", "engineering_of", "feature_map", "split"]

CONTEXTS = 4
"""Ordinary rows in which each feature is changed, besides one of the smallest and one of the
largest values and one with gaps."""

VALUES = 24
"""Values of a number that are tried: as many that the examples have, and as many from a range
three times theirs."""

LARGEST_MAP = 4_000_000
"""Entries of a map; above, nobody wants to look at it, and it is not made."""


@dataclass(frozen=True, eq=False)
class Engineering:
    """A pipeline cut in two, and the map between the features of its halves.

    Parameters
    ----------
    head, tail : raw rows to columns, and columns to answers; both fitted.
    raw : the schema of raw rows.
    columns : the schema of engineered rows, all of them numbers.
    feature_map : float64 (n_features, n_columns), how much of a column belongs to each feature.
        Every column sums to 1; one that depends on several features is shared equally.
    """

    head: Any
    tail: Any
    raw: FeatureSchema
    columns: FeatureSchema
    feature_map: NDArray[np.float64]

    @cached_property
    def exclusive(self) -> bool:
        """Whether every column depends on one feature only."""
        return bool((self.feature_map.max(axis=0) == 1).all())

    @property
    def owners(self) -> NDArray[np.intp]:
        """The feature (n_columns,) that each column depends on most."""
        return np.asarray(self.feature_map.argmax(axis=0))

    def table(self, rows: Table) -> Table:
        """Transform raw rows to rows of engineered columns."""
        return Table(engineered(self.head, self.raw, rows), self.columns.code_tables)

    def background(self, background: Background) -> Background:
        """Transform a background's rows; their weights stay."""
        table = self.table(background.table)
        return Background(table, background.weights, background.method, background.n_source_rows)

    def predictor(self, whole: Predictor) -> Predictor:
        """The face of the second half, which answers what the whole pipeline answers."""
        model = EstimatorModel(self.tail, self.columns)
        return Predictor(model, self.columns, whole.space, whole.classes, whole.output_names)


def engineered(head: Any, raw: FeatureSchema, rows: Table) -> NDArray[np.float64]:
    """Run a pipeline's first half: from raw rows to columns (n_rows, n_columns)."""
    return np.ascontiguousarray(_numbers(_transformed(head, raw, rows)))


def split(model: Any) -> tuple[Any, Any] | None:
    """Cut a fitted pipeline before its last step; None for what is no pipeline."""
    if not isinstance(model, EstimatorModel):
        return None
    estimator = model.estimator
    if type(estimator).__module__ != "sklearn.pipeline" or len(estimator.steps) < 2:
        return None
    return estimator[:-1], estimator[-1]


def engineering_of(predictor: Predictor, examples: Table) -> Engineering | None:
    """Cut a predictor's pipeline and map its columns.

    Parameters
    ----------
    examples : ordinary rows, to change one feature at a time in.

    Returns
    -------
    None where the model is no pipeline, or its columns are not numbers, or too many to map.
    """
    halves = split(predictor.model)
    if halves is None:
        return None
    head, tail = halves
    raw = predictor.schema
    some = examples.take(np.linspace(0, examples.n_rows - 1, CONTEXTS).astype(np.intp))
    try:
        first = _transformed(head, raw, some)
        names = _names(head, first, raw)
        columns = FeatureSchema(
            tuple(Feature(name, allows_missing=True) for name in names),
            frame=column_names(first) is not None,
        )
        _numbers(first)
    except Exception:  # noqa: BLE001 a pipeline may end in anything, and then has no numeric columns
        return None
    if raw.n_features * len(names) > LARGEST_MAP:
        return None
    return Engineering(head, tail, raw, columns, feature_map(head, raw, examples))


def feature_map(head: Any, raw: FeatureSchema, examples: Table) -> NDArray[np.float64]:
    """How much of each engineered column belongs to each raw feature.

    Parameters
    ----------
    head : a fitted transformer of raw rows.
    examples : ordinary rows.

    Returns
    -------
    float64 (n_features, n_columns), every column summing to 1.
    """
    raw, examples = _with_known_categories(head, raw, examples)
    possible = _branches(head, raw)
    moved = np.zeros((raw.n_features, _width(head, raw, examples)), dtype=bool)
    for contexts in _contexts(head, raw, examples):
        base = _numbers(_transformed(head, raw, contexts))
        for j in range(raw.n_features):
            values = _values(raw.features[j], examples, j)
            tried = _changed(contexts, j, _beyond(raw.features[j], values))
            if not _takes(head, raw, tried):
                tried = _changed(contexts, j, values)
            values = tried.codes[: tried.n_rows // contexts.n_rows, j]
            changed = _numbers(_transformed(head, raw, tried))
            before = np.repeat(base, len(values), axis=0)
            same = (changed == before) | (np.isnan(changed) & np.isnan(before))
            moved[j] |= ~same.all(axis=0)
    if possible is not None and possible.shape == moved.shape:
        moved &= possible
        moved |= possible & ~moved.any(axis=0)  # a column that nothing moved: all it may depend on
    moved |= ~moved.any(axis=0)
    shares: NDArray[np.float64] = moved / moved.sum(axis=0)
    return shares


def _changed(contexts: Table, j: int, values: NDArray[np.float64]) -> Table:
    """Each of the contexts with each of the values of one feature."""
    codes = np.repeat(contexts.codes, len(values), axis=0)
    codes[:, j] = np.tile(values, contexts.n_rows)
    return contexts.with_codes(codes)


def _transformed(head: Any, raw: FeatureSchema, rows: Table) -> Any:
    """Engineered rows, as a DataFrame or a dense array."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of encoders about categories that they then accept
        columns = head.transform(EstimatorModel(head, raw).rows(rows))
    return columns.toarray() if hasattr(columns, "toarray") else columns


def _numbers(columns: Any) -> NDArray[np.float64]:
    return np.asarray(columns, dtype=np.float64)


def _width(head: Any, raw: FeatureSchema, examples: Table) -> int:
    return int(_transformed(head, raw, examples.take(slice(0, 1))).shape[1])


def _names(head: Any, columns: Any, raw: FeatureSchema) -> list[str]:
    """What the transformer calls its columns, where it can say so without repeating itself."""
    width = columns.shape[1]
    if (named := column_names(columns)) is not None:
        names = [str(name) for name in named]
    else:
        try:
            names = [
                str(name) for name in head.get_feature_names_out(np.asarray(raw.names, object))
            ]
        except Exception:  # noqa: BLE001 not every transformer has names, and each fails in its own way
            names = []
    short = [name.removeprefix("transformations__") for name in names]
    names = short if len(set(short)) == len(short) else names
    known = len(names) == width and len(set(names)) == width
    return names if known else [f"column_{c}" for c in range(width)]


def _contexts(head: Any, raw: FeatureSchema, examples: Table) -> Iterator[Table]:
    """Rows to change one feature at a time in: ordinary ones, the ends of the ranges, gaps."""
    spread = np.linspace(0, examples.n_rows - 1, CONTEXTS).astype(np.intp)
    codes = examples.codes
    ends = [np.nan_to_num(end(codes, axis=0)) for end in (_lowest, _highest)]
    yield examples.with_codes(np.concatenate([codes[np.unique(spread)], ends]))
    gaps = codes[:1].copy()
    gaps[:, [feature.allows_missing for feature in raw.features]] = np.nan
    table = examples.with_codes(gaps)
    if np.isnan(gaps).any() and _takes(head, raw, table):
        yield table


def _lowest(codes: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.asarray(np.fmin.reduce(codes, axis=axis))


def _highest(codes: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.asarray(np.fmax.reduce(codes, axis=axis))


def _takes(head: Any, raw: FeatureSchema, rows: Table) -> bool:
    try:
        _transformed(head, raw, rows)
    except Exception:  # noqa: BLE001 whatever a transformer raises is its way of saying no
        return False
    return True


def _values(feature: Feature, examples: Table, j: int) -> NDArray[np.float64]:
    """Values to try for one feature: every category, or numbers spread over the examples'."""
    if feature.is_category:
        seen = np.arange(len(feature.categories), dtype=np.float64)
    else:
        known = examples.codes[:, j]
        known = np.unique(known[~np.isnan(known)])
        seen = known[
            np.unique(np.linspace(0, len(known) - 1, VALUES).astype(np.intp))[: len(known)]
        ]
    return np.append(seen, np.nan) if feature.allows_missing else seen


def _beyond(feature: Feature, seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same values and more, in and around their range, where the model takes them."""
    numbers = seen[~np.isnan(seen)]
    if feature.is_category or feature.kind == "boolean" or not len(numbers):
        return seen
    span = np.ptp(numbers) or 1.0
    more = np.linspace(numbers.min() - span, numbers.max() + span, VALUES)
    more = np.clip(more, feature.lowest, feature.limit)
    return np.unique(np.concatenate([seen, np.rint(more) if feature.kind == "integer" else more]))


def _with_known_categories(
    head: Any, raw: FeatureSchema, examples: Table
) -> tuple[FeatureSchema, Table]:
    """Add categories that the encoders learnt and the examples do not have."""
    features = [
        replace(feature, categories=(*feature.categories, *learnt_categories(head, feature)))
        for feature in raw.features
    ]
    extended = replace(raw, features=tuple(features))
    return extended, Table(examples.codes, extended.code_tables)


def _branches(head: Any, raw: FeatureSchema) -> NDArray[np.bool_] | None:
    """What a ColumnTransformer's branches allow, bool (n_features, n_columns); None for others."""
    while hasattr(head, "steps") and len(head.steps) == 1:
        head = head.steps[0][1]
    slices = getattr(head, "output_indices_", None)
    if slices is None or not hasattr(head, "transformers_"):
        return None
    width = max((part.stop for part in slices.values()), default=0)
    allowed = np.zeros((raw.n_features, width), dtype=bool)
    inputs = list(getattr(head, "feature_names_in_", raw.names))
    for name, _, columns in head.transformers_:
        part = slices.get(name, slice(0, 0))
        for column in _listed(columns, inputs):
            if column in raw.names:
                allowed[raw.names.index(column), part] = True
    return allowed if allowed.any(axis=0).all() else None


def _listed(columns: Any, inputs: list[str]) -> list[str]:
    """The names of the columns that a branch takes, however they were given."""
    if callable(columns):
        return inputs
    if isinstance(columns, slice):
        named = isinstance(columns.start, str) or isinstance(columns.stop, str)
        return inputs if named else inputs[columns]
    chosen = np.atleast_1d(np.asarray(columns))
    if chosen.dtype == bool:
        return [name for name, kept in zip(inputs, chosen, strict=True) if kept]
    return [c if isinstance(c, str) else inputs[int(c)] for c in chosen.tolist()]
