"""The value function of a network whose first layer is a sum over features.

What reaches the first activation is a sum of what the row's features bring and what the background
row's do. Both are products of the masks with small matrices, and the background's half depends on
no row. So neither masked rows nor the first layer are ever made: what is left is the rest of the
network, evaluated on blocks that stay in the processor's cache. A softmax of linear scores is such
a network with nothing left but the softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.games.game import Worth, blocks
from scoring.predictor import EstimatorModel, Predictor
from scoring.table import Table

__all__ = ["LayeredGame", "Layers", "layers_of"]

Activation = Literal["identity", "logistic", "tanh", "relu"]
Output = Literal["identity", "logistic", "softmax"]

OUTPUTS = {"identity", "logistic", "softmax"}

IN_CACHE = 1 << 17
"""Numbers of one layer that exist at a time."""

KEPT_BYTES = 256 * 2**20
"""How large the background's half may be to be kept between calls."""


@dataclass(frozen=True, eq=False)
class Layers:
    """A feed-forward network.

    Parameters
    ----------
    weights, biases : float64 (n_in, n_out) and (n_out,), layer by layer.
    activation : between layers.
    output : after the last; `logistic` answers both of two classes.
    """

    weights: tuple[NDArray[np.float64], ...]
    biases: tuple[NDArray[np.float64], ...]
    activation: Activation
    output: Output

    def after_first(self, reached: NDArray[np.float64]) -> NDArray[np.float64]:
        """From what reaches the first activation (n, n_hidden), overwritten, to outputs."""
        for weights, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            reached = _activated(reached, self.activation) @ weights
            reached += bias
        return _answered(reached, self.output)


@dataclass(frozen=True, eq=False)
class LayeredGame:
    """Values of coalitions without masked rows."""

    predictor: Predictor
    background: Background
    block_bytes: int
    layers: Layers

    def values(self, rows: Table, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return v (n_rows, n_coalitions, n_outputs) of every coalition for every row."""
        v = np.zeros((rows.n_rows, len(masks), len(self.predictor.output_names)))
        per_mask = 8 * self.background.table.n_rows * len(self.layers.biases[0])
        for some in blocks(len(masks), max(1, self.block_bytes // 4 // per_mask)):
            absent = self._absent(masks[some])
            v[:, some] = self._values(rows, masks[some], absent)
        return v

    def prepared(self, masks: NDArray[np.bool_]) -> Worth:
        """Return `values` of fixed coalitions, with the background's half of the layer computed.

        Where that half is too large to be kept, it is computed at every call.
        """
        n_kept = len(masks) * self.background.table.n_rows * len(self.layers.biases[0])
        if 8 * n_kept > min(KEPT_BYTES, self.block_bytes):
            return lambda rows, some: self.values(rows, masks[some])
        absent = self._absent(masks)
        return lambda rows, some: self._values(rows, masks[some], absent[some])

    def _absent(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What the background brings, (n_coalitions, n_background, n_hidden), bias included."""
        brought = self._layer((~masks).astype(np.float64), self.background.table.codes)
        brought += self.layers.biases[0]
        return brought

    def _layer(self, mask: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The first layer of masked points, (n_coalitions, n_points, n_hidden), without bias."""
        weights = self.layers.weights[0]
        each = points.T[:, :, np.newaxis] * weights[:, np.newaxis]  # (features, points, hidden)
        flat = mask @ each.reshape(len(weights), -1)
        return np.asarray(flat.reshape(len(mask), len(points), weights.shape[1]))

    def _values(
        self, rows: Table, masks: NDArray[np.bool_], absent: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        n_outputs, weights = len(self.predictor.output_names), self.background.weights
        v = np.zeros((rows.n_rows, len(masks), n_outputs))
        mask = masks.astype(np.float64)
        widest = max(len(bias) for bias in self.layers.biases)
        for some in blocks(rows.n_rows, max(1, IN_CACHE // max(1, mask.size))):
            present = self._layer(mask, rows.codes[some])[:, :, np.newaxis]
            each = present.shape[1] * absent.shape[1] * widest
            for asked in blocks(len(mask), max(1, IN_CACHE // each)):
                reached = present[asked] + absent[asked, np.newaxis]
                shape = reached.shape[:3]  # (coalitions, rows, background)
                outputs = self.layers.after_first(reached.reshape(-1, reached.shape[3]))
                v[some, asked] = np.einsum("b,crbo->rco", weights, outputs.reshape(*shape, -1))
        return v


def layers_of(predictor: Predictor) -> Layers | None:
    """Read a network's numbers, or None where the model has no such first layer.

    Known are scikit-learn's MLPClassifier (of classes, not of several labels) and MLPRegressor,
    and LogisticRegression with more than two classes. Subclasses may do anything and are not taken.
    """
    model = predictor.model
    if not isinstance(model, EstimatorModel) or any(predictor.schema.code_tables):
        return None
    estimator, kind = model.estimator, type(model.estimator)
    if not kind.__module__.startswith("sklearn."):
        return None
    several = len(model.labels) > 2 and predictor.space == "probability"
    if kind.__name__ in {"LogisticRegression", "LogisticRegressionCV"} and several:
        slopes, bias = np.asarray(estimator.coef_), np.asarray(estimator.intercept_)
        return _float64((slopes.T,), (bias,), "identity", "softmax")
    if kind.__name__ not in {"MLPClassifier", "MLPRegressor"}:
        return None
    known = {"identity", "logistic", "tanh", "relu"}
    if estimator.activation not in known or estimator.out_activation_ not in OUTPUTS:
        return None
    if model.labels and not np.isscalar(model.labels[0]):
        return None
    fixed = estimator.activation, estimator.out_activation_
    return _float64(estimator.coefs_, estimator.intercepts_, *fixed)


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
