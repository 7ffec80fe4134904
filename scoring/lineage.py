"""Column lineage: the raw features behind engineered columns, read from fitted transformers.

Transformers whose arithmetic is known say which inputs a column has and how it depends on them.
Every other transformer may be any function of all that it is given: nothing about it is concluded
from rows. A feature of categories is *closed* where everything that reads its texts is an encoder
with a list of them; otherwise it is *open*, a function of the text itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.feature import Feature

__all__ = ["Column", "Form", "Lineage", "Vocabulary", "is_gap", "lineage_of", "model_lineage"]


class Form(IntEnum):
    """How a column depends on its sources, from what is known best to what is not known."""

    VALUE = 0  # the raw value itself, its gaps filled with one value at the most
    AFFINE = 1  # an affine function of numbers, gaps apart
    CODED = 2  # a function of one category's place in an encoder's list
    OTHER = 3  # any function


@dataclass(frozen=True)
class Column:
    """A column as a function of raw features, given by their indices."""

    sources: frozenset[int]
    form: Form


@dataclass(frozen=True)
class Vocabulary:
    """Values of a feature that an encoder learnt.

    Parameters
    ----------
    values : in the encoder's order, gaps left out.
    gaps : the markers of a missing value, None or NaN, that the encoder learnt as a category.
    strict : whether other values are refused; otherwise all of them are encoded as one.
    """

    feature: int
    values: tuple[Any, ...]
    gaps: tuple[Any, ...] = ()
    strict: bool = True


@dataclass
class Lineage:
    """Columns of a fitted transformer, and what it knows of raw values.

    Parameters
    ----------
    columns : of the transformer's output, in order.
    vocabularies : of all encoders that read raw values.
    opened : features whose raw values something else reads, which may be any function of them.
    exact : those of numbers among them that are not read as double precision has them.
    """

    columns: tuple[Column, ...]
    vocabularies: list[Vocabulary] = field(default_factory=list)
    opened: set[int] = field(default_factory=set)
    exact: set[int] = field(default_factory=set)

    def sources(self, n_features: int) -> NDArray[np.bool_]:
        """Mark the features that a column may depend on; bool (n_features, n_columns)."""
        marked = np.zeros((n_features, len(self.columns)), dtype=bool)
        for c, column in enumerate(self.columns):
            marked[list(column.sources), c] = True
        return marked


def lineage_of(head: Any, features: Sequence[Feature], rows: Any) -> Lineage:
    """Read a fitted transformer of raw rows.

    Parameters
    ----------
    features : of the raw rows, in order.
    rows : a few of them, DataFrame or array (n_rows, n_features), which the transformer takes.
    """
    trace = _Trace(tuple(features))
    start = [Column(frozenset([j]), Form.VALUE) for j in range(len(features))]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of encoders about categories that they then accept
        columns, _ = trace.through(head, start, rows)
    return Lineage(tuple(columns), trace.vocabularies, trace.opened, trace.exact)


def model_lineage(head: Any, estimator: Any, features: Sequence[Feature], rows: Any) -> Lineage:
    """Read a fitted model of raw rows, to its own encoding of categories.

    Parameters
    ----------
    head : the transformer before the estimator, or None.
    features, rows : as in `lineage_of`.
    """
    trace = _Trace(tuple(features))
    columns = [Column(frozenset([j]), Form.VALUE) for j in range(len(features))]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        columns, rows = trace.through(head, columns, rows)
        _close(trace, estimator, columns, rows)
    return Lineage(tuple(columns), trace.vocabularies, trace.opened, trace.exact)


def _close(trace: _Trace, estimator: Any, columns: Columns, rows: Any) -> None:
    """Read what an estimator itself makes of raw categories."""
    preprocessor = getattr(estimator, "_preprocessor", None)
    if preprocessor is not None and _name(estimator).startswith("sklearn.HistGradientBoosting"):
        trace.through(preprocessor, columns, rows)
        return
    lists = _native_lists(estimator, rows)
    for column, learnt in zip(columns, lists or [None] * len(columns), strict=True):
        if trace.is_text(column) and learnt is not None:
            trace.encoded(column, learnt, strict=False)
        elif trace.is_text(column):
            trace.open([column])


def _native_lists(estimator: Any, rows: Any) -> list[Any] | None:
    """Lists of categories that a boosting library keeps, one for each column or None."""
    if not hasattr(rows, "columns"):
        return None
    booster = getattr(estimator, "booster_", estimator)
    if _name(booster) == "lightgbm.Booster":
        lists = iter(booster.pandas_categorical or [])
        dtypes = (str(rows.iloc[:, c].dtype) for c in range(rows.shape[1]))
        return [next(lists, None) if dtype == "category" else None for dtype in dtypes]
    if type(estimator).__module__.partition(".")[0] == "xgboost":
        booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
        if not hasattr(booster, "get_categories"):
            return None
        pairs = booster.get_categories(export_to_arrow=True).to_arrow()
        lists = [None if learnt is None else learnt.to_pylist() for _, learnt in pairs]
        return lists if len(lists) == rows.shape[1] else None
    return None


def _name(model: Any) -> str:
    """The package and the name of a model's type."""
    kind = type(model)
    return f"{kind.__module__.partition('.')[0]}.{kind.__name__}"


def _vocabulary(feature: int, learnt: Any, *, strict: bool) -> Vocabulary:
    """Part an encoder's list into values and gaps."""
    items = [item.item() if isinstance(item, np.generic) else item for item in learnt]
    values = tuple(item for item in items if not is_gap(item))
    gaps = tuple(item for item in items if is_gap(item))
    return Vocabulary(feature, values, gaps, strict)


def is_gap(value: Any) -> bool:
    """Whether a value stands for a missing one: None, NaN or pandas.NA."""
    return value is None or type(value).__name__ == "NAType" or value != value  # noqa: PLR0124 NaN


Columns = list[Column]

Read = Callable[["_Trace", Any, Columns, Any], Columns | None]
"""From a fitted transformer and its input's columns and rows to its output's columns; None where
they are not known."""


class _Trace:
    """A walk through nested transformers, with a few rows that are transformed along the way."""

    def __init__(self, features: tuple[Feature, ...]) -> None:
        self.features = features
        self.vocabularies: list[Vocabulary] = []
        self.opened: set[int] = set()
        self.exact: set[int] = set()

    def through(self, transformer: Any, columns: Columns, rows: Any) -> tuple[Columns, Any]:
        """Return a transformer's columns and its rows."""
        if transformer is None or isinstance(transformer, str):  # 'passthrough'
            return columns, rows
        if _is_pipeline(transformer):  # which asks its steps for tags that they need not have
            for _, step in transformer.steps:
                columns, rows = self.through(step, columns, rows)
            return columns, rows
        answer = transformer.transform(rows)
        width = 1 if np.ndim(answer) == 1 else answer.shape[1]
        read = _reader(transformer)
        if read is not None and len(columns) == (1 if np.ndim(rows) == 1 else rows.shape[1]):
            before = len(self.vocabularies), set(self.opened)
            known = read(self, transformer, columns, rows)
            if known is not None and len(known) == width:
                return known, answer
            del self.vocabularies[before[0] :]
            self.opened = before[1]
        self.open(columns)
        self.exact |= {j for c in columns if c.form == Form.VALUE for j in c.sources}
        union = frozenset().union(*(column.sources for column in columns))
        return [Column(union, Form.OTHER)] * width, answer

    def open(self, columns: Sequence[Column]) -> None:
        """Note that something may be any function of these columns."""
        for column in columns:
            if column.form == Form.VALUE:
                self.opened |= column.sources

    def is_text(self, column: Column) -> bool:
        """Whether a column holds raw categories."""
        return column.form == Form.VALUE and all(
            self.features[j].is_category for j in column.sources
        )

    def alone(self, column: Column) -> Column:
        """Return the column made of this one alone by a function that is not known further."""
        if column.form == Form.VALUE:
            self.open([column])
        return replace(column, form=Form.CODED if column.form == Form.CODED else Form.OTHER)

    def affine(self, column: Column) -> Column:
        """Return this column scaled and shifted."""
        if self.is_text(column):
            return self.alone(column)
        return replace(column, form=max(column.form, Form.AFFINE))

    def encoded(self, column: Column, learnt: Any, *, strict: bool) -> Column:
        """Return what an encoder makes of a column by its list."""
        if column.form != Form.VALUE:
            return self.alone(column)
        [feature] = column.sources
        self.vocabularies.append(_vocabulary(feature, learnt, strict=strict))
        self.exact.add(feature)
        return replace(column, form=Form.CODED if self.is_text(column) else Form.OTHER)


def _is_pipeline(transformer: Any) -> bool:
    return _name(transformer) in {"sklearn.Pipeline", "sklearn_pandas.TransformerPipeline"}


def _reader(transformer: Any) -> Read | None:
    """The reader of a transformer's very type; a subclass may do anything."""
    kind = type(transformer)
    if kind.__module__.partition(".")[0] != "sklearn":
        return None
    if kind.__module__.startswith("sklearn.feature_selection"):
        return _selected
    return READERS.get(kind.__name__)


def _union(trace: _Trace, union: Any, columns: Columns, rows: Any) -> Columns:
    joined: Columns = []
    for _, part in union.transformer_list:
        if part != "drop":
            joined += trace.through(part, columns, rows)[0]
    return joined


def _column_transformer(
    trace: _Trace, transformer: Any, columns: Columns, rows: Any
) -> Columns | None:
    """Branches of columns by name where rows have names, else by place."""
    slices, inputs = transformer.output_indices_, transformer._transformer_to_input_indices  # noqa: SLF001 no public name
    names = list(rows.columns) if hasattr(rows, "columns") else None
    trained_on = getattr(transformer, "feature_names_in_", None)
    width = max((part.stop for part in slices.values()), default=0)
    joined: list[Column | None] = [None] * width
    for name, branch, chosen in transformer.transformers_:
        part = slices.get(name, slice(0, 0))
        if part.start == part.stop:
            continue
        places = list(inputs[name])
        if names is not None and trained_on is not None:
            places = [names.index(trained_on[place]) for place in places]
        taken = rows.iloc[:, places] if names is not None else rows[:, places]
        if np.isscalar(chosen):  # a column that is named by itself comes as one dimension
            taken = taken.iloc[:, 0] if names is not None else taken[:, 0]
        joined[part] = trace.through(branch, [columns[place] for place in places], taken)[0]
    return None if None in joined else [column for column in joined if column is not None]


def _scaled(trace: _Trace, scaler: Any, columns: Columns, _: Any) -> Columns:
    each = trace.alone if getattr(scaler, "clip", False) else trace.affine
    return [each(column) for column in columns]


def _one_to_one(trace: _Trace, _: Any, columns: Columns, __: Any) -> Columns:
    return [trace.alone(column) for column in columns]


def _function(trace: _Trace, transformer: Any, columns: Columns, _: Any) -> Columns | None:
    """The identity, or a function of numbers one by one; of others nothing is known."""
    function = transformer.func
    checked = getattr(function, "func", None)  # HistGradientBoosting passes numbers on, checked
    of_sklearn = getattr(checked, "__module__", "") == "sklearn.utils.validation"
    if function is None or (of_sklearn and getattr(checked, "__name__", "") == "check_array"):
        return columns
    if isinstance(function, np.ufunc) and function.nin == 1 and not transformer.kw_args:
        return [trace.alone(column) for column in columns]
    return None


def _imputed(trace: _Trace, imputer: Any, columns: Columns, _: Any) -> Columns:
    """Columns with one value for all gaps, then flags of the columns that had gaps."""
    empty = [is_gap(value) for value in imputer.statistics_]
    kept = [
        column
        for column, nothing in zip(columns, empty, strict=True)
        if not nothing or imputer.keep_empty_features or imputer.strategy == "constant"
    ]
    if not is_gap(imputer.missing_values):  # a value of its own stands for a gap
        return [trace.alone(column) for column in kept] + _flags(trace, imputer.indicator_, columns)
    return kept + _flags(trace, imputer.indicator_, columns)


def _flags(trace: _Trace, indicator: Any, columns: Columns) -> Columns:
    """Flags of gaps: constant functions of a number or a category that is there."""
    if indicator is None:
        return []
    flagged = [columns[place] for place in indicator.features_]
    if not is_gap(indicator.missing_values):
        return [trace.alone(column) for column in flagged]
    forms = (Form.CODED if trace.is_text(c) else max(c.form, Form.AFFINE) for c in flagged)
    return [replace(column, form=form) for column, form in zip(flagged, forms, strict=True)]


def _indicated(trace: _Trace, indicator: Any, columns: Columns, _: Any) -> Columns:
    return _flags(trace, indicator, columns)


def _one_hot(trace: _Trace, encoder: Any, columns: Columns, _: Any) -> Columns:
    widths = encoder._n_features_outs  # noqa: SLF001 no public name
    strict = encoder.handle_unknown == "error"
    return _lists(trace, columns, encoder.categories_, widths, strict=strict)


def _ordinal(trace: _Trace, encoder: Any, columns: Columns, _: Any) -> Columns:
    strict = encoder.handle_unknown == "error"
    return _lists(trace, columns, encoder.categories_, [1] * len(columns), strict=strict)


def _target_encoded(trace: _Trace, encoder: Any, columns: Columns, _: Any) -> Columns:
    width = len(encoder.classes_) if encoder.target_type_ == "multiclass" else 1
    return _lists(trace, columns, encoder.categories_, [width] * len(columns), strict=False)


def _lists(trace: _Trace, columns: Columns, lists: Any, widths: Any, *, strict: bool) -> Columns:
    """Several columns for each input, by its list."""
    joined: Columns = []
    for column, learnt, width in zip(columns, lists, widths, strict=True):
        joined += [trace.encoded(column, learnt, strict=strict)] * int(width)
    return joined


def _labelled(trace: _Trace, encoder: Any, columns: Columns, _: Any) -> Columns:
    classes = encoder.classes_
    binary = type(encoder).__name__ == "LabelBinarizer"
    width = len(classes) if binary and len(classes) > 2 else 1
    return _lists(trace, columns, [classes], [width], strict=not binary)


def _selected(_: _Trace, selector: Any, columns: Columns, __: Any) -> Columns | None:
    if not hasattr(selector, "get_support"):
        return None
    return [columns[place] for place in np.flatnonzero(selector.get_support())]


def _widened(trace: _Trace, transformer: Any, columns: Columns, _: Any) -> Columns:
    """Bins or splines: several columns for each number."""
    if hasattr(transformer, "n_bins_"):
        one_hot = transformer.encode != "ordinal"
        widths = np.where(one_hot, transformer.n_bins_, 1)
    else:
        each = transformer.n_features_out_ // transformer.n_features_in_
        widths = np.full(len(columns), each)
    repeated = zip(columns, widths, strict=True)
    return [trace.alone(column) for column, width in repeated for _ in range(int(width))]


def _powers(trace: _Trace, transformer: Any, columns: Columns, _: Any) -> Columns:
    """Products of powers; a column to the power of one is what it was."""
    joined = []
    for powers in transformer.powers_:
        factors = [columns[place] for place in np.flatnonzero(powers)]
        if not factors:
            joined.append(Column(frozenset(), Form.AFFINE))
        elif powers.sum() == 1:
            joined.append(trace.affine(factors[0]))
        elif len(factors) == 1:
            joined.append(trace.alone(factors[0]))
        else:
            trace.open(factors)
            joined.append(Column(frozenset().union(*(f.sources for f in factors)), Form.OTHER))
    return joined


def _rotated(trace: _Trace, transformer: Any, columns: Columns, _: Any) -> Columns:
    """Affine combinations of all columns."""
    trace.open([column for column in columns if trace.is_text(column)])
    union = frozenset().union(*(column.sources for column in columns))
    flat = all(c.form in {Form.VALUE, Form.AFFINE} and not trace.is_text(c) for c in columns)
    return [Column(union, Form.AFFINE if flat else Form.OTHER)] * len(transformer.components_)


READERS: dict[str, Read] = {
    "FeatureUnion": _union,
    "ColumnTransformer": _column_transformer,
    "StandardScaler": _scaled,
    "MinMaxScaler": _scaled,
    "MaxAbsScaler": _scaled,
    "RobustScaler": _scaled,
    "QuantileTransformer": _one_to_one,
    "PowerTransformer": _one_to_one,
    "Binarizer": _one_to_one,
    "FunctionTransformer": _function,
    "SimpleImputer": _imputed,
    "MissingIndicator": _indicated,
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
    "TargetEncoder": _target_encoded,
    "LabelBinarizer": _labelled,
    "LabelEncoder": _labelled,
    "KBinsDiscretizer": _widened,
    "SplineTransformer": _widened,
    "PolynomialFeatures": _powers,
    "PCA": _rotated,
    "IncrementalPCA": _rotated,
    "TruncatedSVD": _rotated,
    "FactorAnalysis": _rotated,
}
"""Transformers whose arithmetic is known, by their type's name."""
