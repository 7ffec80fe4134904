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

COLUMNS = 768
"""Terms of pairs of rows that are worked on at a time: worth the calls, and near the processor."""

LONGEST = 256
"""Terms after which angles are computed anew: each turn adds a rounding."""

SINGLE = 1e-3
"""From this tolerance on single precision is enough: its roundings are a hundredth of that."""

SPARE = 1 << 12
"""Bytes of an arena that are lost between arrays."""


@dataclass(frozen=True, eq=False)
class Series:
    """A series for each pair of a row and a background row, the longest first.

    Pairs do not share one, so that their values are the same in any company.

    Parameters
    ----------
    pairs : int64 (n_series,), those whose scores are near enough for one.
    periods : float64 (n_series,), see `sines`.
    n_terms : int64 (n_series,).
    """

    pairs: NDArray[np.intp]
    periods: NDArray[np.float64]
    n_terms: NDArray[np.int64]

    @classmethod
    def of(
        cls, moves: NDArray[np.float64], middles: NDArray[np.float64], tolerance: float
    ) -> Series:
        """Choose them by the farthest score of any coalition."""
        reach = np.abs(middles) + np.abs(moves).sum(axis=1) / 2
        near = np.flatnonzero(reach <= sines.FARTHEST)  # a NaN is not
        pairs = near[np.argsort(-reach[near], kind="stable")]
        periods = sines.periods(reach[pairs], tolerance)
        return cls(pairs, periods, sines.n_terms(periods, tolerance))

    def blocks(self, n_columns: int) -> Iterator[slice]:
        """Some that have together about as many terms; at least one."""
        start, end = 0, len(self.pairs)
        while start < end:
            stop = min(end, start + max(1, n_columns // int(self.n_terms[start])))
            yield slice(start, stop)
            start = stop

    def scaled(self, k: NDArray[np.int64], some: slice) -> tuple[NDArray[np.float64], ...]:
        """Frequencies of terms k, and coefficients that are 0 where there is no such term."""
        w = np.outer(2 * k + 1, np.pi / self.periods[some])
        coefficients = sines.coefficients(k, self.periods[some])
        coefficients[k[:, np.newaxis] >= self.n_terms[some]] = 0.0
        return w, coefficients  # (n_terms, n_some)


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
    dtype = np.dtype(np.float32 if tolerance >= SINGLE else np.float64)
    n_players = moves.shape[1]
    series = Series.of(moves, middles, tolerance)
    even = np.zeros((n_players + n_players % 2, len(series.pairs)))  # one more moves nothing
    even[:n_players] = moves[series.pairs].T
    middles = middles[series.pairs]
    z, node_weights = sines.nodes(n_players, tolerance)
    column = 4 * len(even) * dtype.itemsize + bytes_of(len(even), len(z), dtype)
    every = list(series.blocks(min(COLUMNS, block_bytes // column)))
    widest = max((_width(series, some) for some in every), default=0)
    arena = Arena(column * widest + SPARE)
    found = np.zeros(even.shape)
    for some in every:
        for terms in blocks(int(series.n_terms[some.start]), LONGEST):
            w, coefficients = series.scaled(np.arange(terms.start, terms.stop), some)
            coefficients *= 4 * np.cos(w * middles[some])
            arena.clear()
            c, s = _half_angles(even[:, some], w, dtype, arena)
            without = left_out(c, s, z, node_weights, arena)
            found[:, some] += np.einsum(
                "jtp,jtp,tp->jp", *(x.reshape(-1, *w.shape) for x in (without, s)),
                coefficients.astype(dtype),
            )  # fmt: skip
    answer = np.full(moves.shape, np.nan)
    answer[series.pairs] = found[:n_players].T * weights[series.pairs, np.newaxis]
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
    series = Series.of(moves, middles, tolerance)
    answer = np.full((n_pairs, n_players, n_players), np.nan)
    answer[series.pairs] = 0.0
    for k in range(series.n_terms.max(initial=0)):
        some = slice(0, np.count_nonzero(series.n_terms > k))  # the longest are first
        pairs = series.pairs[some]
        w, coefficients = (x[0] for x in series.scaled(np.array([k]), some))
        half = np.exp(0.5j * w[:, np.newaxis] * moves[pairs])[..., np.newaxis]
        factors = half.real + 1j * z * half.imag  # (n_some, n_players, n_nodes)
        scale = 2 * coefficients * np.sin(w * middles[pairs]) * weights[pairs]
        product = factors.prod(axis=1) * scale[:, np.newaxis] * node_weights
        share = 2j * half.imag / factors
        answer[pairs] += ((share * product[:, np.newaxis]) @ share.transpose(0, 2, 1)).real
    return answer


def _width(series: Series, some: slice) -> int:
    """Columns of a block, of its first terms."""
    return min(LONGEST, int(series.n_terms[some.start])) * (some.stop - some.start)


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
    turns = arena.take((n_terms, *moves.shape), np.result_type(dtype, np.complex64))
    turns[0] = np.exp(0.5j * w[0] * moves)
    step = turns[0] if n_terms == 1 else np.exp(0.5j * (w[1] - w[0]) * moves).astype(turns.dtype)
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
