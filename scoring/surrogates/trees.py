"""Tree surrogates: one column per feature, so that the players of the trees are the features.

Categories become the mean answer of their rows, which orders them as well as splits between sets
of categories would (Fisher, "On grouping for maximum homogeneity", 1958); a gap becomes a number
below all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError
from scoring.kernel import BLOCK_BYTES
from scoring.surrogates.surrogate import Attributions, Fitted, regressor_of
from scoring.trees.forest import Forest
from scoring.trees.game import tree_game
from scoring.trees.paths import MOST_PLAYERS
from scoring.trees.read import forest_in

__all__ = ["DecisionTreeExplainableModel", "LGBMExplainableModel"]

FOLDS = 5
"""In training a category's mean is that of other rows, so that no row sees its own answer."""

GAP = 1e-9
"""Largest difference between leaves and predictions, as a share of these."""

COMPARED = 100
"""Rows on which they are compared: all rows at all leaves would not fit into memory."""

LEAF_ROWS = 5
"""Fewest rows of a leaf: a tree that learns every row by heart stands for nothing."""


def attributions(fitted: Fitted, background: NDArray[np.float64]) -> Attributions:
    """Return what explains codes, exactly, against background rows that weigh the same."""
    weights = np.full(len(background), 1 / len(background))
    explained = [_explained(component, background, weights) for component in fitted.components]
    # The encoder's columns: numbers first, then categories, each in the features' order.
    parts = fitted.components[0].named_steps["encode"].transformers_
    order = np.concatenate([np.asarray(columns, dtype=np.intp) for *_, columns in parts])

    def values(codes: NDArray[np.float64]) -> NDArray[np.float64]:
        each = np.array([explain(codes) for explain in explained])
        answer = np.empty((len(codes), codes.shape[1], fitted.directions.shape[1]))
        answer[:, order] = np.einsum("krf,ko->rfo", each, fitted.directions)
        return answer

    return values


class LGBMExplainableModel:
    """LightGBM; `explainable_model_args` are those of `lightgbm.LGBMRegressor`."""

    name = "lightgbm"

    @staticmethod
    def pipeline(
        codes: NDArray[np.float64],
        categorical: NDArray[np.bool_],
        seed: int,
        options: Mapping[str, Any],
    ) -> Any:
        """Return an unfitted pipeline of encoder and regressor."""
        try:
            from lightgbm import LGBMRegressor
        except ImportError:
            fix = "Install shapserve[lightgbm], or pass another of the explainable models."
            raise ParameterError("explainable_model", "needs LightGBM installed", fix) from None
        defaults = {"random_state": seed, "verbosity": -1, "n_jobs": 1, "deterministic": True}
        defaults["max_depth"] = MOST_PLAYERS
        boosting = regressor_of(LGBMRegressor, defaults, options)
        return _pipeline(codes, categorical, boosting, seed)

    @staticmethod
    def attributions(fitted: Fitted, background: NDArray[np.float64]) -> Attributions:
        """Return what explains codes, exactly."""
        return attributions(fitted, background)


class DecisionTreeExplainableModel:
    """One tree; `explainable_model_args` are those of `sklearn.tree.DecisionTreeRegressor`."""

    name = "decision tree"

    @staticmethod
    def pipeline(
        codes: NDArray[np.float64],
        categorical: NDArray[np.bool_],
        seed: int,
        options: Mapping[str, Any],
    ) -> Any:
        """Return an unfitted pipeline of encoder and regressor."""
        from sklearn.tree import DecisionTreeRegressor

        defaults = {"random_state": seed, "min_samples_leaf": LEAF_ROWS, "max_depth": MOST_PLAYERS}
        tree = regressor_of(DecisionTreeRegressor, defaults, options)
        return _pipeline(codes, categorical, tree, seed)

    @staticmethod
    def attributions(fitted: Fitted, background: NDArray[np.float64]) -> Attributions:
        """Return what explains codes, exactly."""
        return attributions(fitted, background)


def _pipeline(
    codes: NDArray[np.float64], categorical: NDArray[np.bool_], regressor: Any, seed: int
) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import KFold
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import TargetEncoder

    seen = codes[:, ~categorical]
    seen = seen[~np.isnan(seen)]
    below = float(seen.min() - np.ptp(seen) - 1) if seen.size else 0.0
    fill = SimpleImputer(strategy="constant", fill_value=below, keep_empty_features=True)
    folds = KFold(max(2, min(FOLDS, len(codes))), shuffle=True, random_state=seed)
    means = TargetEncoder(target_type="continuous", cv=folds)
    encoder = ColumnTransformer(
        [
            ("numbers", fill, np.flatnonzero(~categorical)),
            ("categories", means, np.flatnonzero(categorical)),
        ]
    )
    return Pipeline([("encode", encoder), ("regress", regressor)])


def _explained(
    component: Any, background: NDArray[np.float64], weights: NDArray[np.float64]
) -> Attributions:
    """From codes to the values (n_rows, n_columns) of one component."""
    encoder, regressor = component.named_steps["encode"], component.named_steps["regress"]

    def columns(codes: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(encoder.transform(codes), dtype=np.float64)

    forest, rows = forest_in(regressor, "value"), columns(background)
    game = None
    if forest is not None and _answers_like(forest, regressor, rows[:COMPARED]):
        players = np.arange(rows.shape[1])
        game = tree_game(forest, rows, weights, players, len(players))
    if game is None:
        rule = "must leave the trees as they are explained: constant leaves that add up"
        fix = f"Leave out what changes that, and max_depth above {MOST_PLAYERS}."
        raise ParameterError("explainable_model_args", rule, fix)
    return lambda codes: game.values(columns(codes), BLOCK_BYTES)[..., 0]


def _answers_like(forest: Forest, regressor: Any, rows: NDArray[np.float64]) -> bool:
    answers, told = regressor.predict(rows), forest.answers(rows)[:, 0]
    return bool(np.allclose(told, answers, rtol=0, atol=GAP * np.abs(answers).max()))
