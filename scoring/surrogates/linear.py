"""Linear surrogates: numbers are filled in and scaled inside, categories become flags.

Their Shapley values are closed: a column adds its coefficient times its distance from the
background's mean, and a feature adds what its columns add, because the model is additive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.surrogates.surrogate import Attributions, Fitted, regressor_of

__all__ = ["LinearExplainableModel", "SGDExplainableModel"]

STEP = 0.01
STEADY_COLUMNS = 50
"""Columns up to which that step size of the stochastic descent is safe; beyond, it shrinks."""


def attributions(fitted: Fitted, background: NDArray[np.float64]) -> Attributions:
    """Return what explains codes, exactly, against background rows that weigh the same."""
    # The components have the same encoder, fitted to the same rows.
    encoder = fitted.components[0].named_steps["encode"]
    weights = np.array([c.named_steps["regress"].coef_ for c in fitted.components])
    center = encoder.transform(background).mean(axis=0)
    owners = _owners(encoder)
    order = np.argsort(owners, kind="stable")
    starts = np.searchsorted(owners[order], np.arange(background.shape[1]))  # each owns a column
    effects = (weights.T @ fitted.directions)[order]  # (n_columns, n_outputs)

    def values(codes: NDArray[np.float64]) -> NDArray[np.float64]:
        distance = (encoder.transform(codes) - center)[:, order]  # (n_rows, n_columns)
        return np.asarray(np.add.reduceat(distance[:, :, np.newaxis] * effects, starts, axis=1))

    return values


def _owners(encoder: Any) -> NDArray[np.intp]:
    """The feature (n_columns,) that each column of `_pipeline`'s encoder is made from."""
    (_, numbers, filled), (_, flags, flagged) = encoder.transformers_[:2]
    parts = [filled]
    if len(filled):
        indicator = numbers.named_steps["fill"].indicator_
        parts.append(filled[indicator.features_])
    if len(flagged):
        parts.append(np.repeat(flagged, [len(values) for values in flags.categories_]))
    return np.concatenate(parts).astype(np.intp)


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
