"""The domain of a model's raw columns: what each may hold, whatever the rows at hand hold.

Categories are read from the encoders that learnt them. Limits of numbers are those of a column's
dtype and of the precision that the model works in. Whether a value may be missing is asked of the
model itself.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.encode import WHOLE
from scoring.errors import ParameterError
from scoring.feature import Feature
from scoring.features import lineage_of_model
from scoring.forms.edges import STRANGERS
from scoring.lineage import Lineage, Vocabulary
from scoring.predictor import Predictor
from scoring.schema import FeatureSchema
from scoring.table import Table

__all__ = ["with_domain"]

LARGEST = sys.float_info.max


def rounded_down(precision: type[np.floating[Any]]) -> float:
    """The largest double that a smaller type of floats rounds to a number."""
    kind = np.finfo(precision)
    half_a_place = 2.0 ** (kind.maxexp - kind.nmant - 2)
    return float(np.nextafter(float(kind.max) + half_a_place, 0))


PRECISIONS = (LARGEST, rounded_down(np.float32), float(2**63 - 1024))
"""The largest numbers in double and in single precision, and the largest double that a 64-bit
integer holds: beyond one of them a model that works in that type refuses its rows."""

ASKED_BYTES = 2**26
"""Rows of one call."""


def with_domain(
    schema: FeatureSchema, predictor: Predictor, rows: Table
) -> tuple[FeatureSchema, Table]:
    """Extend a schema that was inferred from rows to all that the model takes.

    Parameters
    ----------
    rows : encoded by the schema.

    Returns
    -------
    The schema, and the rows as it encodes them.
    """
    lineage = lineage_of_model(predictor, rows)
    features = [_with_lists(f, lineage, j) for j, f in enumerate(schema.features)]
    rows = _recoded(rows, features)
    features = _with_strangers(features, predictor, rows)
    features = _with_missing(features, predictor, rows, lineage)
    features = _with_limits(features, predictor, rows)
    features = [_without_rounding(f, lineage, rows, j) for j, f in enumerate(features)]
    extended = replace(schema, features=tuple(features))
    return extended, Table(rows.codes, extended.code_tables)


def _with_lists(feature: Feature, lineage: Lineage | None, j: int) -> Feature:
    """Take over what encoders learnt, and whether they take other values."""
    lists = [] if lineage is None else [v for v in lineage.vocabularies if v.feature == j]
    if not feature.is_category:
        allowed = _allowed_numbers(feature, lists)
        return replace(feature, allowed=allowed, missing_none=_writes_none(feature, lists))
    learnt = {v: values for v in lists if (values := _like(feature, v)) is not None}
    is_open = lineage is None or j in lineage.opened or len(learnt) < len(lists) or not lists
    strict = [set(values) for v, values in learnt.items() if v.strict]
    known = dict.fromkeys(chain(feature.categories, *learnt.values()))
    if strict:
        taken = set.intersection(*strict)
        known = {value: None for value in known if value in taken} or known
    return replace(
        feature,
        categories=tuple(known),
        allows_unseen=not strict,
        is_open=is_open,
        missing_none=_writes_none(feature, lists),
    )


def _allowed_numbers(feature: Feature, lists: Sequence[Vocabulary]) -> tuple[float, ...]:
    """The numbers that every strict encoder of a column knows; () where there is none."""
    strict = [set(map(float, each.values)) for each in lists if each.strict]
    if not strict or feature.kind == "boolean":
        return ()
    return tuple(sorted(set.intersection(*strict)))


def _like(feature: Feature, learnt: Vocabulary) -> tuple[Any, ...] | None:
    """An encoder's values as the feature has its categories; None where they are of other kinds."""
    kind = feature.category_type
    values = tuple(_cast(value, kind) for value in learnt.values)
    return values if all(type(value) is kind for value in values) else None


def _cast(value: Any, kind: type) -> Any:
    """A whole number as a float or an integer, whichever the others are; else the value itself."""
    whole = type(value) is int or (type(value) is float and value.is_integer())
    return kind(value) if whole and kind in {int, float} else value


def _writes_none(feature: Feature, lists: Sequence[Vocabulary]) -> bool:
    """The marker of a missing value, None or not: the encoders', where they learnt one.

    Raises
    ------
    ParameterError
        They learnt None and NaN, which are one gap in a request.
    """
    gaps = {gap is None for learnt in lists for gap in learnt.gaps}
    if len(gaps) > 1:
        rule = "must write missing values in one way, and training wrote None and NaN"
        raise ParameterError(f"column '{feature.name}'", rule, "Fit the model to one of them.")
    return gaps.pop() if gaps else feature.missing_none


def _recoded(rows: Table, features: Sequence[Feature]) -> Table:
    """Rows by the codes of other lists, which may lack categories that no row has."""
    codes = rows.codes
    for j, feature in enumerate(features):
        old = rows.categories[j]
        if old == feature.categories[: len(old)]:
            continue
        if codes is rows.codes:
            codes = codes.copy()
        place = np.array([float(feature.code_of.get(value, np.nan)) for value in old])
        there = ~np.isnan(codes[:, j])
        codes[there, j] = place[codes[there, j].astype(np.intp)]
    return Table(codes, tuple(feature.categories for feature in features))


def _without_rounding(feature: Feature, lineage: Lineage | None, rows: Table, j: int) -> Feature:
    """Bound whole numbers that are read to the last digit by those that a double tells apart.

    Raises
    ------
    ParameterError
        The rows hold larger ones.
    """
    if feature.kind != "integer" or feature.is_time or not (lineage and j in lineage.exact):
        return feature
    if (np.abs(rows.codes[:, j]) > WHOLE).any():
        rule = "must hold whole numbers up to 2**53, because they are read as categories or text"
        raise ParameterError(f"column '{feature.name}'", rule, "Convert it to text.")
    return replace(feature, lowest=max(feature.lowest, -WHOLE), limit=min(feature.limit, WHOLE))


def _with_strangers(
    features: Sequence[Feature], predictor: Predictor, rows: Table
) -> list[Feature]:
    """Refuse strangers where the model refuses what its encoders all make of them."""
    over = predictor.over(replace(predictor.schema, features=tuple(features)))
    answer = list(features)
    for j, feature in enumerate(features):
        if feature.is_category and feature.allows_unseen and not feature.is_open:
            known = list(rows.categories)
            known[j] = (*feature.categories, *feature.others(STRANGERS))
            codes = rows.codes[:1].copy()
            codes[0, j] = len(feature.categories)
            if len(known[j]) > codes[0, j] and _answer(over, Table(codes, tuple(known))) is None:
                answer[j] = replace(feature, allows_unseen=False)
    return answer


def _with_missing(
    features: Sequence[Feature], predictor: Predictor, rows: Table, lineage: Lineage | None
) -> list[Feature]:
    """Allow gaps where the model answers the first row with one by a finite number."""
    asker = _Asker(predictor.over(replace(predictor.schema, features=tuple(features))), rows)
    answers = asker.takes(range(len(features)), np.full(len(features), np.nan), finite=True)
    decided: set[int] = (
        set() if lineage is None else {v.feature for v in lineage.vocabularies if v.gaps}
    )
    found = [replace(f, allows_missing=bool(a)) for f, a in zip(features, answers, strict=True)]
    for j, feature in enumerate(found):
        shown = j in decided or np.isnan(rows.codes[:, j]).any()
        if feature.dtype == "object" and not shown:
            found[j] = _with_either_marker(asker, feature, j)
    return found


def _with_either_marker(asker: _Asker, feature: Feature, j: int) -> Feature:
    """Find the marker of gaps, None or NaN, in a column that no row shows one in.

    Where the model takes both and answers them differently, nobody knows, and gaps are refused.
    """
    turned = replace(feature, missing_none=not feature.missing_none, allows_missing=True)
    features = asker.predictor.schema.features
    over = replace(asker.predictor.schema, features=(*features[:j], turned, *features[j + 1 :]))
    codes = asker.rows.codes[:1].copy()
    codes[0, j] = np.nan
    row = asker.rows.with_codes(codes)
    other = _answer(asker.predictor.over(over), row)
    if other is None or not np.isfinite(other).all():
        return feature
    if not feature.allows_missing:
        return turned
    one = _answer(asker.predictor, row)
    alike = one is not None and np.array_equal(one, other)
    return feature if alike else replace(feature, allows_missing=False)


def _with_limits(features: Sequence[Feature], predictor: Predictor, rows: Table) -> list[Feature]:
    """Bound numbers by their dtype, and by the precision of a model that refuses larger ones."""
    asker = _Asker(predictor.over(replace(predictor.schema, features=tuple(features))), rows)
    numeric = [
        j
        for j, feature in enumerate(features)
        if feature.kind in {"number", "integer"} and not (feature.allowed or feature.is_time)
    ]
    found = {sign: asker.limits(numeric, sign, features) for sign in (1, -1)}
    bounded = list(features)
    for place, j in enumerate(numeric):
        limit, lowest = found[1][place], 0.0 - found[-1][place]  # no -0
        bounded[j] = replace(features[j], limit=float(limit), lowest=float(lowest))
    return bounded


@dataclass(frozen=True, eq=False)
class _Asker:
    """Questions about the first row with one other value, many of them in one call."""

    predictor: Predictor
    rows: Table

    def takes(
        self, columns: Sequence[int], values: NDArray[np.float64], *, finite: bool
    ) -> NDArray[np.bool_]:
        """Ask whether the model takes each value in its column; bool (n,).

        Parameters
        ----------
        columns : (n,), and `values` (n,), one for each.
        finite : whether the answer has to be a finite number.
        """
        answer = np.zeros(len(columns), dtype=bool)
        n_together = max(1, ASKED_BYTES // (8 * self.rows.codes.shape[1]))
        for start in range(0, len(columns), n_together):
            part = slice(start, start + n_together)
            codes = np.repeat(self.rows.codes[:1], len(columns[part]), axis=0)
            codes[np.arange(len(codes)), list(columns[part])] = values[part]
            answer[part] = self._each(self.rows.with_codes(codes), finite=finite)
        return answer

    def _each(self, rows: Table, *, finite: bool) -> NDArray[np.bool_]:
        """Rows that the model answers, found by halving a block that it refuses."""
        outputs = _answer(self.predictor, rows)
        if outputs is not None:
            whole = np.isfinite(outputs).all(axis=1)
            return np.asarray(whole) if finite else np.ones(rows.n_rows, dtype=bool)
        if rows.n_rows == 1:
            return np.zeros(1, dtype=bool)
        middle = rows.n_rows // 2
        halves = rows.take(slice(0, middle)), rows.take(slice(middle, None))
        return np.concatenate([self._each(half, finite=finite) for half in halves])

    def limits(
        self, columns: Sequence[int], sign: int, features: Sequence[Feature]
    ) -> NDArray[np.float64]:
        """Find the largest distance from zero that each column takes on one side; float64 (n,).

        A model that refuses a number below all precisions refuses it for another reason than its
        size, which may be another row's none: such a column has its dtype's limit.
        """
        of_dtype = np.array([_dtype_limit(features[j].dtype, sign) for j in columns])
        limits, refused = of_dtype.copy(), np.full(len(columns), np.inf)
        waiting = np.arange(len(columns))
        for precision in PRECISIONS:
            asked = np.minimum(of_dtype[waiting], precision)
            taken = self._takes(columns, waiting, sign * asked)
            limits[waiting[taken]] = asked[taken]
            refused[waiting[~taken]] = asked[~taken]
            waiting = waiting[~taken]
            if not len(waiting):
                break
        between = np.setdiff1d(np.flatnonzero(np.isfinite(refused)), waiting)
        more = self._takes(columns, between, sign * limits[between] * (1 + 2**-20))
        limits[between[more]] = np.nextafter(refused[between[more]], 0)
        return limits

    def _takes(
        self, columns: Sequence[int], places: NDArray[np.intp], values: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        return self.takes([columns[place] for place in places], values, finite=False)


def _dtype_limit(dtype: str, sign: int) -> float:
    """How far from zero a dtype reaches on one side; pandas' own spellings included."""
    plain = dtype.lower().partition("[")[0]
    try:
        kind = np.dtype(plain)
    except TypeError:
        return LARGEST
    if kind.kind in "iu":
        ends = np.iinfo(kind)
        return float(ends.max if sign > 0 else -int(ends.min))
    small = kind.kind == "f" and kind.itemsize < 8
    return rounded_down(kind.type) if small else LARGEST


def _answer(predictor: Predictor, rows: Table) -> NDArray[np.float64] | None:
    """What the model says, or None where it raises."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # an encoder warns of what it then accepts
            predictor.predictions(rows)
            return predictor.outputs(rows)
    except Exception:  # noqa: BLE001 whatever a user's model raises is its way of saying no
        return None
