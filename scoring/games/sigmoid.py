"""Owen's integral of a sigmoid of a sum, by a sine series.

Each sine of a sum over players is a product game. With half angles `C, S = cos, sin(w d / 2)` of
what a player moves the score by, and z = 2p - 1, a player's factor in the multilinear extension is
`1 + p (exp(i w d) - 1) = exp(i w d / 2) (C + iz S)`. So (Owen, "Multilinear extensions of games",
1972) the value of player j is the integral over p of the imaginary part of

    exp(i psi) prod_{i != j} (C_i + iz S_i) * 2i S_j

where psi is w times the middle between the score of the background row and that of the row. At -z
the product is conjugate, so half of the nodes are enough and the two add up to
`4 cos(psi) S_j Re prod_{i != j} (C_i + iz S_i)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.games import sines
from scoring.games.game import blocks
from scoring.games.left_out import Arena, bytes_of, left_out

__all__ = ["interactions", "values"]

COLUMNS = 1024
"""Terms of pairs of rows that are worked on at a time: worth the calls, and near the processor."""

LONGEST = 256
"""Terms after which angles are computed anew: each turn adds a rounding."""

SPARE = 1 << 12
"""Bytes of an arena that are lost between arrays."""


@dataclass(frozen=True, eq=False)
class Series:
    """Terms of series, one for each pair of a row and a background row; the longest is first.

    Pairs do not share one, so that their values are the same in any company.

    Parameters
    ----------
    periods : float64 (n_pairs,), see `sines`.
    start, stop : int64 (n_pairs,), the terms.
    """

    periods: NDArray[np.float64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def blocks(self, n_columns: int) -> Iterator[tuple[slice, NDArray[np.int64]]]:
        """Some pairs, at least one, and terms (n_terms, n_some) of each."""
        lengths = self.stop - self.start  # of neighbours, the later may be longer by one
        first, end = 0, len(lengths)
        while first < end:
            n_some = max(1, n_columns // max(1, int(lengths[first])))
            some = slice(first, min(end, first + n_some))
            for terms in blocks(int(lengths[some].max()), LONGEST):
                yield some, self.start[some] + np.arange(terms.start, terms.stop)[:, np.newaxis]
            first = some.stop

    def frequencies(
        self, some: slice, k: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Frequencies and coefficients (n_terms, n_some), 0 where a series has no such term."""
        coefficients = sines.coefficients(k, self.periods[some])
        coefficients[k >= self.stop[some]] = 0.0
        return (2 * k + 1) * (np.pi / self.periods[some]), coefficients


def values(
    moves: NDArray[np.float64],
    middles: NDArray[np.float64],
    weights: NDArray[np.float64],
    tolerance: float,
    block_bytes: int,
) -> NDArray[np.float64]:
    """Values (n_pairs, n_players) of the logistic function of the score.

    Pairs whose scores may be farther than `sines.FARTHEST` from 0 get NaN.

    Parameters
    ----------
    moves : float64 (n_pairs, n_players), what each player moves the score by, for pairs of a row
        and a background row.
    middles : float64 (n_pairs,), the middle between the two rows' scores.
    weights : float64 (n_pairs,).
    tolerance : how far a value may be from the logistic function's, times the weight.
    block_bytes : upper bound on what is allocated at a time, where it is enough for one pair.
    """
    n_players = moves.shape[1]
    near, periods = _near(moves, middles, tolerance)
    even = np.zeros((n_players + n_players % 2, len(near)))  # one more moves nothing
    even[:n_players] = moves[near].T
    found = np.zeros(even.shape)
    tiers = sines.tiers(n_players, tolerance)
    starts = [sines.n_below(tier.start, periods) for tier in tiers]
    stops = [*starts[1:], sines.n_terms(periods, tolerance)]
    for tier, start, stop in zip(tiers, starts, stops, strict=True):
        found += _of_tier(even, middles[near], Series(periods, start, stop), tier, block_bytes)
    answer = np.full(moves.shape, np.nan)
    answer[near] = found[:n_players].T * weights[near, np.newaxis]
    return answer


def _of_tier(
    moves: NDArray[np.float64],
    middles: NDArray[np.float64],
    series: Series,
    tier: sines.Tier,
    block_bytes: int,
) -> NDArray[np.float64]:
    """Values (n_players, n_pairs) of some of the sines, of moves of that shape."""
    n_players, dtype = len(moves), tier.dtype
    angles = n_players * (np.dtype(np.complex128).itemsize + 2 * dtype.itemsize)
    column = angles + bytes_of(n_players, len(tier.z), dtype)
    every = list(series.blocks(min(COLUMNS, block_bytes // column)))
    arena = Arena(column * max((k.size for _, k in every), default=0) + SPARE)
    answer = np.zeros(moves.shape)
    for some, k in every:
        arena.clear()
        w, coefficients = series.frequencies(some, k)
        c, s = _half_angles(moves[:, some], w, dtype, arena)
        without = left_out(c, s, tier.z, tier.weights, arena)
        coefficients *= 4 * np.cos(w * middles[some])
        shape = n_players, *w.shape
        answer[:, some] += np.einsum(
            "jtp,jtp,tp->jp", without.reshape(shape), s.reshape(shape), coefficients.astype(dtype)
        )
    return answer


def interactions(
    moves: NDArray[np.float64],
    middles: NDArray[np.float64],
    weights: NDArray[np.float64],
    tolerance: float,
) -> NDArray[np.float64]:
    """Interaction indices of all pairs of players, (n_pairs, n_players, n_players); see `values`.

    The second derivative is the product of all factors times `2i S / (C + iz S)` of both players;
    what z and -z add up to is `2 sin(psi)` times the real part. There is an even number of nodes,
    so none is 0, where a factor may vanish. The diagonal means nothing.
    """
    n_pairs, n_players = moves.shape
    z, node_weights = sines.half_nodes(sines.all_nodes(n_players))
    near, periods = _near(moves, middles, tolerance)
    n_terms = sines.n_terms(periods, tolerance)
    series = Series(periods, np.zeros_like(n_terms), n_terms)
    answer = np.full((n_pairs, n_players, n_players), np.nan)
    answer[near] = 0.0
    for k in range(n_terms.max(initial=0)):
        some = slice(0, np.count_nonzero(n_terms > k))  # the longest are first
        pairs = near[some]
        w, coefficients = (x[0] for x in series.frequencies(some, np.full((1, some.stop), k)))
        half = np.exp(0.5j * w[:, np.newaxis] * moves[pairs])[..., np.newaxis]
        factors = half.real + 1j * z * half.imag  # (n_some, n_players, n_nodes)
        scale = 2 * coefficients * np.sin(w * middles[pairs]) * weights[pairs]
        product = factors.prod(axis=1) * scale[:, np.newaxis] * node_weights
        share = 2j * half.imag / factors
        answer[pairs] += ((share * product[:, np.newaxis]) @ share.transpose(0, 2, 1)).real
    return answer


def _near(
    moves: NDArray[np.float64], middles: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Pairs whose coalitions are all near enough for a series, the longest period first."""
    reach = np.abs(middles) + np.abs(moves).sum(axis=1) / 2
    near = np.flatnonzero(reach <= sines.FARTHEST)  # a NaN is not
    near = near[np.argsort(-reach[near], kind="stable")]
    return near, sines.periods(reach[near], tolerance)


def _half_angles(
    moves: NDArray[np.float64], w: NDArray[np.float64], dtype: np.dtype[Any], arena: Arena
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cosines and sines of w d / 2, (n_players, n_terms * n_pairs) each.

    What is known of k angles is turned by k steps to that of the next k.

    Parameters
    ----------
    moves : float64 (n_players, n_pairs).
    w : float64 (n_terms, n_pairs), equally spaced.
    """
    n_terms = len(w)
    turns = arena.take((n_terms, *moves.shape), np.complex128)
    turns[0] = np.exp(0.5j * w[0] * moves)
    step = turns[0] if n_terms == 1 else np.exp(0.5j * (w[1] - w[0]) * moves)
    known = 1
    while known < n_terms:
        more = min(known, n_terms - known)
        np.multiply(turns[:more], step, out=turns[known : known + more])
        step = step * step
        known += more
    c, s = (arena.take((len(moves), n_terms, moves.shape[1]), dtype) for _ in range(2))
    c[...] = turns.real.transpose(1, 0, 2)
    s[...] = turns.imag.transpose(1, 0, 2)
    return c.reshape(len(moves), -1), s.reshape(len(moves), -1)
