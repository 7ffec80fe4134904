"""Who explains: this project as it is served, and shap, on the very same game."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import shap
from numpy.typing import NDArray
from shap.utils._legacy import DenseData  # what shap.kmeans answers

from scoring.artifact import load, save
from scoring.scoring_explainers import KernelScoringExplainer

BASE_VALUES_AGREE = 1e-5
"""In probability; a model that travels as ONNX computes in float32."""


@dataclass(frozen=True, eq=False)
class Contender:
    """Something that explains rows; `values` gives (n_rows, n_features, n_outputs)."""

    values: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    base_values: NDArray[np.float64]
    n_coalitions: int


def distilled(full, n_coalitions=None, seed=0):
    """A scoring explainer of coalitions, as the peer is one; not yet saved."""
    with warnings.catch_warnings():  # skl2onnx reads attributes of SVC that will go
        warnings.filterwarnings("ignore", category=FutureWarning)
        return KernelScoringExplainer(
            full, n_coalitions=n_coalitions, random_state=seed, method="kernel"
        )


def served(explainer, directory):
    """The explainer as a server has it: saved, and loaded again."""
    with warnings.catch_warnings():  # as above
        warnings.filterwarnings("ignore", category=FutureWarning)
        save(explainer, directory)
    return contender(load(directory))


def contender(explainer):
    """A scoring explainer among the others."""
    return Contender(
        lambda rows: explainer.explain_local(rows).values,
        explainer.base_values,
        explainer.design.n_coalitions,
    )


def shap_kernel(model, background, n_coalitions):
    """`shap.KernelExplainer` on the same background rows, weights and number of coalitions."""
    rows, weights = background.table.codes, background.weights.copy()
    names = [str(j) for j in range(rows.shape[1])]
    explainer = shap.KernelExplainer(model.predict_proba, DenseData(rows, names, None, weights))
    values = partial(explainer.shap_values, nsamples=n_coalitions, l1_reg=False, silent=True)
    return Contender(values, np.asarray(explainer.expected_value), n_coalitions)


def base_values_apart(ours, theirs):
    """The largest difference of base values; more than rounding means two different games."""
    apart = float(np.abs(ours.base_values - theirs.base_values).max())
    if apart > BASE_VALUES_AGREE:
        raise AssertionError(f"base values differ by {apart:.2g}: the two explain different games")
    return apart
