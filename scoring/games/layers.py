"""Small networks as numbers, and which models are such networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.games.additive import scaled_margins
from scoring.games.calibration import Calibration, calibrated_margins
from scoring.predictor import OutputSpace

__all__ = ["Layers", "layers_of"]

Activation = Literal["identity", "logistic", "tanh", "relu"]
Output = Literal["identity", "logistic", "softmax", "calibrated"]

OUTPUTS = {"identity", "logistic", "softmax"}


@dataclass(frozen=True, eq=False)
class Layers:
    """A feed-forward network.

    Parameters
    ----------
    weights, biases : float64 (n_in, n_out) and (n_out,), layer by layer.
    activation : between layers.
    output : after the last; `logistic` answers both of two classes, `calibrated` what a
        calibration makes of margins.
    calibration : where the output is calibrated.
    """

    weights: tuple[NDArray[np.float64], ...]
    biases: tuple[NDArray[np.float64], ...]
    activation: Activation
    output: Output
    calibration: Calibration | None = None

    @property
    def n_columns(self) -> int:
        """How many columns a row has."""
        return len(self.weights[0])

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        """The output spaces that it answers in: an output that is none of classes is a value."""
        return ("value",) if self.output == "identity" else ("probability",)

    def outputs(self, columns: NDArray[np.float64], space: OutputSpace) -> NDArray[np.float64]:  # noqa: ARG002 it has one
        """Return what the network says of rows, (n_rows, n_outputs)."""
        return self.after_first(columns @ self.weights[0] + self.biases[0])

    def predict(self, columns: NDArray[np.float64], labels: Sequence[Any]) -> NDArray[Any]:
        """Return the likeliest class, or the value."""
        told = self.after_first(columns @ self.weights[0] + self.biases[0])
        if labels:
            return np.asarray(np.asarray(labels)[told.argmax(axis=1)])
        return told[:, 0] if told.shape[1] == 1 else told

    def after_first(self, reached: NDArray[np.float64]) -> NDArray[np.float64]:
        """From what reaches the first activation (n, n_hidden), overwritten, to outputs."""
        told = self.told(reached)
        return np.concatenate([1 - told, told], axis=-1) if self.of_two else told

    def told(self, reached: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the same outputs, but of two classes' probabilities only the second."""
        for weights, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            reached = _activated(reached, self.activation) @ weights
            reached += bias
        return self._answered(reached)

    def of_halves(
        self, present: NDArray[Any], absent: NDArray[Any], *, plain: bool = False
    ) -> NDArray[np.float64]:
        """Return what is told where two halves make what reaches the first activation.

        As `max(x + y, 0)` is `max(y, -x) + x`, the halves of a rectified layer need not be added:
        x goes on to the next layer, where it is much smaller, and so does each bias. That saves a
        pass over memory for every layer.

        Parameters
        ----------
        present : (n_coalitions, n_rows, 1, n_hidden).
        absent : (n_coalitions, 1, n_background, n_hidden), bias included.
        plain : whether they are added all the same, for digits that a large half would take away.

        Returns
        -------
        float64 (n_coalitions, n_rows, n_background, n_told).
        """
        if plain or self.activation != "relu" or len(self.weights) == 1:
            reached = present + absent
            told = self.told(reached.reshape(-1, reached.shape[3]))
            return told.reshape(*reached.shape[:3], told.shape[1])
        reached, shift = np.maximum(absent, -present), present
        for weights, bias in zip(self.weights[1:-1], self.biases[1:-1], strict=True):
            shift = shift @ weights + bias
            reached = np.maximum(passed := _product(reached, weights), -shift, out=passed)
        reached = _product(reached, self.weights[-1])
        reached += shift @ self.weights[-1] + self.biases[-1]
        return self._answered(reached)

    def _answered(self, reached: NDArray[Any]) -> NDArray[np.float64]:
        """From what the last layer adds up to (..., n_out), overwritten, to what is told."""
        if self.calibration is not None:
            return self.calibration.told(reached.astype(np.float64, copy=False))
        return _answered(reached, self.output).astype(np.float64, copy=False)

    @property
    def of_two(self) -> bool:
        """Whether the outputs are two classes' probabilities."""
        two = self.calibration is not None and self.calibration.n_classes == 2
        return self.output == "logistic" or two

    def single(self) -> Layers:
        """Return the same network with layers in single precision."""
        weights: Any = tuple(array.astype(np.float32) for array in self.weights)
        biases: Any = tuple(array.astype(np.float32) for array in self.biases)
        return replace(self, weights=weights, biases=biases)


def layers_of(estimator: Any, space: OutputSpace) -> Layers | None:
    """Read a network's numbers, or None where the model has no such first layer.

    Known are scikit-learn's MLPClassifier (of classes, not of several labels) and MLPRegressor,
    LogisticRegression with more than two classes, and CalibratedClassifierCV over linear margins.
    Subclasses may do anything and are not taken.
    """
    kind = type(estimator)
    if not kind.__module__.startswith("sklearn."):
        return None
    if space == "probability" and (read := calibrated_margins(estimator)) is not None:
        return _of_calibrated(*read)
    classes: Any = getattr(estimator, "classes_", ())
    if kind.__name__ in {"LogisticRegression", "LogisticRegressionCV"}:
        if space != "probability" or len(classes) < 3:
            return None
        slopes, bias = np.asarray(estimator.coef_), np.asarray(estimator.intercept_)
        return _float64((slopes.T,), (bias,), "identity", "softmax")
    if kind.__name__ not in {"MLPClassifier", "MLPRegressor"}:
        return None
    known = {"identity", "logistic", "tanh", "relu"}
    if estimator.activation not in known or estimator.out_activation_ not in OUTPUTS:
        return None
    if len(classes) and not np.isscalar(classes[0]):
        return None
    fixed = estimator.activation, estimator.out_activation_
    found = _float64(estimator.coefs_, estimator.intercepts_, *fixed)
    return found if space in found.spaces else None


def _of_calibrated(bases: Sequence[Any], calibration: Calibration) -> Layers | None:
    """Linear margins of every fold, side by side."""
    slopes, biases = [], []
    for base in bases:
        margins = scaled_margins(base)
        if margins is None:
            return None
        slopes.append(margins.coefficients.T)
        biases.append(margins.intercepts)
    found = _float64((np.hstack(slopes),), (np.concatenate(biases),), "identity", "calibrated")
    return replace(found, calibration=calibration)


def _float64(
    weights: Sequence[NDArray[Any]],
    biases: Sequence[NDArray[Any]],
    activation: Activation,
    output: Output,
) -> Layers:
    def arrays(some: Sequence[NDArray[Any]]) -> tuple[NDArray[np.float64], ...]:
        return tuple(np.ascontiguousarray(one, dtype=np.float64) for one in some)

    return Layers(arrays(weights), arrays(biases), activation, output)


def _activated(reached: NDArray[np.float64], activation: Activation) -> NDArray[np.float64]:
    """In place."""
    if activation == "relu":
        np.maximum(reached, 0.0, out=reached)
    elif activation == "tanh":
        np.tanh(reached, out=reached)
    elif activation == "logistic":
        reached *= 0.5
        np.tanh(reached, out=reached)  # the same function, and no overflow
        reached *= 0.5
        reached += 0.5
    return reached


def _answered(reached: NDArray[np.float64], output: Output) -> NDArray[np.float64]:
    if output == "logistic":
        return _activated(reached, "logistic")
    if output == "softmax":
        reached -= reached.max(axis=-1, keepdims=True)
        np.exp(reached, out=reached)
        reached /= reached.sum(axis=-1, keepdims=True)
    return reached


def _product(points: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Multiply the last axis, all points at once."""
    flat = points.reshape(-1, len(weights)) @ weights
    return np.asarray(flat.reshape(*points.shape[:-1], weights.shape[1]))
