"""The value function of a network whose first layer is a sum over features.

What reaches the first activation is a sum of what the row's features bring and what the background
row's do. Both are products of the masks with small matrices, and the background's half depends on
no row. So neither masked rows nor the first layer are ever made: what is left is the rest of the
network, evaluated on blocks that stay in the processor's cache. A softmax of linear scores is such
a network with nothing left but the softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.games.additive import scaled_margins
from scoring.games.calibration import Calibration, calibrated_margins
from scoring.games.game import Asked, blocks, players_of
from scoring.games.precision import single_will_do
from scoring.predictor import OutputSpace

__all__ = ["Layers", "layered_values", "layers_of"]

Activation = Literal["identity", "logistic", "tanh", "relu"]
Output = Literal["identity", "logistic", "softmax", "calibrated"]

OUTPUTS = {"identity", "logistic", "softmax"}

IN_CACHE = 1 << 17
"""Numbers of one layer that exist at a time."""

MANY = 1 << 24
"""Products after the first layer that are worth a thought of their precision."""

KEPT_BYTES = 256 * 2**20
"""How large the background's half may be to be kept between calls."""


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
        for weights, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            reached = _activated(reached, self.activation) @ weights
            reached += bias
        told = reached.astype(np.float64, copy=False)
        if self.calibration is not None:
            return self.calibration.probabilities(told)
        return _answered(told, self.output)

    def single(self) -> Layers:
        """Return the same network with layers in single precision."""
        weights: Any = tuple(array.astype(np.float32) for array in self.weights)
        biases: Any = tuple(array.astype(np.float32) for array in self.biases)
        return replace(self, weights=weights, biases=biases)


def layered_values(
    layers: Layers,
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
    masks: NDArray[np.bool_],
    block_bytes: int,
) -> Asked:
    """Return the value function of fixed coalitions; see `scoring.games.game.Asked`.

    The background's half of the first layer is kept where there is room. Where the other layers
    have much to multiply, they do so in single precision if it costs no digit that anybody sees.

    Parameters
    ----------
    background, weights : float64 (n_background, n_columns) and (n_background,), summing to 1.
    masks : bool (n_coalitions, n_columns).
    """
    distinct, owned = players_of(masks)
    asked = _Asked(layers, layers, background, weights, distinct, owned)
    products = sum(array.size for array in layers.weights[1:]) * len(masks) * len(background)
    if products > MANY:
        single = replace(asked, rest=layers.single())
        asked = single if single_will_do(asked, single, background, len(masks)) else asked
    per_coalition = 8 * len(background) * len(layers.biases[0])
    if len(masks) * per_coalition <= min(KEPT_BYTES, block_bytes):
        return asked.kept()
    return replace(asked, per_block=max(1, block_bytes // 4 // per_coalition))


@dataclass(frozen=True, eq=False)
class _Asked:
    """Fixed coalitions of players and a background.

    Parameters
    ----------
    rest : the same network, for what comes after the first layer.
    masks : bool (n_coalitions, n_players), and which columns they own; see `players_of`.
    absent : what the background brings, (n_coalitions, n_background, n_hidden), bias included.
    per_block : for how many coalitions at a time that is computed where it is not kept.
    """

    layers: Layers
    rest: Layers
    background: NDArray[np.float64]
    weights: NDArray[np.float64]
    masks: NDArray[np.bool_]
    owned: NDArray[np.float64]
    absent: NDArray[np.float64] | None = None
    per_block: int = 1

    def kept(self) -> _Asked:
        """Compute the background's half of the first layer."""
        return replace(self, absent=self._absent(self.masks))

    def __call__(self, rows: NDArray[np.float64], asked: slice) -> NDArray[np.float64]:
        """Return v (n_rows, n_asked, n_outputs)."""
        masks = self.masks[asked]
        if self.absent is not None:
            return self._values(rows, masks, self.absent[asked])
        parts = [
            self._values(rows, masks[some], self._absent(masks[some]))
            for some in blocks(len(masks), self.per_block)
        ]
        return np.concatenate(parts, axis=1) if parts else self._values(rows, masks, self._none())

    def _none(self) -> NDArray[np.float64]:
        return np.zeros((0, len(self.background), len(self.layers.biases[0])))

    def _absent(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        brought = self._layer((~masks).astype(np.float64), self.background)
        brought += self.layers.biases[0]
        return brought.astype(self.rest.biases[0].dtype, copy=False)

    def _layer(self, mask: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The first layer of masked points, (n_coalitions, n_points, n_hidden), without bias."""
        weights = self.layers.weights[0]
        each = points.T[:, :, np.newaxis] * weights[:, np.newaxis]  # (columns, points, hidden)
        flat = each.reshape(len(weights), len(points) * weights.shape[1])
        brought = self.owned @ flat  # (players, points * hidden)
        return np.asarray((mask @ brought).reshape(len(mask), len(points), weights.shape[1]))

    def _values(
        self, rows: NDArray[np.float64], masks: NDArray[np.bool_], absent: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        layers = self.layers
        n_outputs = layers.after_first(layers.biases[0][np.newaxis].copy()).shape[1]
        v = np.zeros((len(rows), len(masks), n_outputs))
        mask = masks.astype(np.float64)
        widest = max(len(bias) for bias in layers.biases)
        for some in blocks(len(rows), max(1, IN_CACHE // max(1, mask.size))):
            own = self._layer(mask, rows[some]).astype(absent.dtype, copy=False)
            present = own.reshape(*own.shape[:2], 1, own.shape[2])
            each = present.shape[1] * absent.shape[1] * widest
            for asked in blocks(len(mask), max(1, IN_CACHE // each)):
                reached = present[asked] + absent[asked, np.newaxis]
                shape = reached.shape[:-1]  # (coalitions, rows, background)
                outputs = self.rest.after_first(reached.reshape(-1, len(layers.biases[0])))
                v[some, asked] = np.einsum(
                    "b,crbo->rco", self.weights, outputs.reshape(*shape, n_outputs)
                )
        return v


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
        second = _activated(reached, "logistic")
        return np.concatenate([1 - second, second], axis=1)
    if output == "softmax":
        reached -= reached.max(axis=1, keepdims=True)
        np.exp(reached, out=reached)
        reached /= reached.sum(axis=1, keepdims=True)
    return reached
