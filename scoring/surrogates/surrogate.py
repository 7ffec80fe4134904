"""What the explainable models share: one regression of a model's outputs on a table's codes.

The outputs are rotated first, so that what they have in common (probabilities sum to one) holds
for the surrogate exactly: it learns uncorrelated components of unit variance, and its answers are
a linear map of these. The map carries attributions as well, because Shapley values are linear.
Outputs are scaled before that, or one in millions would hide one in hundredths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError
from scoring.feature import Feature
from scoring.schema import FeatureSchema

__all__ = ["Attributions", "ExplainableModel", "Fitted", "codes_schema", "fit", "regressor_of"]

NEGLIGIBLE = 1e-9
"""Directions in which scaled outputs spread less than this are no component."""

Attributions = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From codes (n_rows, n_features) to values (n_rows, n_features, n_outputs)."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted surrogate.

    Parameters
    ----------
    estimator : takes codes (n_rows, n_features), answers outputs (n_rows, n_outputs) or (n_rows,).
    components : per component of the outputs a fitted pipeline of encoder and regressor.
    directions : float64 (n_components, n_outputs), what one unit of each component adds.
    """

    estimator: Any
    components: tuple[Any, ...]
    directions: NDArray[np.float64]


class ExplainableModel(Protocol):
    """A kind of surrogate: what is fitted, and how that is explained."""

    name: str

    @staticmethod
    def pipeline(
        codes: NDArray[np.float64],
        categorical: NDArray[np.bool_],
        seed: int,
        options: Mapping[str, Any],
    ) -> Any:
        """Return an unfitted pipeline of encoder and regressor.

        Parameters
        ----------
        codes : the rows that it will be fitted to.
        categorical : (n_features,), which of the codes count through categories.
        options : for the regressor.
        """

    @staticmethod
    def attributions(fitted: Fitted, background: NDArray[np.float64]) -> Attributions:
        """Return what explains codes, exactly, against background rows that weigh the same."""


def fit(pipeline: Any, codes: NDArray[np.float64], outputs: NDArray[np.float64]) -> Fitted:
    """Fit a pipeline of encoder and regressor to the components of outputs.

    Parameters
    ----------
    codes : float64 (n_rows, n_features), NaN where a value is missing.
    outputs : float64 (n_rows, n_outputs).

    Raises
    ------
    ParameterError
        The regressor refuses its arguments, or what it is to learn.
    """
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.decomposition import PCA
    from sklearn.multioutput import MultiOutputRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(outputs)
    size = np.linalg.svd(scaled, compute_uv=False)
    rank = max(1, int((size > NEGLIGIBLE * np.sqrt(len(outputs))).sum()))
    rotation = PCA(rank, whiten=True, svd_solver="full")
    turned = Pipeline([("scale", StandardScaler()), ("rotate", rotation)])
    each = MultiOutputRegressor(pipeline)
    estimator = TransformedTargetRegressor(each, transformer=turned, check_inverse=False)
    try:
        with np.errstate(invalid="ignore"):  # a constant has no variance to share out
            estimator.fit(codes, outputs)
    except Exception as error:  # libraries refuse in many ways
        name = type(pipeline.named_steps["regress"]).__name__
        rule = f"must let {name} learn the model's outputs; it raised {type(error).__name__}"
        told = f"{rule}: {error}".rstrip(".")
        raise ParameterError("explainable_model_args", told, "Or pass another model.") from error
    components = tuple(estimator.regressor_.estimators_)
    units = np.concatenate([np.zeros((1, rank)), np.eye(rank)])
    answers = estimator.transformer_.inverse_transform(units)
    return Fitted(estimator, components, answers[1:] - answers[0])


def codes_schema(schema: FeatureSchema) -> FeatureSchema:
    """The schema of a table's codes: every feature a number that may be missing."""
    return FeatureSchema(tuple(Feature(name, allows_missing=True) for name in schema.names))


def regressor_of(
    kind: Callable[..., Any], defaults: Mapping[str, Any], options: Mapping[str, Any]
) -> Any:
    """Make a library's regressor.

    Raises
    ------
    ParameterError
        An option that the regressor does not have.
    """
    if not isinstance(options, Mapping):
        raise ParameterError("explainable_model_args", "must be names with values")
    regressor = kind(**defaults)
    unknown = sorted(set(options) - set(regressor.get_params()))
    if unknown:
        name = type(regressor).__name__
        rule = f"must be arguments of {name}, which has no {', '.join(unknown)}"
        raise ParameterError("explainable_model_args", rule)
    return regressor.set_params(**options)
