"""Frozen results: how much each feature matters over many rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError
from scoring.ranks import order, top
from scoring.raw_sums import raw_names

__all__ = ["GlobalExplanation"]

LATE = (
    "raw importances cannot be had from importances of columns: the mean of |a + b| is not the sum "
    "of the means. Leave get_raw out of explain_global(x): raw features are explained then. Or sum "
    "local values: explain_local(x, get_raw=False).get_raw_explanation(feature_maps)."
)


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
            The explanation holds no raw values, or a map is given.
        ParameterError
            Another number of names.
        """
        if feature_maps is not None or self.raw_per_output is None:
            raise ModelError(LATE)
        names = raw_names(self.raw_per_output.shape[1], self.raw_features, raw_feature_names)
        changed: dict[str, Any] = {"feature_map": None, "raw_features": (), "raw_per_output": None}
        return replace(self, per_output=self.raw_per_output, features=names, **changed)

    def get_raw_feature_importances(self, feature_maps: Any = None) -> list[float]:
        """Return the raw features' importances as a list."""
        return self.get_raw_explanation(feature_maps).global_importance_values

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
        return [int(j) for j in order(self.values)]

    def get_ranked_global_values(self, top_k: int | None = None) -> list[float]:
        """Importances, the largest first."""
        return [float(value) for value in self.values[order(self.values)][: top(top_k)]]

    def get_ranked_global_names(self, top_k: int | None = None) -> list[str]:
        """Feature names, the most important first."""
        return [self.features[j] for j in self.get_global_importance_rank()[: top(top_k)]]

    def get_ranked_per_class_values(self, top_k: int | None = None) -> list[list[float]]:
        """Importances of each output, the largest first."""
        ranked = np.take_along_axis(self.per_output, order(self.per_output), axis=-1)
        answer: list[list[float]] = ranked[:, : top(top_k)].tolist()
        return answer

    def get_ranked_per_class_names(self, top_k: int | None = None) -> list[list[str]]:
        """Feature names of each output, the most important first."""
        ranked = order(self.per_output)[:, : top(top_k)]
        return [[self.features[j] for j in best] for best in ranked]

    def get_feature_importance_dict(self, top_k: int | None = None) -> dict[str, float]:
        """Importance by name, the most important first."""
        names, values = self.get_ranked_global_names(top_k), self.get_ranked_global_values(top_k)
        return dict(zip(names, values, strict=True))
