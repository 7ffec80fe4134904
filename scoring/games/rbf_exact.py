"""The exact game of radial-basis kernel machines in margin space.

A support vector's kernel between a masked row and itself is a product over players, each factor
from the row (A) or from the background row (B): a product game for every pair of a support vector
and a background row, whose values are integrals (`scoring.games.owen`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.games.game import blocks
from scoring.games.machine import Machine
from scoring.games.owen import integrals, legendre

__all__ = ["RbfExactGame", "rbf_game"]

ROOM = 1 << 15
"""Numbers of one kind that exist at a time: they stay in the processor's cache."""

NEAR = -600.0
"""The logarithm of a product that is still a number, whichever factors it is made of."""


NOTHING = -1e6
"""The logarithm of a factor of which nothing is left, however much further away."""

FAR = 1e150
"""How far apart numbers are at most, so that their square is one, too, and 0 times it is 0."""


@dataclass(frozen=True, eq=False)
class RbfExactGame:
    """Shapley values of a kernel machine's margins.

    Parameters
    ----------
    background : float64 (n_background, n_columns).
    weights : float64 (n_background,), summing to 1.
    owners : int64 (n_columns,), the player that each column belongs to.
    n_players : how many players there are.
    base_values : float64 (n_outputs,), what the machine says of the background.
    """

    machine: Machine
    background: NDArray[np.float64]
    weights: NDArray[np.float64]
    owners: NDArray[np.int64]
    n_players: int
    base_values: NDArray[np.float64]

    @property
    def method(self) -> str:
        """What to call it."""
        return "exact rbf"

    @property
    def n_columns(self) -> int:
        """How many columns a row has."""
        return len(self.machine.gammas)

    def outputs(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return margins (n_rows, n_outputs)."""
        machine = self.machine
        answer = np.empty((len(columns), len(machine.intercepts)))
        for some in blocks(len(columns), max(1, 4 * ROOM // machine.supports.size)):
            with np.errstate(over="ignore"):  # so far away that the kernel is 0
                apart = np.clip(columns[some, np.newaxis] - machine.supports, -FAR, FAR)
                distance = np.einsum("rsc,rsc,c->rs", apart, apart, machine.gammas)
            answer[some] = np.exp(-distance) @ machine.coefficients + machine.intercepts
        return answer

    def values(self, columns: NDArray[np.float64], block_bytes: int) -> NDArray[np.float64]:
        """Explain rows; see `scoring.games.exact`."""
        coefficients, n_supports = self.machine.coefficients, len(self.machine.supports)
        answer = np.zeros((len(columns), self.n_players, coefficients.shape[1]))
        for rows, some, larger, moved, kept in self._products(columns, block_bytes):
            n_rows = rows.stop - rows.start
            pays = np.multiply.outer(self.weights[some], coefficients)  # (n_some, n_supports, ...)
            pays = larger.reshape(n_rows, -1, n_supports, 1) * pays
            pays = pays.reshape(n_rows, -1, coefficients.shape[1])
            answer[rows] += integrals(moved, kept, pays)
        return answer

    def interactions(self, columns: NDArray[np.float64], block_bytes: int) -> NDArray[np.float64]:
        """Return interaction values; see `scoring.games.exact`."""
        machine, n = self.machine, self.n_players
        p, node_weights = legendre((n + 1) // 2)
        n_supports, n_outputs = machine.coefficients.shape
        answer = np.zeros((len(columns), n, n, n_outputs))
        for rows, some, larger, moved, kept in self._products(columns, block_bytes):
            n_rows, n_some = rows.stop - rows.start, some.stop - some.start
            for here, node_weight in zip(p, node_weights, strict=True):
                factor = moved * here + kept
                product = np.multiply.reduce(factor, axis=0) * larger * node_weight / 2
                share = (moved / factor).reshape(n, n_rows, n_some * n_supports)
                share = share.transpose(1, 0, 2)  # (rows, players, pairs)
                each = product.reshape(n_rows, n_some, n_supports) * self.weights[some, np.newaxis]
                for output, coefficients in enumerate(machine.coefficients.T):
                    paid = share * (each * coefficients).reshape(n_rows, 1, -1)
                    answer[rows, :, :, output] += paid @ share.transpose(0, 2, 1)
        diagonal = np.arange(n)
        answer[:, diagonal, diagonal] = 0.0
        own = self.values(columns, block_bytes)
        answer[:, diagonal, diagonal] = own - answer.sum(axis=2)
        return answer

    @cached_property
    def _absent(self) -> NDArray[np.float64]:
        """Logarithms of the background's factors, (n_players, n_background, n_supports)."""
        return self._logarithms(self.background)

    @cached_property
    def _factors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The background's factors, and by background row the least logarithm of all together."""
        return np.exp(self._absent), self._absent.sum(axis=0).min(axis=1)

    def _logarithms(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithms of rows' factors, (n_players, n_rows, n_supports)."""
        order, players, starts, supports, gammas = self._by_player
        answer = np.zeros((self.n_players, len(columns), supports.shape[-1]))
        for some in blocks(len(columns), max(1, ROOM // supports.size)):
            with np.errstate(over="ignore"):
                apart = columns[some].T[order, :, np.newaxis] - supports
                np.clip(apart, -FAR, FAR, out=apart)
                logarithms = -gammas * apart * apart
                if len(players) < len(order):  # which takes longer than all the rest
                    logarithms = np.add.reduceat(logarithms, starts, axis=0)
            answer[players, some] = logarithms
        return np.maximum(answer, NOTHING, out=answer)

    @cached_property
    def _by_player(self) -> tuple[NDArray[Any], ...]:
        """Columns by player, the players that have any, where each starts; supports and gammas."""
        order = np.argsort(self.owners, kind="stable")
        players, starts = np.unique(self.owners[order], return_index=True)
        supports = np.ascontiguousarray(self.machine.supports.T[order, np.newaxis])
        return order, players, starts, supports, self.machine.gammas[order, np.newaxis, np.newaxis]

    def _products(
        self, columns: NDArray[np.float64], block_bytes: int
    ) -> Iterator[
        tuple[slice, slice, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    ]:
        """Blocks of product games: rows, background rows, and three arrays.

        `larger` (n,) is a factor of the whole product. A player that comes moves its own factor
        from `kept` by `moved`, (n_players, n) each; n counts rows, background rows and supports.
        """
        n_players, n_supports = self.n_players, len(self.machine.supports)
        room = max(1, min(ROOM, block_bytes // 128) // (n_players * n_supports))
        factors, least = self._factors
        for rows in blocks(len(columns), room):
            own = self._logarithms(columns[rows])
            own_factors, own_least = np.exp(own), own.sum(axis=0).min()
            for some in blocks(len(self.weights), max(1, room // own.shape[1])):
                if own_least + least[some].min() >= NEAR:
                    larger = np.ones(own[0].size * (some.stop - some.start))
                    absent = np.broadcast_to(
                        factors[:, np.newaxis, some],
                        (n_players, own.shape[1], some.stop - some.start, n_supports),
                    )
                    moved = own_factors[:, :, np.newaxis] - absent
                    kept = absent.reshape(n_players, -1)
                    yield rows, some, larger, moved.reshape(n_players, -1), kept
                else:
                    yield rows, some, *self._scaled(own, self._absent[:, some])

    @staticmethod
    def _scaled(
        own: NDArray[np.float64], absent: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Products that would be lost, far away: every pair of factors is divided by its larger."""
        present, absent = own[:, :, np.newaxis], absent[:, np.newaxis]
        apart = present - absent
        larger = np.exp(np.maximum(present, absent).sum(axis=0)).reshape(-1)
        smaller = np.exp(-np.abs(apart))
        kept = np.where(apart >= 0, smaller, 1.0)
        moved = np.where(apart >= 0, 1.0, smaller) - kept
        return larger, moved.reshape(len(own), -1), kept.reshape(len(own), -1)


def rbf_game(
    machine: Machine,
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
    owners: NDArray[np.int64],
    n_players: int,
) -> RbfExactGame:
    """Make the game of a kernel machine's margins.

    Parameters
    ----------
    background, weights : float64 (n_background, n_columns) and (n_background,), summing to 1.
    owners : int64 (n_columns,), the player that each column belongs to.
    """
    nothing = np.zeros(len(machine.intercepts))
    game = RbfExactGame(machine, background, weights, owners, n_players, nothing)
    return replace(game, base_values=weights @ game.outputs(background))
