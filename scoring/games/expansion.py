"""Radial-basis kernel machines as numbers, and which models are such machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.games.affine import scaled_tail
from scoring.games.calibration import Calibration, calibrated_margins, coupling
from scoring.games.game import blocks
from scoring.predictor import OutputSpace

__all__ = ["Expansion", "expansion_of"]

MARGINS = 1 << 20
"""Kernels that exist at a time while rows are predicted."""


@dataclass(frozen=True, eq=False)
class Expansion:
    """Margins `sum_s coefficient_s exp(-sum_c scale_sc (z_c - s_c)^2) + intercept`.

    Parameters
    ----------
    supports, scales : float64 (n_supports, n_columns), of all margins one after the other.
    coefficients : float64 (n_supports,).
    ends : int64 (n_margins,), where the supports of each margin end.
    intercepts : float64 (n_margins,).
    predicts : whether the machine's `predict` answers the class that a margin's sign says, the
        likeliest one, inliers as 1 or -1, or the margin.
    calibration : what probabilities are made by, where the machine has any.
    """

    supports: NDArray[np.float64]
    scales: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    ends: NDArray[np.int64]
    intercepts: NDArray[np.float64]
    predicts: Literal["class", "likeliest", "inlier", "value"]
    calibration: Calibration | None = None

    @property
    def n_columns(self) -> int:
        """How many columns a row has."""
        return int(self.supports.shape[1])

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        """The output spaces that it answers in."""
        margin: OutputSpace = "value" if self.predicts == "value" else "margin"
        if self.calibration is None:
            return (margin,)
        return ("probability", margin) if self.predicts == "class" else ("probability",)

    def outputs(self, columns: NDArray[np.float64], space: OutputSpace) -> NDArray[np.float64]:
        """Return what the machine says of rows, (n_rows, n_outputs)."""
        margins = self.margins(columns)
        if space != "probability" or self.calibration is None:
            return margins
        return self.calibration.probabilities(margins)

    def predict(self, columns: NDArray[np.float64], labels: Sequence[Any]) -> NDArray[Any]:
        """Return what the machine's own `predict` answers."""
        if self.predicts == "likeliest":
            best = self.outputs(columns, "probability").argmax(axis=1)
            return np.asarray(np.asarray(labels)[best])
        margins = self.margins(columns)[:, 0]
        if self.predicts == "value":
            return margins
        if self.predicts == "inlier":
            return np.where(margins > 0, 1, -1)
        return np.asarray(np.asarray(labels)[(margins >= 0).astype(np.intp)])

    def margins(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return margins (n_rows, n_margins)."""
        answer = np.empty((len(columns), len(self.intercepts)))
        for some in blocks(len(columns), max(1, MARGINS // self.supports.size)):
            apart = columns[some, np.newaxis] - self.supports
            with np.errstate(over="ignore"):  # so far away that the kernel is 0
                distances = np.einsum("rsc,rsc,sc->rs", apart, apart, self.scales)
            kernel = np.exp(-distances)
            for m, own in enumerate(self.supports_of()):
                answer[some, m] = kernel[:, own] @ self.coefficients[own]
        return answer + self.intercepts

    def supports_of(self) -> list[slice]:
        """The supports of each margin."""
        return [slice(*two) for two in pairwise([0, *self.ends.tolist()])]


def expansion_of(estimator: Any, space: OutputSpace) -> Expansion | None:
    """Read a kernel machine's numbers, or None where the model is no such machine.

    Known are scikit-learn's SVC and NuSVC with two classes (margins, and Platt's probabilities),
    SVR, NuSVR, OneClassSVM and KernelRidge with one output, all with the `rbf` kernel, and
    CalibratedClassifierCV over such classifiers. Subclasses may do anything and are not taken.
    """
    read = calibrated_margins(estimator) if space == "probability" else None
    if read is None:
        found = _machine(estimator)
        served = found is not None and space in found.spaces and len(found.supports) > 0
        return found if served else None
    bases, calibration = read
    machines = [_machine(base) for base in bases]
    whole = [machine for machine in machines if machine is not None]
    if len(whole) < len(machines):
        return None
    return Expansion(
        np.concatenate([each.supports for each in whole]),
        np.concatenate([each.scales for each in whole]),
        np.concatenate([each.coefficients for each in whole]),
        np.cumsum([len(each.supports) for each in whole]),
        np.concatenate([each.intercepts for each in whole]),
        "likeliest",
        calibration,
    )


def _machine(estimator: Any) -> Expansion | None:
    """One machine, with or without scalers in front."""
    known = {"SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM", "KernelRidge"}
    scaled = scaled_tail(estimator) if hasattr(estimator, "n_features_in_") else None
    if scaled is None:
        return None
    machine, (slope, start) = scaled
    kind = type(machine)
    if not kind.__module__.startswith("sklearn.") or kind.__name__ not in known:
        return None
    if machine.kernel != "rbf":
        return None
    found = _of_ridge(machine) if kind.__name__ == "KernelRidge" else _of_libsvm(machine)
    if found is None or not slope.all():
        return None
    return replace(found, supports=(found.supports - start) / slope, scales=found.scales * slope**2)


def _of_libsvm(machine: Any) -> Expansion | None:
    supports, dual = machine.support_vectors_, machine.dual_coef_
    if not isinstance(dual, np.ndarray) or len(dual) != 1:  # sparse, or more than two classes
        return None
    name = type(machine).__name__
    calibration = None
    slope, offset = machine._probA, machine._probB  # noqa: SLF001 public ones are deprecated
    if name in {"SVC", "NuSVC"} and len(slope):
        calibration = coupling(float(slope[0]), float(offset[0]))
    predicts: Literal["class", "value"] = "class" if name in {"SVC", "NuSVC"} else "value"
    return _expansion(
        supports,
        dual[0],
        machine._gamma,  # noqa: SLF001 `gamma` may still say "scale"
        machine.intercept_[0],
        "inlier" if name == "OneClassSVM" else predicts,
        calibration,
    )


def _of_ridge(machine: Any) -> Expansion | None:
    dual, fitted = np.asarray(machine.dual_coef_), machine.X_fit_
    if dual.ndim != 1 or not isinstance(fitted, np.ndarray):
        return None
    gamma = 1 / fitted.shape[1] if machine.gamma is None else float(machine.gamma)
    return _expansion(fitted, dual, gamma, 0.0, "value", None)


def _expansion(
    supports: NDArray[Any],
    coefficients: NDArray[Any],
    gamma: float,
    intercept: float,
    predicts: Literal["class", "inlier", "value"],
    calibration: Calibration | None,
) -> Expansion:
    numbers = np.array(supports, dtype=np.float64)
    return Expansion(
        numbers,
        np.full(numbers.shape, float(gamma)),
        np.array(coefficients, dtype=np.float64),
        np.array([len(numbers)]),
        np.array([intercept], dtype=np.float64),
        predicts,
        calibration,
    )
