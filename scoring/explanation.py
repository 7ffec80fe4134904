"""Frozen results: local and global explanations and their ranked views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GlobalExplanation", "LocalExplanation", "Scored"]


@dataclass(frozen=True, eq=False)
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
        answer: list[Any] = ranked[..., :top_k].tolist()
        return answer

    def get_ranked_local_names(self, top_k: int | None = None) -> list[Any]:
        """Feature names in the order of `get_ranked_local_values`."""
        names = np.asarray(self.features, dtype=object)[_order(self.layout())]
        answer: list[Any] = names[..., :top_k].tolist()
        return answer


@dataclass(frozen=True, eq=False)
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
        return [float(value) for value in self.values[_order(self.values)][:top_k]]

    def get_ranked_global_names(self, top_k: int | None = None) -> list[str]:
        """Feature names, the most important first."""
        return [self.features[j] for j in self.get_global_importance_rank()[:top_k]]

    def get_ranked_per_class_values(self, top_k: int | None = None) -> list[list[float]]:
        """Importances of each output, the largest first."""
        ranked = np.take_along_axis(self.per_output, _order(self.per_output), axis=-1)
        answer: list[list[float]] = ranked[:, :top_k].tolist()
        return answer

    def get_ranked_per_class_names(self, top_k: int | None = None) -> list[list[str]]:
        """Feature names of each output, the most important first."""
        return [[self.features[j] for j in order[:top_k]] for order in _order(self.per_output)]

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


def _order(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices along the last axis from the highest value to the lowest; ties keep their order."""
    return np.argsort(-values, axis=-1, kind="stable")
