"""The exact game of a link of an additive score: logistic regression's probability, and exp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scoring.games import sigmoid, sines
from scoring.games.game import blocks
from scoring.games.saturated import cut_down

__all__ = ["LinkGame", "link_game"]

PAIRS = 1 << 16
"""Numbers of one kind that exist at a time: they stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class LinkGame:
    """Shapley values of a function of one sum of columns.

    Parameters
    ----------
    coefficients : float64 (n_columns,), and an intercept.
    link : `logit` for the probabilities of two classes, `log` for the exponential.
    contributions : float64 (n_background, n_players), what players add to the score of a
        background row; rows that are equal in this are one.
    weights : float64 (n_background,), summing to 1.
    owners : int64 (n_columns,), the player that each column belongs to.
    base_values : float64 (n_outputs,), what the model says of the background.
    precision : how far values may be from those of the logistic function itself, whatever the row.
        A longer series has more digits and takes more time.
    error : root mean square error of values that a shorter series was measured to cost.
    """

    coefficients: NDArray[np.float64]
    intercept: float
    link: Literal["logit", "log"]
    contributions: NDArray[np.float64]
    weights: NDArray[np.float64]
    owners: NDArray[np.int64]
    base_values: NDArray[np.float64]
    precision: float = sines.TOLERANCE
    error: float = 0.0

    @property
    def method(self) -> str:
        """What to call it."""
        return "exact link" if self.precision <= sines.TOLERANCE else "link series"

    @property
    def n_columns(self) -> int:
        """How many columns a row has."""
        return len(self.coefficients)

    @property
    def n_players(self) -> int:
        """How many players there are."""
        return int(self.contributions.shape[1])

    def outputs(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the model says of rows, (n_rows, n_outputs)."""
        return linked(columns @ self.coefficients + self.intercept, self.link)

    def values(self, columns: NDArray[np.float64], block_bytes: int) -> NDArray[np.float64]:
        """Explain rows; see `scoring.games.exact`.

        Rows whose score may exceed `sines.FARTHEST` in a coalition get NaN, unless a few moves
        decide alone what it is (`saturated.cut_down`).
        """
        own = self._contributions(columns)
        if self.link == "log":
            return self._of_pairs(own, _exponential, block_bytes)[..., np.newaxis]
        room = block_bytes // 2  # for pairs, and for the sines of some of them
        rule = partial(sigmoid.values, tolerance=self.precision, block_bytes=room)
        return _both(self._of_pairs(own, rule, room))

    def interactions(self, columns: NDArray[np.float64], block_bytes: int) -> NDArray[np.float64]:
        """Return interaction values; see `scoring.games.exact`."""
        own = self._contributions(columns)
        room = block_bytes // self.n_players  # every player has numbers with every other
        if self.link == "log":
            pairs = self._of_pairs(own, _exponential_pairs, room)[..., np.newaxis]
        else:
            rule = partial(sigmoid.interactions, tolerance=self.precision)
            pairs = _both(self._of_pairs(own, rule, room))
        pairs /= 2
        diagonal = np.arange(self.n_players)
        pairs[:, diagonal, diagonal] = 0.0
        pairs[:, diagonal, diagonal] = self.values(columns, block_bytes) - pairs.sum(axis=2)
        return pairs

    @cached_property
    def _belongs(self) -> NDArray[np.float64]:
        """Coefficients by player, (n_columns, n_players)."""
        mine = self.owners[:, np.newaxis] == np.arange(self.n_players)
        return np.asarray(mine * self.coefficients[:, np.newaxis])

    def _contributions(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(columns @ self._belongs)  # (n_rows, n_players)

    def _of_pairs(
        self,
        own: NDArray[np.float64],
        rule: Callable[..., NDArray[np.float64]],
        block_bytes: int,
    ) -> NDArray[np.float64]:
        """Sum a rule over the background, some pairs of a row and a background row at a time."""
        room = max(1, min(PAIRS, block_bytes // 64) // self.n_players)
        answer: NDArray[np.float64] | None = None
        for some_rows in blocks(len(own), room):
            x = own[some_rows]
            for some in blocks(len(self.weights), max(1, room // max(1, len(x)))):
                b, weights = self.contributions[some], self.weights[some]
                moves = (x[:, np.newaxis] - b).reshape(-1, self.n_players)
                start = np.tile(b.sum(axis=1) + self.intercept, len(x))
                if self.link == "logit":
                    moves = cut_down(moves, start, sines.FARTHEST, self.precision)
                middles = start + moves.sum(axis=1) / 2
                found = rule(moves, middles, np.tile(weights, len(x)))
                summed = found.reshape(len(x), len(weights), *found.shape[1:]).sum(axis=1)
                if answer is None:
                    answer = np.zeros((len(own), *summed.shape[1:]))
                answer[some_rows] += summed
        return np.zeros((0, self.n_players)) if answer is None else answer


def link_game(  # noqa: PLR0917 as every exact game is made
    coefficients: NDArray[np.float64],
    intercept: float,
    link: Literal["logit", "log"],
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
    owners: NDArray[np.int64],
    n_players: int,
) -> LinkGame:
    """Make the game of a link of an additive score.

    Parameters
    ----------
    coefficients : float64 (n_columns,).
    background, weights : float64 (n_background, n_columns) and (n_background,), summing to 1.
    owners : int64 (n_columns,), the player that each column belongs to.
    """
    mine = owners[:, np.newaxis] == np.arange(n_players)
    contributions = background @ (mine * coefficients[:, np.newaxis])
    distinct, which = np.unique(contributions, axis=0, return_inverse=True)
    shared = np.zeros(len(distinct))
    np.add.at(shared, which.ravel(), weights)
    base_values = weights @ linked(background @ coefficients + intercept, link)
    return LinkGame(coefficients, intercept, link, distinct, shared, owners, base_values)


def linked(scores: NDArray[np.float64], link: str) -> NDArray[np.float64]:
    """From scores (n_rows,) to outputs (n_rows, n_outputs)."""
    with np.errstate(over="ignore"):  # beyond the largest number is 0 or infinity
        if link == "log":
            return np.exp(scores)[:, np.newaxis]
        return np.stack([1 / (1 + np.exp(scores)), 1 / (1 + np.exp(-scores))], axis=1)


def _both(second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of two classes the first one's values mirror the second one's."""
    return np.stack([-second, second], axis=-1)


def _exponential(
    moves: NDArray[np.float64], middles: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values (n_pairs, n_players) of the exponential of the score: one product game a pair."""
    total, growth, p, node_weights = _extension(moves, middles, weights)
    shares = growth[:, :, np.newaxis] / (1 + p * growth[:, :, np.newaxis])
    return np.asarray(np.einsum("bjp,bp->bj", shares, total * node_weights))


def _exponential_pairs(
    moves: NDArray[np.float64], middles: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interaction indices (n_pairs, n_players, n_players) of the exponential of the score."""
    total, growth, p, node_weights = _extension(moves, middles, weights)
    shares = growth[:, :, np.newaxis] / (1 + p * growth[:, :, np.newaxis])
    return np.asarray((shares * (total * node_weights)[:, np.newaxis]) @ shares.transpose(0, 2, 1))


def _extension(
    moves: NDArray[np.float64], middles: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """The multilinear extension at Gauss-Legendre nodes (n_pairs, n_nodes), and what it is of."""
    n_players = moves.shape[1]
    nodes, node_weights = np.polynomial.legendre.leggauss((n_players + 1) // 2)
    p = (nodes + 1) / 2
    growth = np.expm1(moves)
    start = np.exp(middles - moves.sum(axis=1) / 2) * weights
    total = start[:, np.newaxis] * np.prod(1 + growth[:, :, np.newaxis] * p, axis=1)
    return total, growth, p, node_weights / 2
