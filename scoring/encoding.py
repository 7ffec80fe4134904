"""How raw features become a model's columns, as arrays: no library is needed to do it.

Where every engineered column depends on one feature, a column of a closed category is a list of
numbers, one for each category, and a column of a number is mostly a scaled one. The lineage of a
column says which of both it is; the numbers are found by asking the transformer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.feature import Feature
from scoring.features import Engineering
from scoring.forms.estimators import parts
from scoring.lineage import Form
from scoring.schema import FeatureSchema
from scoring.table import Table

__all__ = ["Encoding", "encoding_of", "plain_encoding"]

PROBED = 48
"""Values of a number that a scaling is looked for on."""

CHECKED = 4096
"""Rows that an encoding is held against."""

GAP = 1e-9
"""Largest difference from the transformer's own columns, as a share of the largest number."""

STRANGER = "\N{REPLACEMENT CHARACTER}never seen"

NUMBER = -1


@dataclass(frozen=True, eq=False)
class Encoding:
    """Columns as functions of one feature each.

    Parameters
    ----------
    sources : int64 (n_columns,), the feature that a column is made of.
    lists : float64 (n_lists, longest + 2), what categories become: by code, then at the end a
        category that training never saw, and a missing one.
    list_of : int64 (n_columns,), the list of a category's column; -1 for a number.
    centers, scales : float64 (n_columns,): a number becomes `(x - center) / scale`,
        or `x * scale + center` where it `multiplies`, bool (n_columns,).
    gaps : float64 (n_columns,), what a missing number becomes.
    n_categories : int64 (n_features,), how many categories training saw.
    """

    sources: NDArray[np.int64]
    lists: NDArray[np.float64]
    list_of: NDArray[np.int64]
    centers: NDArray[np.float64]
    scales: NDArray[np.float64]
    multiplies: NDArray[np.bool_]
    gaps: NDArray[np.float64]
    n_categories: NDArray[np.int64]

    @property
    def n_columns(self) -> int:
        """How many columns there are."""
        return len(self.sources)

    def columns(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        """From a table's codes (n_rows, n_features) to columns (n_rows, n_columns)."""
        if self._changes_nothing:
            return codes
        x = codes[:, self.sources]
        # Both are computed of all, and a scale that multiplies may be 0.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            answer = np.where(
                self.multiplies, x * self.scales + self.centers, (x - self.centers) / self.scales
            )
        answer = np.where(np.isnan(x), self.gaps, answer)
        of_lists = np.flatnonzero(self.list_of != NUMBER)
        if len(of_lists):
            known = self.n_categories[self.sources[of_lists]]
            longest = self.lists.shape[1] - 2
            listed = x[:, of_lists]
            missing = np.isnan(listed)
            code = np.where(missing, 0, listed).astype(np.intp)
            place = np.where(missing, longest + 1, np.where(code < known, code, longest))
            answer[:, of_lists] = self.lists[self.list_of[of_lists], place]
        return np.asarray(answer)

    @cached_property
    def _changes_nothing(self) -> bool:
        """Whether the columns are the features."""
        return bool(
            np.array_equal(self.sources, np.arange(len(self.n_categories)))
            and (self.list_of == NUMBER).all()
            and (self.centers == 0).all()
            and (self.scales == 1).all()
            and np.isnan(self.gaps).all()
        )


def plain_encoding(schema: FeatureSchema, lists: dict[int, NDArray[np.float64]]) -> Encoding:
    """Columns that are the features themselves, categories by lists.

    Parameters
    ----------
    lists : per feature that is a category, what it becomes: float64 (n_categories + 2,).
    """
    n = schema.n_features
    known = np.array([len(feature.categories) for feature in schema.features], dtype=np.int64)
    list_of = np.full(n, NUMBER, dtype=np.int64)
    list_of[list(lists)] = np.arange(len(lists))
    return Encoding(
        np.arange(n),
        _stacked(list(lists.values()), int(known.max(initial=0))),
        list_of,
        np.zeros(n),
        np.ones(n),
        np.zeros(n, dtype=bool),
        np.full(n, np.nan),
        known,
    )


def encoding_of(cut: Engineering, examples: Table) -> Encoding | None:
    """Find out what a pipeline's first half does.

    Parameters
    ----------
    examples : rows that it takes.

    Returns
    -------
    None where a column depends on several features, is another function of a number, or one of open
    text, or where the transformer refuses a value that the schema allows.
    """
    if not cut.exclusive or not all(_is_known(cut, j) for j in range(cut.raw.n_features)):
        return None
    try:
        encoding = _asked_about(cut, examples)
        return encoding if encoding is not None and _agrees(encoding, cut, examples) else None
    except Exception:  # noqa: BLE001 whatever a transformer raises is its way of saying no
        return None


def _asked_about(cut: Engineering, examples: Table) -> Encoding | None:
    """Make the encoding by asking for the columns of every category and of a few numbers."""
    features, owners = cut.raw.features, np.asarray(cut.owners, dtype=np.int64)
    n_columns = len(owners)
    lists: list[NDArray[np.float64]] = []
    list_of = np.full(n_columns, NUMBER, dtype=np.int64)
    scaling = np.tile([[0.0], [1.0], [0.0]], n_columns)
    gaps = np.full(n_columns, np.nan)
    pairs = _scalings(cut.head)
    for j, feature in enumerate(features):
        mine = np.flatnonzero(owners == j)
        if feature.is_category:
            answers = _of_categories(cut, examples, j)[:, mine]
            list_of[mine] = len(lists) + np.arange(len(mine))
            lists += list(answers.T)
            continue
        values = _some(examples.codes[:, j], feature)
        answers = _asked(cut, examples, j, values)[:, mine]
        for column, answer in zip(mine, answers.T, strict=True):
            found = _scaling(values, answer, pairs)
            if found is None:
                return None
            scaling[:, column] = found
        if feature.allows_missing:
            gaps[mine] = _asked(cut, examples, j, np.array([np.nan]))[0, mine]
    known = np.array([len(feature.categories) for feature in features], dtype=np.int64)
    return Encoding(
        owners,
        _stacked(lists, int(known.max(initial=0))),
        list_of,
        scaling[0],
        scaling[1],
        scaling[2] == 1,
        gaps,
        known,
    )


def _is_known(cut: Engineering, j: int) -> bool:
    """Whether a few answers tell what a feature's columns are for all of its values."""
    feature = cut.raw.features[j]
    forms = [column.form for column in cut.lineage.columns if j in column.sources]
    if feature.is_category:
        return not forms or (not feature.is_open and all(form == Form.CODED for form in forms))
    return feature.kind == "boolean" or all(form <= Form.AFFINE for form in forms)


def _asked(
    cut: Engineering, examples: Table, j: int, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Columns (n_values, n_columns) of one row with other values of a feature."""
    codes = np.repeat(examples.codes[:1], len(values), axis=0)
    codes[:, j] = values
    return cut.table(examples.with_codes(codes)).codes


def _of_categories(cut: Engineering, examples: Table, j: int) -> NDArray[np.float64]:
    """What each category becomes, one never seen and a missing one; NaN for what is not taken."""
    feature = cut.raw.features[j]
    n = len(feature.categories)
    answers = np.full((n + 2, len(cut.owners)), np.nan)
    known = list(examples.categories)
    known[j] = (*feature.categories, *feature.others((STRANGER, f"{STRANGER}?")))
    rows = Table(examples.codes, tuple(known))
    answers[:n] = _asked(cut, rows, j, np.arange(n, dtype=np.float64))
    if feature.allows_unseen:
        answers[n] = _asked(cut, rows, j, np.array([float(n)]))[0]
    if feature.allows_missing:
        answers[n + 1] = _asked(cut, rows, j, np.array([np.nan]))[0]
    return answers


def _some(column: NDArray[np.float64], feature: Feature) -> NDArray[np.float64]:
    """Values of a number: some of the examples', and some from a wider range."""
    seen = np.unique(column[np.isfinite(column)])
    if not len(seen):
        return np.array([0.0, 1.0])
    some = seen[np.linspace(0, len(seen) - 1, min(len(seen), PROBED)).astype(np.intp)]
    span = np.ptp(seen) or 1.0
    wider = seen.mean() + span * np.linspace(-2, 2, 9)
    wider = np.clip(wider, feature.lowest, feature.limit)
    if feature.kind == "integer":
        wider = np.rint(wider)
    return np.unique(some if feature.kind == "boolean" else np.concatenate([some, wider]))


Scaling = tuple[float, float, float]
"""Center, scale, and 1 where a number is multiplied and shifted instead of centered and divided."""


def _scalings(head: Any) -> list[Scaling]:
    """Scalings that the transformer's steps hold; with these not even rounding differs."""
    found: list[Scaling] = [(0.0, 1.0, 0.0)]
    for part in parts(head):
        scale: Any = getattr(part, "scale_", None)
        if not isinstance(scale, np.ndarray) or scale.ndim != 1:
            continue
        shift: Any = getattr(part, "min_", None)
        multiplies = float(shift is not None)
        for name in () if multiplies else ("mean_", "center_"):
            shift = getattr(part, name, None) if shift is None else shift
        shift = np.zeros(len(scale)) if shift is None else shift
        found += [(float(c), float(s), multiplies) for c, s in zip(shift, scale, strict=True)]
        found += [(0.0, float(s), 0.0) for s in scale]  # a mean that is known and not taken away
    return found


def _scaling(
    x: NDArray[np.float64], answer: NDArray[np.float64], known: list[Scaling]
) -> Scaling | None:
    """The scaling that makes these answers of these numbers, or None."""
    if not np.isfinite(answer).all():
        return None
    for center, scale, multiplies in known:
        made = x * scale + center if multiplies else (x - center) / scale
        if (made == answer).all():
            return center, scale, multiplies
    first, last = int(x.argmin()), int(x.argmax())
    span = x[last] - x[first]
    slope = float((answer[last] - answer[first]) / span) if span else 0.0
    start = float(answer[first] - slope * x[first])
    gap = np.abs(x * slope + start - answer).max()
    return (start, slope, 1.0) if gap <= GAP * np.abs(answer).max(initial=1.0) else None


def _stacked(lists: list[NDArray[np.float64]], longest: int) -> NDArray[np.float64]:
    """Lists of one length; what stands for strangers and gaps stays at the end."""
    answer = np.full((len(lists), longest + 2), np.nan)
    for number, each in enumerate(lists):
        answer[number, : len(each) - 2] = each[:-2]
        answer[number, -2:] = each[-2:]
    return answer


def _agrees(encoding: Encoding, cut: Engineering, examples: Table) -> bool:
    rows = examples.take(slice(0, CHECKED))
    made, told = encoding.columns(rows.codes), cut.table(rows).codes
    same = np.isnan(made) == np.isnan(told)
    gap = np.abs(np.nan_to_num(made) - np.nan_to_num(told))
    return bool(same.all() and (gap <= GAP * np.nanmax(np.abs(told), initial=1.0)).all())
