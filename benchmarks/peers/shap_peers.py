"""shap's explainers as contenders; all of the background is theirs, equally weighted."""

from __future__ import annotations

import logging
import warnings
from functools import cache

import numpy as np
import shap
from shap.maskers import Independent

from benchmarks.timing import Contender

logging.getLogger("shap").setLevel(logging.ERROR)  # it calls more than 100 rows slow


def kernel(f, background):
    """`shap.KernelExplainer`; its default design is 2,048 coalitions and two for each player."""
    explainer = shap.KernelExplainer(f, background)
    default = 2 * background.shape[1] + 2048

    def sized(n):
        def values(rows):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about the rank of its own least squares
                found = explainer.shap_values(
                    rows, nsamples=n or default, l1_reg=False, silent=True
                )
            return last(found)

        return values

    return Contender(sized, float(np.ravel(explainer.expected_value)[-1]), default, 2 * default)


def permutation(f, background):
    """`shap.PermutationExplainer`, by evaluations a row; its default is ten permutations."""
    _compile()
    explainer = shap.PermutationExplainer(f, whole(background))
    least = 2 * background.shape[1] + 1

    def sized(n):
        def values(rows):
            return last(explainer(rows, max_evals=n or 10 * least, silent=True).values)

        return values

    base = float(np.ravel(f(background).mean(axis=0))[-1])
    return Contender(sized, base, 10 * least, 20 * least)


@cache
def _compile():
    """Let numba compile shap's masking now: that takes seconds, once a process."""
    two = np.arange(4.0).reshape(2, 2)
    shap.PermutationExplainer(lambda rows: rows.sum(axis=1), whole(two))(two[:1], silent=True)


def tree(model, background):
    """`shap.TreeExplainer`, interventional; exact, but it compares in single precision."""
    explainer = shap.TreeExplainer(model, whole(background), feature_perturbation="interventional")
    return _exact(lambda rows: explainer.shap_values(rows, check_additivity=False), explainer)


def linear(model, background):
    """`shap.LinearExplainer`, in margins."""
    explainer = shap.LinearExplainer(model, whole(background))
    return _exact(explainer.shap_values, explainer)


def _exact(values, explainer):
    base = float(np.ravel(explainer.expected_value)[-1])
    return Contender(lambda _n: lambda rows: last(values(rows)), base, 0, 0)


def whole(background):
    """A masker that keeps every row; by itself shap would silently keep a hundred."""
    return Independent(background, max_samples=len(background))


def last(found):
    """The last output's values, (n_rows, n_players), of whatever shape shap gives."""
    found = np.asarray(found)
    return found[..., -1] if found.ndim == 3 else found
