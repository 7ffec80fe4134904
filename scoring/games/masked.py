"""The generic value function: mask raw features, run the whole model, average over the background.

`v(S) = sum_b w_b f(x_S, b_not_S)`, the interventional value of a coalition. Exact for any model
and any pipeline, because raw rows are masked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.errors import ModelError
from scoring.games.game import blocks
from scoring.games.repeats import KEY_BYTES, MOST_KEYS, distinct, repeat_much
from scoring.predictor import Predictor
from scoring.table import Table

__all__ = ["MaskedGame"]

CALL_BYTES = 16 * 2**20
"""Masked rows in one call of the model: enough to forget the call's own cost, and still in cache
or near it."""

ONES = np.uint64(2**64 - 1)


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
        """Return v (n_rows, n_coalitions, n_outputs) of every coalition for every row.

        The model is asked about equal masked rows once, where there are enough of them.
        """
        known, weights = self.background.table.codes, self.background.weights
        n_outputs = len(self.predictor.output_names)
        once = repeat_much(rows.codes, masks, known)
        per_block = self._per_call()
        if once:
            room = self.block_bytes // 4 // (KEY_BYTES + 16 * n_outputs)
            per_block = max(1, min(room, MOST_KEYS))
        # One array for all calls: to give memory back and take it anew costs as much as filling it.
        masked = np.empty((self._per_call(), known.shape[1]))
        v = np.zeros((rows.n_rows, len(masks), n_outputs))
        for some_background in blocks(len(known), per_block):
            b = known[some_background]
            per_coalition = max(1, per_block // len(b))
            for some_masks in blocks(len(masks), per_coalition):
                mask = masks[some_masks]
                for some_rows in blocks(rows.n_rows, max(1, per_coalition // len(mask))):
                    outputs = self._outputs(masked, rows.take(some_rows), mask, b, once=once)
                    v[some_rows, some_masks] += np.einsum(
                        "b,rcbo->rco", weights[some_background], outputs
                    )
        return v

    def _outputs(
        self,
        masked: NDArray[np.float64],
        rows: Table,
        masks: NDArray[np.bool_],
        known: NDArray[np.float64],
        *,
        once: bool,
    ) -> NDArray[np.float64]:
        """The model's answers about a block, (rows, coalitions, background, outputs).

        They are NaN for a row with a mixture that the model does not answer.
        """
        try:
            return (self._once if once else self._all)(masked, rows, masks, known)
        except ModelError:
            if rows.n_rows == 1:
                n_outputs = len(self.predictor.output_names)
                return np.full((1, len(masks), len(known), n_outputs), np.nan)
        parts = (rows.take(slice(r, r + 1)) for r in range(rows.n_rows))
        each = [self._outputs(masked, part, masks, known, once=once) for part in parts]
        return np.concatenate(each)

    def _all(
        self,
        masked: NDArray[np.float64],
        rows: Table,
        masks: NDArray[np.bool_],
        known: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """What the model says of a call's masked rows, (rows, coalitions, background, outputs).

        Parameters
        ----------
        masked : float64 (n, n_features), to be overwritten.
        """
        shape = rows.n_rows, len(masks), len(known)
        flat = masked[: math.prod(shape)]
        # Bit by bit, b xor (mask and (x xor b)): `np.where` cannot write where it is told to.
        x, b = rows.codes.view(np.uint64), known.view(np.uint64)
        each = flat.view(np.uint64).reshape(*shape, -1)
        apart = (x[:, np.newaxis] ^ b)[:, np.newaxis]  # (rows, 1, background, features)
        np.bitwise_and(apart, np.where(masks, ONES, np.uint64(0))[:, np.newaxis], out=each)
        each ^= b
        outputs = np.ascontiguousarray(self.predictor.outputs(rows.with_codes(flat)))
        return outputs.reshape(*shape, -1)  # in one order whatever the model's, as are sums of it

    def _once(
        self,
        masked: NDArray[np.float64],
        rows: Table,
        masks: NDArray[np.bool_],
        known: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """The same, from as many calls as the distinct masked rows of a block need."""
        kinds = distinct(rows.codes, masks, known)
        shape = rows.n_rows, len(masks), len(known)
        places = np.arange(math.prod(shape)) if kinds is None else kinds.places
        outputs = np.empty((len(places), len(self.predictor.output_names)))
        for some in blocks(len(places), len(masked)):
            r, c, b = np.unravel_index(places[some], shape)
            flat = masked[: len(r)]
            np.take(known, b, axis=0, out=flat)
            np.copyto(flat, rows.codes[r], where=masks[c])
            outputs[some] = self.predictor.outputs(rows.with_codes(flat))
        return outputs.reshape(*shape, -1) if kinds is None else outputs[kinds.kinds]

    def _per_call(self) -> int:
        """How many masked rows the model is called on."""
        return max(1, min(self.block_bytes // 4, CALL_BYTES) // self._bytes_a_row())

    def _bytes_a_row(self) -> int:
        """What one masked row takes: its codes, what the model makes of it, its outputs.

        A number is copied about once. A category becomes an object in a frame and then a group of
        columns, whose number nobody tells us; 24 copies stand for that.
        """
        features = self.predictor.schema.features
        copies = 24 if any(feature.is_category for feature in features) else 2
        return 8 * (copies * len(features) + 2 * len(self.predictor.output_names))
