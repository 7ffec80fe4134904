"""The value function of a network whose first layer is a sum over features.

What reaches the first activation is a sum of what the row's features bring and what the background
row's do. Both are products of the masks with small matrices, and the background's half depends on
no row. So neither masked rows nor the first layer are ever made: what is left is the rest of the
network, evaluated on blocks that stay in the processor's cache. A softmax of linear scores is such
a network with nothing left but the softmax.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.games.game import Asked, blocks, players_of
from scoring.games.layers import Layers
from scoring.games.precision import single_will_do

__all__ = ["layered_values"]

IN_CACHE = 1 << 17
"""Numbers of one layer that exist at a time."""

MANY = 1 << 24
"""Products after the first layer that are worth a thought of their precision."""

BACKGROUND = 64
"""Background rows whose half is computed at a time where it is not kept."""

FAR = 8.0
"""How many times the background's own a row may bring to the first layer to be answered in single
precision, and without adding its halves."""

KEPT_BYTES = 256 * 2**20
"""How large the background's half may be to be kept between calls."""


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
    n_hidden = len(layers.biases[0])
    asked = replace(asked, room=max(1, min(IN_CACHE, block_bytes // 32) // n_hidden))
    per_coalition = asked.kind.itemsize * len(background) * len(layers.biases[0])
    if len(masks) * per_coalition <= min(KEPT_BYTES, block_bytes):
        return asked.kept()
    return asked


@dataclass(frozen=True, eq=False)
class _Asked:
    """Fixed coalitions of players and a background.

    Parameters
    ----------
    rest : the same network, for what comes after the first layer's products with points.
    masks : bool (n_coalitions, n_players), and which columns they own; see `players_of`.
    absent : what the background brings, (n_coalitions, n_background, n_hidden), bias included.
    room : coalitions times background rows that it is computed for at a time where it is not kept.
    plain : whether halves are added before anything else: where one of them is so large that the
        other is lost beside it, they must be.
    """

    layers: Layers
    rest: Layers
    background: NDArray[np.float64]
    weights: NDArray[np.float64]
    masks: NDArray[np.bool_]
    owned: NDArray[np.float64]
    absent: NDArray[np.float64] | None = None
    room: int = 1
    plain: bool = False

    @property
    def kind(self) -> np.dtype[Any]:
        """The kind of numbers that reach the first activation."""
        return self.rest.biases[0].dtype

    def kept(self) -> _Asked:
        """Compute the background's half of the first layer."""
        return replace(self, absent=self._absent(self.masks, self._brought(self.background)))

    def __call__(self, rows: NDArray[np.float64], asked: slice) -> NDArray[np.float64]:
        """Return v (n_rows, n_asked, n_outputs)."""
        far = self._reach(rows) > FAR * self._known_reach
        if self.plain or not far.any():
            return self._values(rows, asked)
        careful = replace(self, rest=self.layers, absent=None, plain=True)
        first = careful._values(rows[far], asked)  # noqa: SLF001 of this class
        v = np.empty((len(rows), *first.shape[1:]))
        v[far], v[~far] = first, self._values(rows[~far], asked)
        return v

    @cached_property
    def _known_reach(self) -> float:
        return float(self._reach(self.background).max())

    def _reach(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The most that a point's columns may bring to a hidden unit, (n_points,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            brought = np.abs(points) @ np.abs(self.layers.weights[0]).max(axis=1)
        return np.where(np.isnan(brought), np.inf, brought)

    def _values(self, rows: NDArray[np.float64], asked: slice) -> NDArray[np.float64]:
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
                halves = present[asked], absent[asked, np.newaxis]
                told = self.rest.of_halves(*halves, plain=self.plain)
                v[some, asked] += np.einsum("b,crbo->rco", weights, told)


def _layer(mask: NDArray[Any], brought: NDArray[Any]) -> NDArray[Any]:
    """The first layer of masked points, (n_coalitions, n_points, n_hidden), without bias."""
    n_players, n_points, n_hidden = brought.shape
    flat = mask @ brought.reshape(n_players, n_points * n_hidden)
    return np.asarray(flat.reshape(len(mask), n_points, n_hidden))
