"""Raw features and engineered columns: where a pipeline is cut, and which column is whose.

A pipeline's last step sees engineered columns, its first raw features. The features that a column
depends on are read from the fitted transformers (`scoring.lineage`), never found by trying rows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.errors import ModelError
from scoring.feature import Feature
from scoring.frames import column_names
from scoring.lineage import Lineage, lineage_of, model_lineage
from scoring.models.transformed import halves
from scoring.predictor import EstimatorModel, Predictor, last_step
from scoring.schema import FeatureSchema
from scoring.table import Table

__all__ = [
    "Engineering",
    "engineered",
    "engineering_of",
    "lineage_of_model",
    "open_texts",
    "read_lineage",
    "shares_of",
    "split",
]

READ_ROWS = 4
"""Rows that pass through a transformer while it is read: they show how wide its parts are."""

COMPARED_ROWS = 64
"""Rows that both halves are held against the pipeline on."""

SAME = 1e-6
"""Largest difference between them, as a share of the largest answer."""

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
    lineage : of the columns.
    """

    head: Any
    tail: Any
    raw: FeatureSchema
    columns: FeatureSchema
    lineage: Lineage

    @cached_property
    def feature_map(self) -> NDArray[np.float64]:
        """How much of a column belongs to each feature, float64 (n_features, n_columns).

        Every column sums to 1; one that depends on several features is shared equally.
        """
        return shares_of(self.lineage, self.raw.n_features)

    @cached_property
    def exclusive(self) -> bool:
        """Whether every column depends on one feature only."""
        return all(len(column.sources) <= 1 for column in self.lineage.columns)

    @property
    def owners(self) -> NDArray[np.intp]:
        """The feature (n_columns,) that each column belongs to, or the first of several."""
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
    return halves(model.estimator) if isinstance(model, EstimatorModel) else None


def engineering_of(predictor: Predictor, examples: Table) -> Engineering | None:
    """Cut a predictor's pipeline and map its columns.

    Parameters
    ----------
    examples : ordinary rows.

    Returns
    -------
    None where the model is no pipeline, its columns are not numbers or too many to map, or its
    second half answers them otherwise alone.
    """
    halves = split(predictor.model)
    if halves is None:
        return None
    head, tail = halves
    raw = predictor.schema
    some = _spread(examples)
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
    try:
        lineage = read_lineage(head, raw, examples)
    except Exception:  # noqa: BLE001 a part of a pipeline may refuse what the whole takes
        return None
    cut = Engineering(head, tail, raw, columns, lineage)
    return cut if _answers_alike(cut, predictor, examples) else None


def _answers_alike(cut: Engineering, predictor: Predictor, examples: Table) -> bool:
    """Whether the second half answers dense columns as the pipeline answers raw rows.

    XGBoost, for one, takes the zeros that a sparse matrix leaves out for missing.
    """
    rows = _spread(examples, COMPARED_ROWS)
    try:
        whole, parts = predictor.outputs(rows), cut.predictor(predictor).outputs(cut.table(rows))
    except ModelError:
        return False
    largest = np.abs(whole).max(initial=0.0)
    return bool(np.allclose(parts, whole, rtol=0, atol=SAME * largest, equal_nan=True))


def read_lineage(head: Any, raw: FeatureSchema, examples: Table) -> Lineage:
    """Read a fitted transformer of raw rows, a few of which it transforms meanwhile."""
    rows = EstimatorModel(head, raw).rows(_spread(examples))
    return lineage_of(head, raw.features, rows)


def lineage_of_model(predictor: Predictor, examples: Table) -> Lineage | None:
    """Read what a model's own parts know of raw values; None where it cannot be looked into."""
    model = predictor.model
    if not isinstance(model, EstimatorModel):
        return None
    head, tail = split(model) or (None, model.estimator)
    try:
        rows = model.rows(_spread(examples))
        return model_lineage(head, last_step(tail), predictor.schema.features, rows)
    except Exception:  # noqa: BLE001 a part of a pipeline may refuse what the whole takes
        return None


def open_texts(predictor: Predictor, examples: Table) -> tuple[str, ...]:
    """The names of the features that a model may be any function of the text of."""
    features = predictor.schema.features
    texts = [j for j, feature in enumerate(features) if feature.is_category]
    lineage = lineage_of_model(predictor, examples)
    opened = set(texts) if lineage is None else lineage.opened
    return tuple(features[j].name for j in texts if j in opened and features[j].is_open)


def shares_of(lineage: Lineage, n_features: int) -> NDArray[np.float64]:
    """Share every column equally among its sources; float64 (n_features, n_columns).

    A column that depends on nothing is shared by all features.
    """
    marked = lineage.sources(n_features)
    marked |= ~marked.any(axis=0)
    shares: NDArray[np.float64] = marked / marked.sum(axis=0)
    return shares


def _spread(examples: Table, n_rows: int = READ_ROWS) -> Table:
    places = np.linspace(0, examples.n_rows - 1, n_rows).astype(np.intp)
    return examples.take(places)


def _transformed(head: Any, raw: FeatureSchema, rows: Table) -> Any:
    """Engineered rows, as a DataFrame or a dense array."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of encoders about categories that they then accept
        columns = head.transform(EstimatorModel(head, raw).rows(rows))
    return columns.toarray() if hasattr(columns, "toarray") else columns


def _numbers(columns: Any) -> NDArray[np.float64]:
    return np.asarray(columns, dtype=np.float64)


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
