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

BACKGROUND = 64
"""Background rows whose half is computed at a time where it is not kept."""

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
        told = self.told(reached)
        return np.concatenate([1 - told, told], axis=-1) if self.of_two else told

    def told(self, reached: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the same outputs, but of two classes' probabilities only the second."""
        for weights, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            reached = _activated(reached, self.activation) @ weights
            reached += bias
        return self._answered(reached)

    def of_halves(self, present: NDArray[Any], absent: NDArray[Any]) -> NDArray[np.float64]:
        """Return what is told where two halves make what reaches the first activation.

        As `max(x + y, 0)` is `max(y, -x) + x`, the halves of a rectified layer need not be added:
        x goes on to the next layer, where it is much smaller, and so does each bias. That saves a
        pass over memory for every layer.

        Parameters
        ----------
        present : (n_coalitions, n_rows, 1, n_hidden).
        absent : (n_coalitions, 1, n_background, n_hidden), bias included.

        Returns
        -------
        float64 (n_coalitions, n_rows, n_background, n_told).
        """
        if self.activation != "relu" or len(self.weights) == 1:
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
    per_coalition = asked.kind.itemsize * len(background) * len(layers.biases[0])
    if len(masks) * per_coalition <= min(KEPT_BYTES, block_bytes):
        return asked.kept()
    n_hidden = len(layers.biases[0])
    return replace(asked, room=max(1, min(IN_CACHE, block_bytes // 32) // n_hidden))


@dataclass(frozen=True, eq=False)
class _Asked:
    """Fixed coalitions of players and a background.

    Parameters
    ----------
    rest : the same network, for what comes after the first layer's products with points.
    masks : bool (n_coalitions, n_players), and which columns they own; see `players_of`.
    absent : what the background brings, (n_coalitions, n_background, n_hidden), bias included.
    room : coalitions times background rows that it is computed for at a time where it is not kept.
    """

    layers: Layers
    rest: Layers
    background: NDArray[np.float64]
    weights: NDArray[np.float64]
    masks: NDArray[np.bool_]
    owned: NDArray[np.float64]
    absent: NDArray[np.float64] | None = None
    room: int = 1

    @property
    def kind(self) -> np.dtype[Any]:
        """The kind of numbers that reach the first activation."""
        return self.rest.biases[0].dtype

    def kept(self) -> _Asked:
        """Compute the background's half of the first layer."""
        return replace(self, absent=self._absent(self.masks, self._brought(self.background)))

    def __call__(self, rows: NDArray[np.float64], asked: slice) -> NDArray[np.float64]:
        """Return v (n_rows, n_asked, n_outputs)."""
        masks, own = self.masks[asked], self._brought(rows)
        n_told = self.layers.told(self.layers.biases[0][np.newaxis].copy()).shape[1]
        v = np.zeros((len(rows), len(masks), n_told))
        if self.absent is not None:
            self._add(v, own, masks, self.absent[asked], self.weights)
        else:
            for known in blocks(len(self.background), BACKGROUND):
                brought = self._brought(self.background[known])
                for some in blocks(len(masks), max(1, self.room // brought.shape[1])):
                    absent = self._absent(masks[some], brought)
                    self._add(v[:, some], own, masks[some], absent, self.weights[known])
        return np.concatenate([self.weights.sum() - v, v], axis=-1) if self.layers.of_two else v

    def _brought(self, points: NDArray[np.float64]) -> NDArray[Any]:
        """What players of points bring to the first layer, (n_players, n_points, n_hidden)."""
        weights = self.layers.weights[0]
        each = points.T[:, :, np.newaxis] * weights[:, np.newaxis]  # (columns, points, hidden)
        flat = self.owned @ each.reshape(len(weights), len(points) * weights.shape[1])
        return flat.reshape(len(self.owned), len(points), weights.shape[1]).astype(
            self.kind, copy=False
        )

    def _absent(self, masks: NDArray[np.bool_], brought: NDArray[Any]) -> NDArray[Any]:
        """What the background brings, bias included."""
        absent = _layer((~masks).astype(self.kind), brought)
        absent += self.rest.biases[0]
        return absent

    def _add(
        self,
        v: NDArray[np.float64],
        own: NDArray[Any],
        masks: NDArray[np.bool_],
        absent: NDArray[Any],
        weights: NDArray[np.float64],
    ) -> None:
        """Add what `Layers.told` is on average to v (n_rows, n_asked, n_told)."""
        mask = masks.astype(self.kind)
        widest = max(len(bias) for bias in self.layers.biases)
        for some in blocks(len(v), max(1, IN_CACHE // max(1, mask.size))):
            present = _layer(mask, own[:, some])[:, :, np.newaxis]
            each = present.shape[1] * absent.shape[1] * widest
            for asked in blocks(len(mask), max(1, IN_CACHE // each)):
                told = self.rest.of_halves(present[asked], absent[asked, np.newaxis])
                v[some, asked] += np.einsum("b,crbo->rco", weights, told)


def _product(points: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Multiply the last axis, all points at once."""
    flat = points.reshape(-1, len(weights)) @ weights
    return np.asarray(flat.reshape(*points.shape[:-1], weights.shape[1]))


def _layer(mask: NDArray[Any], brought: NDArray[Any]) -> NDArray[Any]:
    """The first layer of masked points, (n_coalitions, n_points, n_hidden), without bias."""
    n_players, n_points, n_hidden = brought.shape
    flat = mask @ brought.reshape(n_players, n_points * n_hidden)
    return np.asarray(flat.reshape(len(mask), n_points, n_hidden))


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
