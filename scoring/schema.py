"""The feature schema: what a row must look like, and the way from any accepted form to a Table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.encode import Violations, encode_categories, encode_numbers, encode_times
from scoring.encode_few import FEW, FewRows
from scoring.errors import ParameterError, RowsError, Violation
from scoring.feature import Category, Feature
from scoring.frames import frame_of, in_memory, is_frame
from scoring.infer import Names, features_of, plain_values, two_dimensional
from scoring.table import Table, to_array, to_frame, to_polars
from scoring.writings import as_taken

__all__ = ["FeatureSchema", "Names", "infer_for", "is_frame"]

Library = Literal["pandas", "polars"]


@dataclass(frozen=True)
class FeatureSchema:
    """The features in order, whether the model was trained on a named frame, and on whose."""

    features: tuple[Feature, ...]
    frame: bool = False
    library: Library = "pandas"
    code_tables: tuple[tuple[Category, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code_tables", tuple(f.categories for f in self.features))

    def __getstate__(self) -> dict[str, Any]:
        state = {"features": self.features, "frame": self.frame}
        return state if self.library == "pandas" else {**state, "library": self.library}

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
        features, named = features_of(x, names)
        return cls(features, frame=named)

    def written(self, table: Table) -> Any:
        """Return rows as the model was trained on them: a DataFrame or an array."""
        if not self.frame:
            return to_array(table, self.features)
        return (to_polars if self.library == "polars" else to_frame)(table, self.features)

    def encode(self, x: Any) -> Table:
        """Check rows that come from Python: a frame, an array, a Table, or a list of rows.

        A frame's columns are found by name and may stand in any order, whichever library it is of:
        pandas, polars, pyarrow, or another one with the Arrow PyCapsule or dataframe interface.

        Raises
        ------
        RowsError
            With every violation, the first hundred in full.
        """
        if isinstance(x, Table):
            return x
        if is_frame(x):
            if self.frame or all(isinstance(name, str) for name in x.columns):
                return self._by_name(x.columns.tolist(), lambda j: plain_values(x.iloc[:, j]))
            x = x.to_numpy()
        elif (other := frame_of(x)) is not None:
            return self._by_name(other.names, other.values)
        rows = two_dimensional(x)
        if self._takes_at_a_glance(rows):
            return Table(rows.copy(), self.code_tables)
        if rows.shape[1] != self.n_features:
            rule = f"rows must have {self.n_features} values, not {rows.shape[1]}"
            raise RowsError([Violation(None, None, rule)])
        return self.encode_columns({name: rows[:, j] for j, name in enumerate(self.names)})

    def _by_name(
        self, given: Sequence[Any], values: Callable[[int], Sequence[Any] | NDArray[Any]]
    ) -> Table:
        """Check the columns of a frame: `values` gives one by its place among the names `given`."""
        violations, counts = Violations(), Counter(given)
        for name in self.names:
            if counts[name] != 1:
                rule = "is missing" if counts[name] == 0 else "appears more than once"
                violations.add(None, name, rule)
        extra = counts.total() - sum(counts[name] for name in self.names)
        if extra:
            violations.add(None, None, f"{extra} columns are not in the schema")
        violations.raise_if_any()
        place = {name: j for j, name in enumerate(given)}
        return self.encode_columns({name: values(place[name]) for name in self.names})

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
        if not (np.floor(integers) == integers).all():
            return False
        return all(feature.allows(numbers[:, place]).all() for place, feature in self._listed)

    @cached_property
    def _listed(self) -> tuple[tuple[int, Feature], ...]:
        """Features of which only some numbers are allowed, by their places among the numeric."""
        numeric = enumerate(self.features[j] for j in self._numbers)
        return tuple((place, feature) for place, feature in numeric if feature.allowed)

    @cached_property
    def _numbers(self) -> tuple[int, ...]:
        """The places of numeric features; the others have rules of another kind."""
        return tuple(
            j
            for j, feature in enumerate(self.features)
            if feature.kind in {"number", "integer"} and not feature.is_time
        )

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
        categories: list[tuple[Category, ...]] = []
        for j, feature in enumerate(self.features):
            values = columns[feature.name]
            if feature.is_time:
                encode_times(feature, values, codes[:, j], violations)
                categories.append(())
            elif numbers is not None and feature.kind in {"number", "integer"}:
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
    arrays &= list(getattr(owner, "feature_names_", None) or ()) != list(schema.names)  # CatBoost's
    schema = FeatureSchema(
        tuple(replace(feature, allows_missing=True) for feature in schema.features),
        frame=schema.frame and (not arrays or _holds_objects(schema)),
    )
    return schema if frame_of(x) is None else as_taken(model, schema, in_memory(x))


def _holds_objects(schema: FeatureSchema) -> bool:
    """Whether rows hold what no array of numbers can."""
    return any(feature.is_category or feature.is_time for feature in schema.features)


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
