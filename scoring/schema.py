"""The feature schema: what a row must look like, and the way from any accepted form to a Table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.encode import Violations, encode_categories, encode_numbers
from scoring.encode_few import FEW, FewRows
from scoring.errors import ParameterError, RowsError, Violation
from scoring.feature import Feature, Kind
from scoring.table import Table
from scoring.texts import encodable

__all__ = ["FeatureSchema", "Names", "infer_for", "is_frame"]

Names = Sequence[Any] | NDArray[Any]
"""Names as people have them: a list, or an array such as scikit-learn's `feature_names`."""


@dataclass(frozen=True)
class FeatureSchema:
    """The features in order, and whether the model was trained on a named frame."""

    features: tuple[Feature, ...]
    frame: bool = False
    code_tables: tuple[tuple[str | int, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code_tables", tuple(f.categories for f in self.features))

    def __getstate__(self) -> dict[str, Any]:
        return {"features": self.features, "frame": self.frame}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    @property
    def n_features(self) -> int:
        """How many features a row has."""
        return len(self.features)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    @classmethod
    def infer(cls, x: Any, names: Names | None = None) -> FeatureSchema:
        """Read the schema off training rows.

        Parameters
        ----------
        x : DataFrame or array (n_rows, n_features).
        names : the features' names, for an array; a DataFrame has its own.

        Raises
        ------
        ParameterError
            Duplicate names, a wrong number of names, or a column of a kind that is not supported.
        """
        named = is_frame(x) and all(isinstance(name, str) for name in x.columns)
        x = x if is_frame(x) else _two_dimensional(x)
        _check_shape(x)
        names = _names(x, names, named=named)
        columns = [x.iloc[:, j] if is_frame(x) else x[:, j] for j in range(x.shape[1])]
        return cls(
            tuple(_infer_feature(n, c) for n, c in zip(names, columns, strict=True)), frame=named
        )

    def encode(self, x: Any) -> Table:
        """Check rows that come from Python: a DataFrame, an array, a Table, or a list of rows.

        A DataFrame's columns are found by name and may stand in any order.

        Raises
        ------
        RowsError
            With every violation, the first hundred in full.
        """
        if isinstance(x, Table):
            return x
        if is_frame(x) and (self.frame or all(isinstance(n, str) for n in x.columns)):
            violations, counts = Violations(), Counter(x.columns.tolist())
            for name in self.names:
                if counts[name] != 1:
                    rule = "is missing" if counts[name] == 0 else "appears more than once"
                    violations.add(None, name, rule)
            extra = sum(count for name, count in counts.items() if name not in self.names)
            if extra:
                violations.add(None, None, f"{extra} columns are not in the schema")
            violations.raise_if_any()
            return self.encode_columns({name: _values(x[name]) for name in self.names})
        rows = x.to_numpy() if is_frame(x) else _two_dimensional(x)
        if self._takes_at_a_glance(rows):
            return Table(rows.copy(), self.code_tables)
        if rows.shape[1] != self.n_features:
            rule = f"rows must have {self.n_features} values, not {rows.shape[1]}"
            raise RowsError([Violation(None, None, rule)])
        return self.encode_columns({name: rows[:, j] for j, name in enumerate(self.names)})

    def _takes_at_a_glance(self, rows: NDArray[Any]) -> bool:
        """Whether rows are numbers without gaps and every rule is kept, seen without a loop."""
        if len(self._numbers) != self.n_features or rows.shape[1] != self.n_features:
            return False
        return rows.dtype == np.float64 and self._keeps_the_rules(rows)

    def _keeps_the_rules(self, numbers: NDArray[np.float64]) -> bool:
        """Whether the numeric features' values (n_rows, n_numbers) are none that a rule forbids."""
        lowest, limit, whole = self._rules
        if not ((numbers >= lowest) & (numbers <= limit)).all():
            return False
        integers = numbers[:, whole]
        return bool((np.floor(integers) == integers).all())

    @cached_property
    def _numbers(self) -> tuple[int, ...]:
        """The places of numeric features; the others have rules of another kind."""
        kinds = enumerate(feature.kind for feature in self.features)
        return tuple(j for j, kind in kinds if kind in {"number", "integer"})

    @cached_property
    def _rules(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
        """How low and high each number may be, and which have to be whole."""
        numeric = [self.features[j] for j in self._numbers]
        whole = np.flatnonzero([feature.kind == "integer" for feature in numeric])
        lowest = np.array([feature.lowest for feature in numeric])
        return lowest, np.array([feature.limit for feature in numeric]), whole

    def _at_a_glance(
        self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]
    ) -> NDArray[np.float64] | None:
        """All numeric columns at once (n_rows, n_numbers), where nothing is wrong with any."""
        values = [columns[self.features[j].name] for j in self._numbers]
        if not all(isinstance(each, list) for each in values):
            return None
        if not set(map(type, chain.from_iterable(values))) <= {int, float}:
            return None
        try:
            numbers = np.array(values, dtype=np.float64).T
        except OverflowError:  # an integer that no float holds
            return None
        return numbers if self._keeps_the_rules(numbers) else None

    @cached_property
    def _few(self) -> FewRows:
        return FewRows(self.features)

    def encode_columns(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Table:
        """Check columns of plain values, all of one length and one for each feature.

        Parameters
        ----------
        columns : per feature name its values (n_rows,); None or NaN where one is missing.

        Raises
        ------
        RowsError
            With every violation, the first hundred in full.
        """
        n_rows = len(columns[self.features[0].name])
        if 0 < n_rows <= FEW:
            plain = self._few.encode(columns, n_rows)
            if plain is not None:
                return Table(plain, self.code_tables)
        violations, notes = Violations(), Violations()
        codes = np.empty((n_rows, self.n_features))
        numbers = self._at_a_glance(columns) if self._numbers else None
        if numbers is not None:
            codes[:, self._numbers] = numbers
            if len(self._numbers) == self.n_features:
                return Table(codes, self.code_tables)
        categories = []
        for j, feature in enumerate(self.features):
            values = columns[feature.name]
            if numbers is not None and feature.kind in {"number", "integer"}:
                categories.append(feature.categories)
            elif feature.is_category:
                extended = encode_categories(feature, values, codes[:, j], violations, notes)
                categories.append(extended)
            else:
                encode_numbers(feature, values, codes[:, j], violations)
                categories.append(())
        violations.raise_if_any()
        if more := notes.total - len(notes.listed):
            notes.listed.append(Violation(None, None, f"and {more} more like these"))
        return Table(codes, tuple(categories), tuple(notes.listed))


def infer_for(model: Any, x: Any, names: Names | None = None) -> FeatureSchema:
    """Read the schema off rows that a fitted model takes.

    What training held is allowed, gaps included. A model that was trained on plain arrays is
    called with plain arrays, whatever `x` is.
    """
    schema = FeatureSchema.infer(x, names)
    owner = getattr(model, "__self__", model)
    trained_on = tuple(str(name) for name in getattr(owner, "feature_names_in_", ()))
    if trained_on and (names is not None or schema.frame):
        _check_names(schema.names, trained_on, "features" if names is not None else "x")
    arrays = hasattr(owner, "n_features_in_") and not hasattr(owner, "feature_names_in_")
    return FeatureSchema(
        tuple(replace(feature, allows_missing=True) for feature in schema.features),
        frame=schema.frame and not (arrays and not any(schema.code_tables)),
    )


def _check_names(names: Sequence[str], trained_on: Sequence[str], argument: str) -> None:
    """Hold the names of columns against those that the model was trained on.

    LightGBM writes underscores for the spaces in names.
    """
    if [name.replace(" ", "_") for name in names] == list(trained_on):
        return
    missing = [name for name in trained_on if name not in names]
    extra = [name for name in names if name not in trained_on]
    if not missing and not extra:
        if argument == "features" and list(names) != list(trained_on):
            rule = "must be in the order of the model's feature_names_in_"
            raise ParameterError(argument, rule)
        return
    if argument == "features":
        return  # names to show; the model itself may know its columns by others
    told = [f"lacks {', '.join(missing)}"] * bool(missing)
    told += [f"has {', '.join(extra)} besides"] * bool(extra)
    rule = f"must have the columns that the model was trained on; it {' and '.join(told)}"
    raise ParameterError(argument, rule)


def is_frame(x: Any) -> bool:
    """Whether x is a pandas DataFrame; asks without importing pandas."""
    return hasattr(x, "iloc") and hasattr(x, "columns")


def _check_shape(x: Any) -> None:
    if not x.shape[1]:
        raise ParameterError("x", "must have at least one column")
    if not is_frame(x):
        return
    twice = [str(name) for name in dict.fromkeys(x.columns[x.columns.duplicated()])]
    if twice:
        rule = f"must not have columns of one name: {', '.join(twice)}"
        raise ParameterError("x", rule, "Rename them, or drop all but one.")


def _two_dimensional(x: Any) -> NDArray[Any]:
    """Rows as a dense array; SciPy's sparse matrices are written out."""
    rows = np.asarray(x.toarray() if hasattr(x, "toarray") else x)
    if rows.ndim != 2:
        rule = f"must be two-dimensional, not {rows.ndim}-dimensional"
        raise ParameterError("x", rule, "One row is x[0:1], not x[0].")
    return rows


def _names(x: Any, names: Names | None, *, named: bool) -> list[str]:
    width = x.shape[1]
    if isinstance(names, str):
        raise ParameterError("features", "must be a list of names, not a text")
    if names is not None and len(names) != width:
        raise ParameterError("features", f"must name {width} columns, not {len(names)}")
    own = [str(name) for name in x.columns] if named else [f"feature_{j}" for j in range(width)]
    chosen = own if names is None else [str(name) for name in names]
    if named and chosen != own:
        fix = "Rename the DataFrame's columns, or leave features out."
        raise ParameterError("features", "must equal the DataFrame's columns", fix)
    if len(set(chosen)) != width:
        raise ParameterError("features", "must not repeat a name", "Give every column its own.")
    if not all(encodable(name) for name in chosen):
        raise ParameterError("features", "must have names that UTF-8 can write")
    return chosen


def _values(column: Any) -> Sequence[Any] | NDArray[Any]:
    """A pandas column as plain values."""
    if getattr(column.dtype, "kind", "O") in "iufb" and column.dtype != object:
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if str(column.dtype) == "category":  # a list of an Arrow column takes a tenth of a millisecond
        labels, codes = column.dtype.categories.tolist(), column.array.codes.tolist()
        return [None if code < 0 else labels[code] for code in codes]
    return [None if _is_missing(value) else value for value in column.tolist()]


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType" or value != value  # noqa: PLR0124 NaN


def _infer_feature(name: str, column: Any) -> Feature:
    dtype = str(column.dtype)
    kind = getattr(column.dtype, "kind", "O")
    if kind in "iufb" and column.dtype != object:
        numbers_ = (
            np.asarray(column, dtype=np.float64)
            if isinstance(column, np.ndarray)
            else column.to_numpy(dtype=np.float64, na_value=np.nan)
        )
        seen = numbers_[np.isfinite(numbers_)]
        if len(seen) < len(numbers_) - np.isnan(numbers_).sum():
            raise ParameterError(f"column '{name}'", "must not hold infinite values")
        # An array has one dtype for all its columns, so it says nothing about a single one.
        frame_kind: Kind = "integer" if kind in "iu" else "boolean" if kind == "b" else "number"
        return Feature(
            name,
            "number" if isinstance(column, np.ndarray) else frame_kind,
            "float64" if isinstance(column, np.ndarray) else dtype,
            minimum=float(seen.min()) if len(seen) else None,
            maximum=float(seen.max()) if len(seen) else None,
        )
    values = column.tolist()
    seen_values = {value for value in values if not _is_missing(value)}
    own: dict[str, Any] = {}
    if dtype == "category":
        seen_values = set(column.dtype.categories)
        own = {
            "category_dtype": str(column.dtype.categories.dtype),
            "ordered": column.dtype.ordered,
        }
    types = {type(value) for value in seen_values}
    if dtype == "category" and types == {float} and all(v.is_integer() for v in seen_values):
        types = {int}  # what they are written as; the dtype keeps that they were floats
    if any(value is None for value in values) and any(value != value for value in values):  # noqa: PLR0124 NaN
        fix = "Write None, or NaN, for all of them."
        raise ParameterError(f"column '{name}'", "must write missing values in one way", fix)
    if types == {str} or (types == {int} and dtype == "category"):
        if types == {str} and not all(map(encodable, seen_values)):
            raise ParameterError(f"column '{name}'", "must hold text that UTF-8 can write")
        order = list(column.dtype.categories) if dtype == "category" else sorted(seen_values)
        order = [int(value) for value in order] if types == {int} else order
        return Feature(
            name,
            "category",
            dtype,
            categories=tuple(order),
            missing_none=any(value is None for value in values),
            **own,
        )
    if (
        dtype != "category"
        and types
        and types <= {int, float, np.float64, np.int64, np.float32, np.int32}
    ):
        return _infer_feature(name, np.asarray(values, dtype=np.float64))
    raise ParameterError(
        f"column '{name}'",
        f"must hold numbers, booleans, text or categories; its dtype is {dtype}",
        "Convert it before training (a date to a number of days, say).",
    )
