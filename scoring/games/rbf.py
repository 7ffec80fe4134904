"""The value function of radial-basis kernel machines, without calling the model.

The squared distance between a masked row and a support vector is a sum over features, each taken
from the row or from the background row. So `exp(-gamma * distance)` is a product of two factors:
one that the row's own features make, and one that the background's make, whatever the row is. The
margins of all background rows are then matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.games.coupling import coupled_probabilities
from scoring.games.game import Worth, blocks
from scoring.predictor import EstimatorModel, OutputSpace, Predictor
from scoring.table import Table

__all__ = ["Expansion", "RbfGame", "expansion_of"]

KINDS = 12
"""Arrays of about the same size that exist at a time: two factors, the product, what the link makes
on its way, and as much again for who called."""


KEPT_BYTES = 256 * 2**20
"""How large the background's half of the kernel may be to be kept between calls."""

FAR = 60.0
"""An exponent beyond which nothing is left of a support vector's coefficient: 1e-26 of it. Smaller
numbers would only be slower, for want of digits."""


@dataclass(frozen=True, eq=False)
class Expansion:
    """A margin `sum_s coefficient_s exp(-gamma |z - s|^2) + intercept`, and what is made of it.

    Parameters
    ----------
    supports : float64 (n_supports, n_features).
    coefficients : float64 (n_supports,).
    predicts : whether the machine's `predict` answers a class, inliers as 1 or -1, or the margin.
    sigmoid : slope and offset of Platt's sigmoid, where the machine has probabilities.
    """

    supports: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    intercept: float
    gamma: float
    predicts: Literal["class", "inlier", "value"]
    sigmoid: tuple[float, float] | None = None

    def outputs(self, margins: NDArray[np.float64], space: OutputSpace) -> NDArray[np.float64]:
        """From margins (...) to outputs (..., n_outputs) in an output space."""
        if space == "probability" and self.sigmoid is not None:
            # libsvm's decision is positive for the first class, scikit-learn's for the second.
            return coupled_probabilities(-margins, *self.sigmoid)
        return margins[..., np.newaxis]


@dataclass(frozen=True, eq=False)
class RbfGame:
    """Values of coalitions as matrix products over support vectors and background rows."""

    predictor: Predictor
    background: Background
    block_bytes: int
    expansion: Expansion

    def values(self, rows: Table, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return v (n_rows, n_coalitions, n_outputs) of every coalition for every row."""
        n_outputs = len(self.predictor.output_names)
        known, weights = self.background.table.codes, self.background.weights
        v = np.zeros((rows.n_rows, len(masks), n_outputs))
        room = max(1, self.block_bytes // 8 // KINDS)  # float64 numbers of one kind
        n_supports, n_features = self.expansion.supports.shape
        for some_background in blocks(len(known), max(1, room // (n_supports * n_features))):
            background = self._distances(known[some_background])
            per_block = max(1, room // background.shape[1])
            for some_masks in blocks(len(masks), per_block):
                mask = masks[some_masks].astype(np.float64)
                absent = self._kernel((1 - mask) @ background, n_supports)
                per_row = max(len(mask), n_features) * max(n_supports, absent.shape[1] * n_outputs)
                for some_rows in blocks(rows.n_rows, max(1, room // per_row)):
                    present = mask @ self._distances(rows.codes[some_rows])
                    factor = self._kernel(present, n_supports) * self.expansion.coefficients
                    margins = factor @ absent.transpose(0, 2, 1) + self.expansion.intercept
                    outputs = self.expansion.outputs(
                        margins, self.predictor.space
                    )  # (coalitions, rows, background, outputs)
                    v[some_rows, some_masks] += np.einsum(
                        "b,crbo->rco", weights[some_background], outputs
                    )
        return v

    def prepared(self, masks: NDArray[np.bool_]) -> Worth:
        """Return `values` of fixed coalitions, with the background's half of the kernel computed.

        Where that half is too large to be kept, it is computed at every call.
        """
        n_supports = len(self.expansion.supports)
        n_kept = len(masks) * n_supports * self.background.table.n_rows
        if 8 * n_kept > min(KEPT_BYTES, self.block_bytes):
            return lambda rows, some: self.values(rows, masks[some])
        mask = masks.astype(np.float64)
        background = self._distances(self.background.table.codes)
        kept = np.empty((len(mask), n_supports, self.background.table.n_rows))
        for some in blocks(len(mask), max(1, 2**20 // background.shape[1])):
            absent = self._kernel((1 - mask[some]) @ background, n_supports)
            kept[some] = (absent * self.expansion.coefficients).transpose(0, 2, 1)

        def worth(rows: Table, asked: slice) -> NDArray[np.float64]:
            mask, absent = masks[asked].astype(np.float64), kept[asked]
            v = np.zeros((rows.n_rows, len(mask), len(self.predictor.output_names)))
            per_row = KINDS * max(1, len(mask)) * max(n_supports, kept.shape[2] * v.shape[2])
            for some in blocks(rows.n_rows, max(1, self.block_bytes // 8 // per_row)):
                present = self._kernel(mask @ self._distances(rows.codes[some]), n_supports)
                margins = present @ absent + self.expansion.intercept
                outputs = self.expansion.outputs(margins, self.predictor.space)
                # (coalitions, rows, background, outputs)
                v[some] = np.einsum("b,crbo->rco", self.background.weights, outputs)
            return v

        return worth

    def _distances(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared distance to every support, feature by feature: (n_features, points*supports)."""
        supports = self.expansion.supports
        apart = points[:, np.newaxis] - supports  # (n_points, n_supports, n_features)
        with np.errstate(over="ignore"):  # so far away that the kernel is 0
            return np.asarray((apart**2).reshape(-1, supports.shape[1]).T)

    def _kernel(self, distances: NDArray[np.float64], n_supports: int) -> NDArray[np.float64]:
        """(n_coalitions, n_points, n_supports), in place of the distances."""
        distances *= -self.expansion.gamma
        np.maximum(distances, -FAR, out=distances)
        np.exp(distances, out=distances)
        n_points = distances.shape[1] // n_supports
        return distances.reshape(len(distances), n_points, n_supports)


def expansion_of(predictor: Predictor) -> Expansion | None:
    """Read a kernel machine's numbers, or None where the model is no such machine.

    Known are scikit-learn's SVC and NuSVC with two classes (margins, and Platt's probabilities),
    SVR, NuSVR, OneClassSVM and KernelRidge with one output, all with the `rbf` kernel. Subclasses
    may do anything and are not taken.
    """
    model = predictor.model
    if not isinstance(model, EstimatorModel) or any(predictor.schema.code_tables):
        return None
    estimator, kind = model.estimator, type(model.estimator)
    known = {"SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM", "KernelRidge"}
    is_known = kind.__module__.startswith("sklearn.") and kind.__name__ in known
    if not is_known or estimator.kernel != "rbf":
        return None
    if kind.__name__ == "KernelRidge":
        return _of_ridge(estimator)
    supports, dual = estimator.support_vectors_, estimator.dual_coef_
    if not isinstance(dual, np.ndarray) or len(dual) != 1:  # sparse, or more than two classes
        return None
    sigmoid = None
    slope, offset = estimator._probA, estimator._probB  # noqa: SLF001 public ones are deprecated
    if kind.__name__ in {"SVC", "NuSVC"} and len(slope):
        sigmoid = float(slope[0]), float(offset[0])
    predicts: Literal["class", "inlier", "value"] = "class" if model.labels else "value"
    return Expansion(
        np.asarray(supports, dtype=np.float64),
        np.array(dual[0]),
        float(estimator.intercept_[0]),
        float(estimator._gamma),  # noqa: SLF001 `gamma` may still say "scale"
        "inlier" if kind.__name__ == "OneClassSVM" else predicts,
        sigmoid,
    )


def _of_ridge(estimator: Any) -> Expansion | None:
    dual, fitted = np.asarray(estimator.dual_coef_), estimator.X_fit_
    if dual.ndim != 1 or not isinstance(fitted, np.ndarray):
        return None
    gamma = 1 / fitted.shape[1] if estimator.gamma is None else float(estimator.gamma)
    return Expansion(np.asarray(fitted, dtype=np.float64), dual, 0.0, gamma, "value")
