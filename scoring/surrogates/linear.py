"""Linear surrogates: numbers are filled in and scaled inside, categories become flags.

Their Shapley values are closed: a column adds its coefficient times its distance from the
background's mean, and a feature adds what its columns add, because the model is additive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.feature import Feature
from scoring.features import read_lineage, shares_of
from scoring.schema import FeatureSchema
from scoring.surrogates.surrogate import Attributions, Fitted, regressor_of
from scoring.table import Table

__all__ = ["LinearExplainableModel", "SGDExplainableModel"]

STEP = 0.01
STEADY_COLUMNS = 50
"""Columns up to which that step size of the stochastic descent is safe; beyond, it shrinks."""


def attributions(fitted: Fitted, background: NDArray[np.float64]) -> Attributions:
    """Return what explains codes, exactly, against background rows that weigh the same."""
    # The components have the same encoder, fitted to the same rows.
    encoder = fitted.components[0].named_steps["encode"]
    weights = np.array([c.named_steps["regress"].coef_ for c in fitted.components])
    n_features = background.shape[1]
    schema = FeatureSchema(tuple(Feature(f"{j}", allows_missing=True) for j in range(n_features)))
    lineage = read_lineage(encoder, schema, Table(background, schema.code_tables))
    shares = shares_of(lineage, n_features)
    center = encoder.transform(background).mean(axis=0)
    owned = np.einsum("fc,kc,ko->cfo", shares, weights, fitted.directions)

    def values(codes: NDArray[np.float64]) -> NDArray[np.float64]:
        distance = encoder.transform(codes) - center  # (n_rows, n_columns)
        return np.asarray(np.einsum("rc,cfo->rfo", distance, owned))

    return values


class LinearExplainableModel:
    """Ridge regression; `explainable_model_args` are those of `sklearn.linear_model.Ridge`."""

    name = "linear"

    @staticmethod
    def pipeline(
        codes: NDArray[np.float64],  # noqa: ARG004 trees need it
        categorical: NDArray[np.bool_],
        seed: int,
        options: Mapping[str, Any],
    ) -> Any:
        """Return an unfitted pipeline of encoder and regressor."""
        from sklearn.linear_model import Ridge

        ridge = regressor_of(Ridge, {"random_state": seed}, options)
        return _pipeline(categorical, ridge)

    @staticmethod
    def attributions(fitted: Fitted, background: NDArray[np.float64]) -> Attributions:
        """Return what explains codes, exactly."""
        return attributions(fitted, background)


class SGDExplainableModel:
    """Stochastic gradient descent; `explainable_model_args` are those of `SGDRegressor`."""

    name = "sgd"

    @staticmethod
    def pipeline(
        codes: NDArray[np.float64],
        categorical: NDArray[np.bool_],
        seed: int,
        options: Mapping[str, Any],
    ) -> Any:
        """Return an unfitted pipeline of encoder and regressor."""
        from sklearn.linear_model import SGDRegressor

        step = STEP * min(1.0, STEADY_COLUMNS / codes.shape[1])
        defaults = {"random_state": seed, "average": True, "eta0": step, "max_iter": 2000}
        descent = regressor_of(SGDRegressor, defaults, options)
        return _pipeline(categorical, descent)

    @staticmethod
    def attributions(fitted: Fitted, background: NDArray[np.float64]) -> Attributions:
        """Return what explains codes, exactly."""
        return attributions(fitted, background)


def _pipeline(categorical: NDArray[np.bool_], regressor: Any) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    fill = SimpleImputer(add_indicator=True, keep_empty_features=True)
    numbers = Pipeline([("fill", fill), ("scale", StandardScaler())])
    flags = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoder = ColumnTransformer(
        [
            ("numbers", numbers, np.flatnonzero(~categorical)),
            ("categories", flags, np.flatnonzero(categorical)),
        ]
    )
    return Pipeline([("encode", encoder), ("regress", regressor)])
