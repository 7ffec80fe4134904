"""Frozen results: local and global explanations and their ranked views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError, ParameterError

__all__ = ["GlobalExplanation", "LocalExplanation", "Scored"]

RAW_FIX = (
    "Leave get_raw out: raw features are explained then. Of columns that depend on several "
    "features, sums need an explainer with allow_all_transformations=True."
)


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
    remainder : float64 (n_rows, n_outputs), what features that are not listed add up to.
    feature_map : float64 (n_raw, n_features), where the features are engineered columns: how much
        of a column belongs to each of `raw_features`. Every column sums to 1.
    fidelity : how well a surrogate stands for the model, where one is explained.
    reason_codes : per row the texts that go with its strongest features.
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
    remainder: NDArray[np.float64] | None = None
    feature_map: NDArray[np.float64] | None = None
    raw_features: tuple[str, ...] = ()
    fidelity: dict[str, Any] | None = None
    reason_codes: list[list[dict[str, Any]]] | None = None

    @property
    def additivity_gap(self) -> NDArray[np.float64]:
        """Per row the largest |base value + sum of values - output|; (n_rows,)."""
        told = self.base_values + self.values.sum(axis=1)
        gap = (
            told - self.outputs if self.remainder is None else told + self.remainder - self.outputs
        )
        return np.asarray(np.abs(gap).max(axis=1))

    def select(self, indices: Sequence[int]) -> LocalExplanation:
        """Keep some features; what the others add up to goes to the remainder."""
        kept = list(indices)
        others = np.delete(self.values, kept, axis=1).sum(axis=1)  # (n_rows, n_outputs)
        return replace(
            self,
            values=self.values[:, kept],
            features=tuple(self.features[j] for j in kept),
            remainder=others if self.remainder is None else others + self.remainder,
            feature_map=None if self.feature_map is None else self.feature_map[:, kept],
        )

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
            arrays or SciPy sparse matrices. By default the explanation's own.
        raw_feature_names : by default the explanation's own.

        Raises
        ------
        ModelError
            There is no map.
        ParameterError
            A map or names of another size.
        """
        own = self.feature_map, self.raw_features
        shares, names = raw_map(self.num_features, own, feature_maps, raw_feature_names)
        values = np.einsum("rco,fc->rfo", self.values, shares)
        changed: dict[str, Any] = {"feature_map": None, "raw_features": (), "reason_codes": None}
        return replace(self, values=values, features=names, **changed)

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

        Parameters
        ----------
        x : the rows that were explained, for plots that show them.
        """
        from scoring.shap_conversion import to_shap

        return to_shap(self, x)

    def __repr__(self) -> str:
        from scoring.explanation_views import local_text

        return local_text(self)

    def _repr_html_(self) -> str:
        from scoring.explanation_views import local_html

        return local_html(self)

    def layout(self) -> NDArray[np.float64]:
        """Return the values in the guide's order, C-contiguous: see `axes`."""
        by_output = np.ascontiguousarray(self.values.transpose(2, 0, 1))
        return by_output if len(self.axes) == 3 else by_output[0]

    @property
    def local_importance_values(self) -> list[Any]:
        """The values as nested lists: see `axes`."""
        values: list[Any] = self.layout().tolist()
        return values

    def get_local_importance_rank(self) -> list[Any]:
        """Feature indices from the highest value to the lowest, nested like the values."""
        ranks: list[Any] = _order(self.layout()).tolist()
        return ranks

    def get_ranked_local_values(self, top_k: int | None = None) -> list[Any]:
        """Return values from the highest to the lowest, nested like the values."""
        values = self.layout()
        ranked = np.take_along_axis(values, _order(values), axis=-1)
        answer: list[Any] = ranked[..., : top(top_k)].tolist()
        return answer

    def get_ranked_local_names(self, top_k: int | None = None) -> list[Any]:
        """Feature names in the order of `get_ranked_local_values`."""
        names = np.asarray(self.features, dtype=object)[_order(self.layout())]
        answer: list[Any] = names[..., : top(top_k)].tolist()
        return answer


@dataclass(frozen=True, eq=False, repr=False)
class GlobalExplanation:
    """How much each feature matters over many rows.

    Parameters
    ----------
    per_output : float64 (n_outputs, n_features), the mean absolute local values; for permutation
        importance one line, what permuting costs in the units of the metric.
    output_space : of the local values, or the metric's name.
    n_rows : how many rows were explained.
    standard_deviations : float64 (n_features,) over repeats, where there were any.
    base_values : float64 (n_outputs,), what the model says of the background.
    feature_map, raw_features : as a local explanation has them.
    raw_per_output : float64 (n_outputs, n_raw), the mean absolute sums of engineered values.
    fidelity : how well a surrogate stands for the model, where one is explained.
    """

    per_output: NDArray[np.float64]
    features: tuple[str, ...]
    output_names: tuple[str, ...]
    output_space: str
    method: str
    n_rows: int
    background: str = ""
    standard_deviations: NDArray[np.float64] | None = None
    base_values: NDArray[np.float64] | None = None
    feature_map: NDArray[np.float64] | None = None
    raw_features: tuple[str, ...] = ()
    raw_per_output: NDArray[np.float64] | None = None
    fidelity: dict[str, Any] | None = None

    @property
    def num_features(self) -> int:
        """How many features are listed."""
        return len(self.features)

    @property
    def expected_values(self) -> list[float]:
        """The base values, under the guide's name for them; [] where there are none."""
        return [] if self.base_values is None else [float(value) for value in self.base_values]

    def get_raw_explanation(
        self, feature_maps: Any = None, raw_feature_names: Sequence[str] | None = None
    ) -> GlobalExplanation:
        """The importance of raw features, where the explanation is of engineered columns.

        It was averaged while the local values were there: the mean absolute sum of several
        columns cannot be had from their mean absolute values, so a map comes too late.

        Raises
        ------
        ModelError
            The explanation holds no raw values.
        """
        if feature_maps is not None or self.raw_per_output is None:
            raise ModelError(
                "raw importances cannot be had from importances of columns. " + RAW_FIX
            )
        names = self.raw_features if raw_feature_names is None else tuple(raw_feature_names)
        if len(names) != self.raw_per_output.shape[1]:
            rule = f"must name {self.raw_per_output.shape[1]} features, not {len(names)}"
            raise ParameterError("raw_feature_names", rule)
        changed: dict[str, Any] = {"feature_map": None, "raw_features": (), "raw_per_output": None}
        return replace(self, per_output=self.raw_per_output, features=names, **changed)

    def to_frame(self) -> Any:
        """Return a pandas DataFrame: a line for each feature, the most important first."""
        from scoring.explanation_views import global_frame

        return global_frame(self)

    def __repr__(self) -> str:
        from scoring.explanation_views import global_text

        return global_text(self)

    def _repr_html_(self) -> str:
        from scoring.explanation_views import global_html

        return global_html(self)

    @property
    def values(self) -> NDArray[np.float64]:
        """Importance of each feature, averaged over the outputs; (n_features,)."""
        return np.asarray(self.per_output.mean(axis=0))

    @property
    def global_importance_values(self) -> list[float]:
        """`values` as a list, in the features' order."""
        return [float(value) for value in self.values]

    def get_global_importance_rank(self) -> list[int]:
        """Feature indices, the most important first."""
        return [int(j) for j in _order(self.values)]

    def get_ranked_global_values(self, top_k: int | None = None) -> list[float]:
        """Importances, the largest first."""
        return [float(value) for value in self.values[_order(self.values)][: top(top_k)]]

    def get_ranked_global_names(self, top_k: int | None = None) -> list[str]:
        """Feature names, the most important first."""
        return [self.features[j] for j in self.get_global_importance_rank()[: top(top_k)]]

    def get_ranked_per_class_values(self, top_k: int | None = None) -> list[list[float]]:
        """Importances of each output, the largest first."""
        ranked = np.take_along_axis(self.per_output, _order(self.per_output), axis=-1)
        answer: list[list[float]] = ranked[:, : top(top_k)].tolist()
        return answer

    def get_ranked_per_class_names(self, top_k: int | None = None) -> list[list[str]]:
        """Feature names of each output, the most important first."""
        ranked = _order(self.per_output)[:, : top(top_k)]
        return [[self.features[j] for j in order] for order in ranked]

    def get_feature_importance_dict(self, top_k: int | None = None) -> dict[str, float]:
        """Importance by name, the most important first."""
        names, values = self.get_ranked_global_names(top_k), self.get_ranked_global_values(top_k)
        return dict(zip(names, values, strict=True))


@dataclass(frozen=True, eq=False)
class Scored:
    """What a scored request is answered from.

    Parameters
    ----------
    predictions : (n_rows,), the model's own `predict`; (n_rows, n_outputs) for several targets.
    probabilities : float64 (n_rows, n_classes), or None where the model has none.
    """

    predictions: NDArray[Any]
    probabilities: NDArray[np.float64] | None
    explanation: LocalExplanation


def raw_map(
    n_features: int,
    own: tuple[NDArray[np.float64] | None, tuple[str, ...]],
    feature_maps: Any,
    names: Sequence[str] | None,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The map from engineered columns to raw features, and these features' names."""
    shares = own[0]
    if feature_maps is not None:
        chain = feature_maps if isinstance(feature_maps, (list, tuple)) else [feature_maps]
        maps = [each.toarray() if hasattr(each, "toarray") else each for each in chain]
        arrays = [np.asarray(each, dtype=np.float64) for each in maps]
        links = pairwise(arrays)
        fits = all(each.ndim == 2 for each in arrays) and all(
            a.shape[1] == b.shape[0] for a, b in links
        )
        if not arrays or not fits or arrays[-1].shape[1] != n_features:
            rule = f"must be maps (n_raw, n_columns), the last of them to {n_features} columns"
            raise ParameterError("feature_maps", rule)
        shares = reduce(np.matmul, arrays)
    if shares is None:
        raise ModelError("the explanation has no map to raw features. " + RAW_FIX)
    chosen = tuple(names or own[1] or (f"raw_{j}" for j in range(len(shares))))
    if len(chosen) != len(shares):
        raise ParameterError("raw_feature_names", f"must name {len(shares)}, not {len(chosen)}")
    return shares, chosen


def top(top_k: int | None) -> int | None:
    """Check how many of the first are wanted; None for all."""
    if top_k is not None and (isinstance(top_k, bool) or int(top_k) != top_k or top_k < 1):
        raise ParameterError("top_k", "must be a whole number of at least 1, or None for all")
    return top_k


def _order(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices along the last axis from the highest value to the lowest; ties keep their order."""
    return np.argsort(-values, axis=-1, kind="stable")
