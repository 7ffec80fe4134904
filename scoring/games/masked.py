"""The generic value function: mask raw features, run the whole model, average over the background.

`v(S) = sum_b w_b f(x_S, b_not_S)`, the interventional value of a coalition. Exact for any model
and any pipeline, because raw rows are masked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.games.game import blocks
from scoring.predictor import Predictor
from scoring.table import Table

__all__ = ["MaskedGame"]

CALL_BYTES = 16 * 2**20
"""Masked rows in one call of the model: enough to forget the call's own cost, and still in cache
or near it."""


@dataclass(frozen=True, eq=False)
class MaskedGame:
    """Values of coalitions by calling the model on masked rows.

    Parameters
    ----------
    block_bytes : upper bound on what the game allocates at a time, beyond its answer and what
        the model takes for itself.
    """

    predictor: Predictor
    background: Background
    block_bytes: int

    def values(self, rows: Table, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return v (n_rows, n_coalitions, n_outputs) of every coalition for every row."""
        known, weights = self.background.table.codes, self.background.weights
        n_background, n_features = known.shape
        per_call = max(1, min(self.block_bytes // 4, CALL_BYTES) // self._bytes_a_row())
        v: NDArray[np.float64] | None = None
        for some_background in blocks(n_background, per_call):
            b = known[some_background]
            per_coalition = max(1, per_call // len(b))
            for some_masks in blocks(len(masks), per_coalition):
                mask = masks[some_masks]
                for some_rows in blocks(rows.n_rows, max(1, per_coalition // len(mask))):
                    x = rows.codes[some_rows]
                    masked = np.where(  # (rows, coalitions, background, features)
                        mask[np.newaxis, :, np.newaxis], x[:, np.newaxis, np.newaxis], b
                    )
                    shape = masked.shape[:3]
                    flat = rows.with_codes(masked.reshape(-1, n_features))
                    outputs = self.predictor.outputs(flat).reshape(*shape, -1)
                    if v is None:
                        v = np.zeros((rows.n_rows, len(masks), outputs.shape[-1]))
                    v[some_rows, some_masks] += np.einsum(
                        "b,rcbo->rco", weights[some_background], outputs
                    )
        if v is None:  # no rows or no coalitions: still the right number of outputs
            v = np.zeros((rows.n_rows, len(masks), len(self.predictor.output_names)))
        return v

    def _bytes_a_row(self) -> int:
        """What one masked row takes: its codes, what the model makes of it, its outputs.

        A number is copied about once. A category becomes an object in a frame and then a group of
        columns, whose number nobody tells us; 24 copies stand for that.
        """
        features = self.predictor.schema.features
        copies = 24 if any(feature.is_category for feature in features) else 2
        return 8 * (copies * len(features) + 2 * len(self.predictor.output_names))
