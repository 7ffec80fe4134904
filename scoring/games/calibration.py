"""What is made of margins: calibrated class probabilities, as scikit-learn answers them.

Platt's sigmoid as libsvm serves it (`coupling`), and CalibratedClassifierCV's calibrators: a
sigmoid (Platt, "Probabilistic outputs for support vector machines", 1999) or an isotonic function
(Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
estimates", 2002, section 4) for each class against the rest, normalised, the mean of the folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.games.coupling import Coupled

__all__ = ["Calibration", "Kind", "calibrated_margins", "coupling"]

Kind = Literal["coupled", "sigmoid", "isotonic"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """From margins (..., n_margins) to class probabilities (..., n_classes).

    Parameters
    ----------
    kind : `coupled` is libsvm's, of one margin.
    slopes, offsets : float64 (n_margins,), of sigmoids `1 / (1 + exp(slope * margin + offset))`.
    thresholds, heights : float64 (n_margins, longest), corners of isotonic functions, shorter ones
        filled up with their last; of no length for sigmoids.
    n_folds : how many calibrated classifiers the answer is the mean of. Each has one margin for
        two classes, else one for each.
    """

    kind: Kind
    slopes: NDArray[np.float64]
    offsets: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    heights: NDArray[np.float64]
    n_folds: int

    @property
    def n_margins(self) -> int:
        """Of all folds."""
        return len(self.slopes)

    @property
    def n_classes(self) -> int:
        """How many probabilities there are."""
        return max(2, self.n_margins // self.n_folds)

    def probabilities(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return class probabilities (..., n_classes)."""
        told = self.told(margins)
        return told if self.n_classes > 2 else np.concatenate([1 - told, told], axis=-1)

    def told(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the second class's probability (..., 1), or all where there are more than two."""
        if self.n_margins == 1:
            return self._calibrated(margins, 0)
        answer = np.zeros((*margins.shape[:-1], self.n_margins // self.n_folds))
        for fold in np.arange(self.n_margins).reshape(self.n_folds, -1).tolist():
            each = np.stack([self._calibrated(margins[..., m], m) for m in fold], axis=-1)
            if len(fold) > 1:
                whole = each.sum(axis=-1, keepdims=True)
                equal = np.full_like(each, 1 / len(fold))  # where no class has any
                each = np.divide(each, whole, out=equal, where=whole != 0)
            answer += each
        answer /= self.n_folds
        return answer

    @cached_property
    def _coupled(self) -> Coupled:
        return Coupled(float(self.slopes[0]), float(self.offsets[0]))

    def _calibrated(self, margins: NDArray[np.float64], m: int) -> NDArray[np.float64]:
        if self.kind == "coupled":
            return self._coupled.second(margins)
        if self.kind == "isotonic":
            return np.asarray(np.interp(margins, self.thresholds[m], self.heights[m]))
        exponents = margins * self.slopes[m]
        exponents += self.offsets[m]
        with np.errstate(over="ignore"):  # beyond the largest number, and the answer is 0
            np.exp(exponents, out=exponents)
        exponents += 1.0
        return np.asarray(np.reciprocal(exponents, out=exponents))


def coupling(slope: float, offset: float) -> Calibration:
    """Return libsvm's own, of the margin that is positive for the second class."""
    sigmoid = np.array([slope]), np.array([offset])
    return Calibration("coupled", *sigmoid, np.zeros((1, 0)), np.zeros((1, 0)), 1)


def calibrated_margins(estimator: Any) -> tuple[list[Any], Calibration] | None:
    """Read scikit-learn's CalibratedClassifierCV.

    Returns
    -------
    The estimators of margins, fold by fold, and what is made of these; None where it is no such
    model, or calibrates probabilities.
    """
    kind = type(estimator)
    if kind.__name__ != "CalibratedClassifierCV" or not kind.__module__.startswith("sklearn."):
        return None
    folds = estimator.calibrated_classifiers_
    method = folds[0].method
    if method not in {"sigmoid", "isotonic"} or len(estimator.classes_) < 2:
        return None
    bases = [_thawed(fold.estimator) for fold in folds]
    n_each = 1 if len(estimator.classes_) == 2 else len(estimator.classes_)
    for base, fold in zip(bases, folds, strict=True):
        if not hasattr(base, "decision_function") or len(fold.calibrators) != n_each:
            return None
    every = [calibrator for fold in folds for calibrator in fold.calibrators]
    if method == "sigmoid":
        slopes, offsets = ([float(getattr(each, name)) for each in every] for name in ("a_", "b_"))
        sigmoids, no_corners = (np.array(slopes), np.array(offsets)), (len(every), 0)
        corners = np.zeros(no_corners), np.zeros(no_corners)
        return bases, Calibration("sigmoid", *sigmoids, *corners, len(folds))
    thresholds = _stacked([each.X_thresholds_ for each in every])
    heights = _stacked([each.y_thresholds_ for each in every])
    no_sigmoids = np.zeros(len(every)), np.zeros(len(every))
    return bases, Calibration("isotonic", *no_sigmoids, thresholds, heights, len(folds))


def _thawed(estimator: Any) -> Any:
    """What a FrozenEstimator holds."""
    frozen = type(estimator).__name__ == "FrozenEstimator"
    return estimator.estimator if frozen else estimator


def _stacked(corners: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    longest = max(map(len, corners))
    each = [np.pad(c.astype(np.float64), (0, longest - len(c)), mode="edge") for c in corners]
    return np.stack(each)
