"""Kernel machines as numbers: margins that are sums of Gaussians around support vectors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.predictor import OutputSpace

__all__ = ["Machine", "machine_of"]

CLASSIFIERS = {"SVC", "NuSVC"}
OTHERS = {"SVR", "NuSVR", "OneClassSVM", "KernelRidge", "GaussianProcessRegressor"}


@dataclass(frozen=True, eq=False)
class Machine:
    """`sum_s coefficients_s exp(-sum_c gamma_c (x_c - support_sc)^2) + intercept`, per output.

    Parameters
    ----------
    supports : float64 (n_supports, n_columns).
    gammas : float64 (n_columns,).
    coefficients : float64 (n_supports, n_outputs).
    intercepts : float64 (n_outputs,).
    """

    supports: NDArray[np.float64]
    gammas: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]


def machine_of(estimator: Any, space: OutputSpace) -> Machine | None:
    """Read a kernel machine of scikit-learn with the `rbf` kernel, in margins or values.

    Classifiers with more than two classes have a margin for every pair of classes. Subclasses may
    do anything and are not read.
    """
    kind = type(estimator)
    name = kind.__name__
    if not kind.__module__.startswith("sklearn.") or name not in CLASSIFIERS | OTHERS:
        return None
    classifies = name in CLASSIFIERS or name == "OneClassSVM"
    if space != ("margin" if classifies else "value"):
        return None
    if name == "GaussianProcessRegressor":
        return _of_process(estimator)
    if estimator.kernel != "rbf":
        return None
    if name == "KernelRidge":
        return _of_ridge(estimator)
    return _of_libsvm(estimator)


def _of_libsvm(estimator: Any) -> Machine | None:
    supports, dual = estimator.support_vectors_, estimator.dual_coef_
    if not isinstance(dual, np.ndarray):  # fitted to sparse rows
        return None
    n_classes = len(getattr(estimator, "classes_", ()))
    if n_classes > 2:
        if estimator.decision_function_shape != "ovo":
            return None  # votes
        coefficients = _of_pairs(estimator, n_classes)
        intercepts = np.asarray(estimator.intercept_)
    else:
        coefficients, intercepts = dual.T, np.asarray(estimator.intercept_)
    gammas = np.full(supports.shape[1], float(estimator._gamma))  # noqa: SLF001 `gamma` may still say "scale"
    return Machine(_numbers(supports), gammas, _numbers(coefficients), _numbers(intercepts))


def _of_pairs(estimator: Any, n_classes: int) -> NDArray[np.float64]:
    """Of the pair (i, j): the supports of i by row j - 1 of the duals, those of j by row i."""
    dual, counts = estimator.dual_coef_, np.asarray(estimator.n_support_)
    ends = np.cumsum(counts)
    own = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    columns = []
    for i, j in combinations(range(n_classes), 2):
        column = np.zeros(dual.shape[1])
        column[own[i]] = dual[j - 1, own[i]]
        column[own[j]] = dual[i, own[j]]
        columns.append(column)
    return np.column_stack(columns)


def _of_ridge(estimator: Any) -> Machine | None:
    fitted = estimator.X_fit_
    if not isinstance(fitted, np.ndarray):
        return None
    dual = np.asarray(estimator.dual_coef_, dtype=np.float64)
    coefficients = dual.reshape(len(fitted), -1)
    gamma = 1 / fitted.shape[1] if estimator.gamma is None else float(estimator.gamma)
    gammas = np.full(fitted.shape[1], gamma)
    return Machine(_numbers(fitted), gammas, coefficients, np.zeros(coefficients.shape[1]))


def _of_process(estimator: Any) -> Machine | None:
    """A Gaussian process's mean: its kernel may have constant factors and noise."""
    read = _gaussian(estimator.kernel_)
    if read is None:
        return None
    factor, lengths = read
    fitted = _numbers(estimator.X_train_)
    dual = np.asarray(estimator.alpha_, dtype=np.float64).reshape(len(fitted), -1)
    spread = np.ravel(estimator._y_train_std)  # noqa: SLF001 what normalize_y divided by
    mean = np.ravel(estimator._y_train_mean)  # noqa: SLF001 what normalize_y took away
    gammas = np.broadcast_to(1 / (2 * np.square(lengths)), fitted.shape[1:])
    n_outputs = dual.shape[1]
    intercepts = np.broadcast_to(mean, (n_outputs,))
    return Machine(fitted, _numbers(gammas), _numbers(factor * dual * spread), _numbers(intercepts))


def _gaussian(kernel: Any) -> tuple[float, Any] | None:
    """The factor and the length scales of constants times one RBF, plus noise; else None."""
    name = type(kernel).__name__
    if name == "RBF":
        return 1.0, np.asarray(kernel.length_scale, dtype=np.float64)
    parts = [kernel.k1, kernel.k2] if name in {"Product", "Sum"} else []
    names = [type(part).__name__ for part in parts]
    for plain, other in ((0, 1), (1, 0)):
        if name == "Product" and names[plain] == "ConstantKernel":
            inner = _gaussian(parts[other])
            factor = float(parts[plain].constant_value)
            return None if inner is None else (factor * inner[0], inner[1])
        if name == "Sum" and names[plain] == "WhiteKernel":
            return _gaussian(parts[other])
    return None


def _numbers(array: Any) -> NDArray[np.float64]:
    return np.array(array, dtype=np.float64)
