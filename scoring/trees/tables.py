"""Leaves as tables: what each player gets, by which of the leaf's players the row passes.

The background side of a leaf depends on no row, so it is summed before any row comes. A leaf with
d players has 2**d patterns; for each the table holds what each of the d players gets. To explain a
row is to look up one line of every leaf, whatever the number of background rows.

Summed over the background, the shares of `scoring.trees.shares` need, for every set X of players
that the row passes, the weight of background rows that fail some u players, all of them in X: a
sum over subsets, by size (the ranked zeta transform: Yates, "The design and analysis of factorial
experiments", 1937; Björklund et al., "Fourier meets Möbius: fast subset convolution", 2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring.games.game import blocks
from scoring.trees.paths import Paths
from scoring.trees.shares import shares

__all__ = ["CAP_BYTES", "Tables", "tables_of", "within"]

CAP_BYTES = 512 * 2**20
"""What all tables together may take."""

BUILD_BYTES = 64 * 2**20
"""What building them may take at a time."""

CACHED = 2**19
"""Numbers that are looked up at a time: they stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Tables of some leaves, those with fewer players first.

    Parameters
    ----------
    leaves : int64 (n_tabled,), the leaves that have a table.
    n_players : int64 (n_tabled,), how many players each has; ascending.
    entries : float64, all tables one after the other: (2**d, d) each.
    """

    leaves: NDArray[np.int64]
    n_players: NDArray[np.int64]
    entries: NDArray[np.float64]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each leaf's table begins, (n_tabled,)."""
        sizes = self.n_players << self.n_players
        return np.asarray(np.cumsum(sizes) - sizes)

    @cached_property
    def _last_lines(self) -> NDArray[np.int64]:
        """Where the line of those who pass everything begins, (n_tabled,)."""
        return np.asarray(self.starts + ((1 << self.n_players) - 1) * self.n_players)

    def look_up(
        self, failed: NDArray[np.integer], leaf: NDArray[np.int64], bit: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return what players of leaves get, (n_rows, n_entries).

        Parameters
        ----------
        failed : (n_rows, n_tabled), the players that rows fail, as bits.
        leaf, bit : (n_entries,), the tabled leaf and its player.
        """
        lines = self._last_lines - failed * self.n_players
        place = lines.take(leaf, axis=1)
        place += bit
        return self.entries.take(place)


def within(n_players: NDArray[np.int64], cap_bytes: int) -> NDArray[np.int64]:
    """Choose the leaves whose tables fit together, those with fewest players first.

    Returns
    -------
    int64 (n_tabled,), ordered by the number of players. None where fewer than half of the leaves
    fit: then all are better computed as they are needed.
    """
    order = np.argsort(n_players, kind="stable")
    d = n_players[order].astype(np.float64)
    fits = np.cumsum(8 * d * 2**d) <= cap_bytes
    chosen: NDArray[np.int64] = order[fits]
    return chosen if 2 * len(chosen) >= len(order) else chosen[:0]


def tables_of(
    paths: Paths,
    leaves: NDArray[np.int64],
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
    factors: NDArray[np.float64],
) -> Tables:
    """Sum the background into tables.

    Parameters
    ----------
    leaves : as `within` chooses them.
    background : float64 (n_background, n_columns), and weights (n_background,).
    factors : float64 (n_leaves,), what each leaf's shares are multiplied by.
    """
    n_players = paths.n_players[leaves]
    failing = _failing(paths, leaves, background, weights)
    entries = np.empty(int((n_players << n_players).sum()))
    start, first = 0, 0
    for d in np.unique(n_players).tolist():
        group = leaves[n_players == d]
        weight = failing[first : first + (len(group) << d)].reshape(len(group), -1)
        first += weight.size
        for some in blocks(len(group), max(1, BUILD_BYTES // (8 * (3 * d + 6) << d))):
            table = _table(weight[some], d) * factors[group[some], np.newaxis, np.newaxis]
            entries[start : start + table.size] = table.ravel()
            start += table.size
    return Tables(leaves, n_players, entries)


def _failing(
    paths: Paths,
    leaves: NDArray[np.int64],
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The weight of background rows that fail each set of players, (2**d,) leaf after leaf."""
    sizes = np.left_shift(1, paths.n_players[leaves])
    starts = np.cumsum(sizes) - sizes
    answer = np.zeros(int(sizes.sum()))
    every = (sizes - 1)[:, np.newaxis]
    for some in blocks(len(background), max(1, BUILD_BYTES // (32 * paths.forest.n_leaves))):
        passed = paths.passed(background[some])[leaves].astype(np.int64)
        keys = starts[:, np.newaxis] + (every ^ passed)
        answer += np.bincount(keys.ravel(), np.tile(weights[some], len(leaves)), len(answer))
    return answer


def _table(weight: NDArray[np.float64], d: int) -> NDArray[np.float64]:
    """Tables (n_leaves, 2**d, d) from the weights (n_leaves, 2**d) of who fails what."""
    n, size = weight.shape
    patterns = np.arange(size)
    counts = np.bitwise_count(patterns).astype(np.intp)
    ranked = np.zeros((n, d + 1, size))
    ranked[:, counts, patterns] = weight
    for bit in range(d):  # now over all subsets
        halves = ranked.reshape(n, d + 1, -1, 2, 1 << bit)
        halves[..., 1, :] += halves[..., 0, :]
    gained, lost = shares(d)
    q = d - counts  # players that the row fails and the background has to pass
    loss = np.einsum("nux,ux->nx", ranked, lost[:, q])
    gain = np.einsum("nux,ux->nx", ranked, gained[:, q])
    fewer = np.einsum("nux,ux->nx", ranked, gained[:, np.maximum(q - 1, 0)])
    table = np.empty((n, size, d))
    for bit in range(d):
        inside = patterns >> bit & 1 == 1
        table[:, inside, bit] = gain[:, inside] - fewer[:, patterns[inside] ^ (1 << bit)]
        table[:, ~inside, bit] = -loss[:, ~inside]
    return table
