"""Frozen results: why a model says what it says of each row; the rest of what a row is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scoring.additivity import additivity_gap
from scoring.errors import ModelError, ParameterError
from scoring.global_explanation import GlobalExplanation
from scoring.ranks import order, top
from scoring.raw_sums import raw_map
from scoring.student import interval_factor

if TYPE_CHECKING:
    from scoring.predictor import OutputSpace

__all__ = ["GlobalExplanation", "LocalExplanation", "Scored"]

MANY = 1000
"""Degrees of freedom of what is as good as known."""


@dataclass(frozen=True, eq=False, repr=False)
class LocalExplanation:
    """Why the model says what it says, row by row.

    Parameters
    ----------
    values : float64 (n_rows, n_features, n_outputs), in the units of the output space.
    base_values : float64 (n_outputs,), what the model says of the background.
    outputs : float64 (n_rows, n_outputs), what it says of the rows.
    output_space : `probability`, `margin` (log-odds or decision value) or `value`.
    background : how the rows that stand for an absent feature were chosen.
    standard_errors : like the values: what sampling coalitions leaves unsure; 0 for exact values,
        one for all where a series was cut short, None where there is nothing to tell it from.
    degrees_of_freedom : of the standard errors; None where they are 0, one for all, or unknown.
    background_error : relative RMS error that a summary of the background costs, measured at
        distillation; None where it was not.
    remainder : float64 (n_rows, n_outputs), what features that are not listed add up to.
    feature_map : float64 (n_raw, n_features), where the features are engineered columns: how much
        of a column belongs to each of `raw_features`. Every column sums to 1.
    fidelity : how well a surrogate stands for the model, where one is explained.
    reason_codes : per row the texts that go with its strongest features.
    baseline : the name of the background, where it is not the explainer's first.
    """

    values: NDArray[np.float64]
    base_values: NDArray[np.float64]
    outputs: NDArray[np.float64]
    features: tuple[str, ...]
    output_names: tuple[str, ...]
    output_space: str
    classification: bool
    method: str
    n_coalitions: int = 0
    background: str = ""
    standard_errors: NDArray[np.float64] | None = None
    degrees_of_freedom: int | None = None
    background_error: float | None = None
    remainder: NDArray[np.float64] | None = None
    feature_map: NDArray[np.float64] | None = None
    raw_features: tuple[str, ...] = ()
    fidelity: dict[str, Any] | None = None
    reason_codes: list[list[dict[str, Any]]] | None = None
    baseline: str | None = None

    @cached_property
    def additivity_gap(self) -> NDArray[np.float64]:
        """Per row the largest |base value + sum of values - output|; (n_rows,)."""
        return additivity_gap(self.base_values, self.values, self.remainder, self.outputs)

    def intervals(self, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the ends of the values' intervals, like the values, by Student's t.

        They cover the sampling of coalitions, and not what the choice of background costs.

        Parameters
        ----------
        level : how often an interval is to hold the exact value.

        Raises
        ------
        ParameterError
            A level that is no probability.
        ModelError
            The standard errors are not known.
        """
        if not 0 < level < 1:
            raise ParameterError("level", "must be above 0 and below 1")
        if self.standard_errors is None:
            raise ModelError(
                "the standard errors of these values are not known. Distil with at least four "
                "coalitions a feature; values of another library have none."
            )
        # An error that was measured at distillation has many degrees of freedom.
        factor = interval_factor(level, self.degrees_of_freedom or MANY)
        reach = factor * self.standard_errors
        return self.values - reach, self.values + reach

    def select(self, indices: Sequence[int]) -> LocalExplanation:
        """Keep some features; what the others add up to goes to the remainder.

        Raises
        ------
        ParameterError
            An index twice, or out of range.
        """
        kept = list(indices)
        if len(set(kept)) < len(kept) or not all(0 <= j < self.num_features for j in kept):
            rule = f"must be different feature indices from 0 to {self.num_features - 1}"
            raise ParameterError("indices", rule)
        errors = self.standard_errors
        others = np.delete(self.values, kept, axis=1).sum(axis=1)  # (n_rows, n_outputs)
        return replace(
            self,
            values=self.values[:, kept],
            standard_errors=None if errors is None else errors[:, kept],
            features=tuple(self.features[j] for j in kept),
            remainder=others if self.remainder is None else others + self.remainder,
            feature_map=None if self.feature_map is None else self.feature_map[:, kept],
        )

    def take(self, rows: slice | NDArray[np.intp]) -> LocalExplanation:
        """Keep some rows, and their gaps if these are known; a slice copies nothing but lists."""
        parts: dict[str, Any] = {name: part[rows] for name, part in _by_row(self).items()}
        if self.reason_codes is not None:
            chosen = np.arange(self.num_examples)[rows]
            parts["reason_codes"] = [self.reason_codes[row] for row in chosen]
        if "additivity_gap" in vars(self):
            parts["additivity_gap"] = self.additivity_gap[rows]
        taken = object.__new__(type(self))  # `replace` sets every field by itself, for each caller
        vars(taken).update(vars(self), **parts)
        return taken

    @staticmethod
    def concatenate(parts: Sequence[LocalExplanation]) -> LocalExplanation:
        """Put the rows of several answers of one explainer into one, in order."""
        whole = [_by_row(part) for part in parts]
        joined: dict[str, Any] = {
            name: np.concatenate([part[name] for part in whole]) for name in whole[0]
        }
        if parts[0].reason_codes is not None:
            joined["reason_codes"] = [row for part in parts for row in part.reason_codes or ()]
        return replace(parts[0], **joined)

    @property
    def axes(self) -> tuple[str, ...]:
        """What the nested lists of `local_importance_values` count through, outermost first."""
        if self.classification:
            return ("class", "row", "feature")
        return ("row", "feature") if len(self.output_names) == 1 else ("output", "row", "feature")

    @property
    def num_features(self) -> int:
        """How many features are listed."""
        return len(self.features)

    @property
    def num_examples(self) -> int:
        """How many rows are explained."""
        return int(self.values.shape[0])

    @property
    def expected_values(self) -> list[float]:
        """The base values, under the guide's name for them."""
        return [float(value) for value in self.base_values]

    def get_raw_explanation(
        self, feature_maps: Any = None, raw_feature_names: Sequence[str] | None = None
    ) -> LocalExplanation:
        """Sum the values of engineered columns to raw features.

        Parameters
        ----------
        feature_maps : how much of each column belongs to each raw feature, (n_raw, n_features), or
            a list of such maps, from raw features to the last columns, that are applied in turn;
            arrays, DataFrames or SciPy sparse matrices. By default the explanation's own. Columns
            that do not sum to 1 show in `additivity_gap`.
        raw_feature_names : by default the map's own.

        Raises
        ------
        ModelError
            There is no map.
        ParameterError
            A map or names of another size.
        """
        own = self.feature_map, self.raw_features
        shares, names = raw_map(self.features, own, feature_maps, raw_feature_names)
        values = np.einsum("rco,fc->rfo", self.values, shares)
        changed: dict[str, Any] = {"feature_map": None, "raw_features": (), "reason_codes": None}
        if self.degrees_of_freedom is not None:  # errors of columns are not independent
            changed |= {"standard_errors": None, "degrees_of_freedom": None}
        elif self.standard_errors is not None:
            bound = self.standard_errors.sum(axis=1, keepdims=True)  # all columns' at the most
            changed |= {"standard_errors": np.broadcast_to(bound, values.shape).copy()}
        return replace(self, values=values, features=names, **changed)

    def get_raw_feature_importances(self, feature_maps: Any = None) -> list[Any]:
        """Return the raw features' values as nested lists: see `axes`."""
        return self.get_raw_explanation(feature_maps).local_importance_values

    def to_frame(self, output: str | int | None = None) -> Any:
        """Return one output's values as a pandas DataFrame, a row for each row.

        Parameters
        ----------
        output : its name or index; by default the last, which of two classes is the second.
        """
        from scoring.explanation_views import local_frame

        return local_frame(self, output)

    def to_shap(self, x: Any = None) -> Any:
        """Return a `shap.Explanation`, for shap's plots; one output has no axis of its own there.

        Where there is a remainder, it is the last feature, `all others`: shap adds values up.

        Parameters
        ----------
        x : the rows that were explained, for plots that show them.
        """
        from scoring.shap_conversion import to_shap

        return to_shap(self, x)

    @staticmethod
    def from_shap(
        explanation: Any,
        *,
        output_space: OutputSpace,
        classification: bool | None = None,
        method: str = "shap",
    ) -> LocalExplanation:
        """Read a `shap.Explanation`: see `scoring.shap_conversion.from_shap`."""
        from scoring.shap_conversion import from_shap

        return from_shap(
            explanation, output_space=output_space, classification=classification, method=method
        )

    def __repr__(self) -> str:
        from scoring.explanation_views import local_text

        return local_text(self)

    def _repr_html_(self) -> str:
        from scoring.explanation_views import local_html

        return local_html(self)

    def layout(self, values: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return the values in the guide's order, C-contiguous: see `axes`.

        Parameters
        ----------
        values : float64 (n_rows, n_features, n_outputs), like their standard errors; by default
            the values themselves.
        """
        values = self.values if values is None else values
        by_output = np.ascontiguousarray(values.transpose(2, 0, 1))
        return by_output if len(self.axes) == 3 else by_output[0]

    @property
    def local_importance_values(self) -> list[Any]:
        """The values as nested lists: see `axes`."""
        values: list[Any] = self.layout().tolist()
        return values

    def get_local_importance_rank(self) -> list[Any]:
        """Feature indices from the highest value to the lowest, nested like the values."""
        ranks: list[Any] = order(self.layout()).tolist()
        return ranks

    def get_ranked_local_values(self, top_k: int | None = None) -> list[Any]:
        """Return values from the highest to the lowest, nested like the values."""
        values = self.layout()
        ranked = np.take_along_axis(values, order(values), axis=-1)
        answer: list[Any] = ranked[..., : top(top_k)].tolist()
        return answer

    def get_ranked_local_names(self, top_k: int | None = None) -> list[Any]:
        """Feature names in the order of `get_ranked_local_values`."""
        names = np.asarray(self.features, dtype=object)[order(self.layout())]
        answer: list[Any] = names[..., : top(top_k)].tolist()
        return answer


def _by_row(explanation: LocalExplanation) -> dict[str, NDArray[Any]]:
    """The arrays (n_rows, ...) that there are."""
    names = ("values", "outputs", "standard_errors", "remainder")
    found = {name: getattr(explanation, name) for name in names}
    return {name: part for name, part in found.items() if part is not None}


@dataclass(frozen=True, eq=False)
class Scored:
    """What a scored request is answered from.

    Parameters
    ----------
    predictions : (n_rows,), the model's own `predict`; (n_rows, n_outputs) for several targets.
    probabilities : float64 (n_rows, n_classes), or None where the model has none.
    explanation : of the rows that are explained, in their order.
    explained : intp (n_explained,), which rows these are, in rising order; None for all of them.
    interactions : float64 (n_explained, n_features, n_features, n_outputs), where asked for.
    predict_seconds : how long the predictions took, which came first; None where the same walk
        explained the rows.
    """

    predictions: NDArray[Any]
    probabilities: NDArray[np.float64] | None
    explanation: LocalExplanation
    explained: NDArray[np.intp] | None = None
    interactions: NDArray[np.float64] | None = None
    predict_seconds: float | None = None

    def take(self, rows: slice) -> Scored:
        """Return some of the rows, next to each other, as if they had been scored alone.

        Parameters
        ----------
        rows : from a start to a stop, both given; nothing is copied.
        """
        some, places = rows, None
        if self.explained is not None:
            ends = np.searchsorted(self.explained, [rows.start, rows.stop])
            some = slice(int(ends[0]), int(ends[1]))
            places = self.explained[some] - rows.start
        return Scored(
            self.predictions[rows],
            None if self.probabilities is None else self.probabilities[rows],
            self.explanation.take(some),
            places,
            None if self.interactions is None else self.interactions[some],
        )

    @staticmethod
    def concatenate(parts: Sequence[Scored]) -> Scored:
        """Put the rows of several answers of one explainer into one, in order."""
        likely = [part.probabilities for part in parts if part.probabilities is not None]
        pairs = [part.interactions for part in parts if part.interactions is not None]
        sizes = [len(part.predictions) for part in parts]
        places = [
            part.explained + before
            for part, before in zip(parts, np.cumsum([0, *sizes[:-1]]), strict=True)
            if part.explained is not None
        ]
        return Scored(
            np.concatenate([part.predictions for part in parts]),
            np.concatenate(likely) if likely else None,
            LocalExplanation.concatenate([part.explanation for part in parts]),
            np.concatenate(places) if places else None,
            np.concatenate(pairs) if pairs else None,
        )
