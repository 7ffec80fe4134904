"""The value function of radial-basis kernel machines, without calling the model.

The squared distance between a masked row and a support vector is a sum over columns, each taken
from the row or from the background row. So `exp(-gamma * distance)` is a product of two factors:
one that the row's own columns make, and one that the background's make, whatever the row is. The
margins of all background rows are then matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.games.expansion import Expansion
from scoring.games.factors import Factors, Forms, Memory
from scoring.games.game import Asked, blocks, even_blocks, players_of
from scoring.games.precision import single_will_do
from scoring.predictor import OutputSpace

__all__ = ["rbf_values"]

KEPT_BYTES = 256 * 2**20
"""How large the background's half of the kernel may be to be kept between calls."""

PAIRS = 1 << 13
"""Pairs of a support vector and a background row whose tables stay in the processor's cache."""

IN_CACHE = 1 << 16
"""Factors that exist at a time: they and what they are multiplied by stay in the cache."""

LINKED = 1 << 14
"""Margins at a time that outputs are made of."""

KINDS = 12
"""Arrays of about the same size that exist at a time: factors, margins, what the link makes on its
way, and as much again for who called."""

NEVER = 1e6
"""A distance that nothing is left of."""


def rbf_values(
    expansion: Expansion,
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
    masks: NDArray[np.bool_],
    block_bytes: int,
    space: OutputSpace,
) -> Asked:
    """Return the value function of fixed coalitions; see `scoring.games.game.Asked`.

    The background's half of the kernel is kept where there is room. Where there is none in double
    precision, single precision is taken if it costs no digit that anybody sees.

    Parameters
    ----------
    background, weights : float64 (n_background, n_columns) and (n_background,), summing to 1.
    masks : bool (n_coalitions, n_columns).
    """
    distinct, owned = players_of(masks)
    fixed = expansion, background, weights, distinct, owned, space, block_bytes
    exact = _Asked(*fixed, np.float64)
    numbers = len(masks) * len(expansion.supports) * len(background)
    if 8 * numbers > KEPT_BYTES:
        single = _Asked(*fixed, np.float32)
        if single_will_do(exact, single, background, len(masks)):
            return single.kept(min(KEPT_BYTES, block_bytes))
    return exact.kept(min(KEPT_BYTES, block_bytes))


class _Asked:
    """Fixed coalitions of players, a background, and the kind of numbers that factors are."""

    def __init__(  # noqa: PLR0917 what `rbf_values` was told, and the kind
        self,
        expansion: Expansion,
        background: NDArray[np.float64],
        weights: NDArray[np.float64],
        masks: NDArray[np.bool_],
        owned: NDArray[np.float64],
        space: OutputSpace,
        block_bytes: int,
        kind: Any,
    ) -> None:
        self.expansion, self.background, self.weights = expansion, background, weights
        self.owned, self.space, self.kind = owned, space, kind
        self.room = max(1, block_bytes // 8 // KINDS)  # numbers of one kind
        self.present, self.absent = Forms.of(masks), Forms.of(~masks)
        self.half: NDArray[Any] | None = None
        self.tables: list[Factors] = []

    def kept(self, room: int) -> _Asked:
        """Compute the background's half of the kernel, (n_coalitions, n_supports, n_background).

        Where it does not fit into so many bytes, the factors that it is made of, for as many of
        the background's rows as they do.
        """
        n_supports, n_coalitions = len(self.expansion.supports), self.absent.places.shape[1]
        each = np.dtype(self.kind).itemsize * n_supports
        if each * n_coalitions * len(self.background) > room:
            points = self._points(self.absent)
            n_fit = room // (each * self.absent.numbers(1)) // points * points
            fit = blocks(min(n_fit, len(self.background)), points)
            self.tables = [self._factors(self.absent, self.background[some]) for some in fit]
            return self
        half = np.empty((n_coalitions, n_supports, len(self.background)), self.kind)
        for some in blocks(len(self.background), self._points(self.absent)):
            factors = self._factors(self.absent, self.background[some])
            n_some = max(1, IN_CACHE // (n_supports * (some.stop - some.start)))
            for part in blocks(n_coalitions, n_some):
                found = factors.at(self.absent.places[:, part])
                half[part, :, some] = found.reshape(len(found), n_supports, -1)
        self.half = half
        return self

    def __call__(self, rows: NDArray[np.float64], asked: slice) -> NDArray[np.float64]:
        """Return v (n_rows, n_asked, n_outputs)."""
        places, n_supports = self.present.places[:, asked], len(self.expansion.supports)
        told = np.zeros((len(rows), places.shape[1], self._n_told))
        memory = Memory(2)
        for some, half_of in self._halves(asked):
            weights = self.weights[some]
            for block in even_blocks(len(rows), self._points(self.present)):
                own = self._factors(self.present, rows[block])
                n_rows = block.stop - block.start
                own.scale(np.repeat(self.expansion.coefficients, n_rows))
                at_once = self._n_coalitions(n_rows, len(weights))
                for several in blocks(places.shape[1], self._n_linked(at_once, n_rows, weights)):
                    shape = several.stop - several.start, n_rows, len(weights)
                    margins = np.empty((*shape, len(self.expansion.intercepts)))
                    for part in blocks(shape[0], at_once):
                        of_all = slice(several.start + part.start, several.start + part.stop)
                        kernel = own.at(places[:, of_all], memory).reshape(-1, n_supports, n_rows)
                        self._fill(margins[part], kernel, half_of(of_all))
                    told[block, several] += self._mean(margins, weights)
        if self._link is None or told.shape[2] > 1:
            return told
        return np.concatenate([self.weights.sum() - told, told], axis=-1)

    def _halves(self, asked: slice) -> Iterator[tuple[slice, Callable[[slice], NDArray[Any]]]]:
        """Background rows, and their half of the kernel for parts of what is asked."""
        if self.half is not None:
            yield slice(0, len(self.background)), self.half[asked].__getitem__
            return
        places = self.absent.places[:, asked]
        for number, some in enumerate(blocks(len(self.background), self._points(self.absent))):
            known = number < len(self.tables)
            factors = (
                self.tables[number] if known else self._factors(self.absent, self.background[some])
            )
            shape = len(self.expansion.supports), some.stop - some.start

            def half_of(
                part: slice, factors: Factors = factors, shape: tuple[int, int] = shape
            ) -> NDArray[Any]:
                return factors.at(places[:, part]).reshape(-1, *shape)

            yield some, half_of

    def _fill(self, margins: NDArray[np.float64], kernel: NDArray[Any], half: NDArray[Any]) -> None:
        """From both halves of the kernel to margins (n_coalitions, n_rows, n_background, ...)."""
        rows_first = kernel.transpose(0, 2, 1)
        for number, own in enumerate(self.expansion.supports_of()):
            margins[..., number] = rows_first[..., own] @ half[:, own]

    def _mean(
        self, margins: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """From margins without their intercepts to v (n_rows, n_coalitions, n_told)."""
        margins += self.expansion.intercepts
        outputs = margins if self._link is None else self._link(margins)
        return np.asarray(np.einsum("b,crbo->rco", weights, outputs))

    @cached_property
    def _link(self) -> Callable[[NDArray[np.float64]], NDArray[np.float64]] | None:
        """What is made of margins; one of two probabilities is enough."""
        calibration = self.expansion.calibration
        return None if calibration is None or self.space != "probability" else calibration.told

    @cached_property
    def _n_told(self) -> int:
        n_margins = len(self.expansion.ends)
        return n_margins if self._link is None else self._link(np.zeros((1, n_margins))).shape[1]

    def _n_coalitions(self, n_rows: int, n_background: int) -> int:
        """Coalitions at a time, whose kernels and outputs stay in the cache, and within bounds."""
        n_supports = len(self.expansion.supports)
        kernels = n_supports * (n_rows if self.half is not None else n_rows + n_background)
        outputs = n_rows * n_background * max(self._n_told, len(self.expansion.ends))
        return max(1, min(IN_CACHE, self.room) // max(kernels, outputs))

    def _n_linked(self, at_once: int, n_rows: int, weights: NDArray[np.float64]) -> int:
        """Coalitions whose margins become outputs at a time: enough to be worth the calls."""
        outputs = n_rows * len(weights) * max(self._n_told, len(self.expansion.ends))
        return max(at_once, min(LINKED, self.room) // outputs)

    def _points(self, forms: Forms) -> int:
        """Points whose tables with all supports stay in the cache, and within bounds."""
        per_point = max(1, forms.numbers(1)) * len(self.expansion.supports)
        return max(1, min(PAIRS // len(self.expansion.supports), self.room // per_point))

    def _factors(self, forms: Forms, points: NDArray[np.float64]) -> Factors:
        """Of points with all supports: pairs are in the order (n_supports, n_points)."""
        expansion = self.expansion
        apart = points - expansion.supports[:, np.newaxis]  # (n_supports, n_points, n_columns)
        with np.errstate(over="ignore"):  # so far away that the kernel is 0
            apart = apart**2 * expansion.scales[:, np.newaxis]
        flat = np.minimum(apart, NEVER).reshape(-1, expansion.n_columns).T
        return Factors(forms, self.owned @ flat, self.kind)
