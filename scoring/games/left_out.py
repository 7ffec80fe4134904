"""Products over all players but one, integrated by nodes, for every player at once.

The factor of player i at a node z is `C_i + i z S_i`. What is asked of each player j is
`sum_z weight_z Re prod_{i != j} (C_i + i z S_i)`.

Two players together are `C_1 C_2 + i z (C_1 S_2 + S_1 C_2) - z^2 S_1 S_2`: three real numbers that
a matrix product makes a complex one at every node. Pairs are multiplied up a tree, and on the way
down each branch gets the product of what is beside it, as derivatives are found backwards
(Linnainmaa, "Taylor expansion of the accumulated rounding error", 1976). Nothing is divided, so
factors may vanish.

Partners are half of the players apart, so that every operation is on one piece of memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Arena", "bytes_of", "left_out"]

Floats = NDArray[np.floating[Any]]
Complexes = NDArray[np.complexfloating[Any, Any]]

LINE = 64
"""Bytes of a line of the processor's cache."""


class Arena:
    """Memory that is asked for once: new pages for every product would cost more than it does."""

    def __init__(self, n_bytes: int) -> None:
        self._memory = np.empty(n_bytes, dtype=np.uint8)
        self._used = 0

    def clear(self) -> None:
        """Let all that was taken be taken again."""
        self._used = 0

    def take(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of which nothing is known."""
        answer: NDArray[Any] = np.ndarray(shape, dtype, self._memory, self._used)
        self._used += -(-answer.nbytes // LINE) * LINE
        return answer


def bytes_of(n_players: int, n_nodes: int, dtype: DTypeLike) -> int:
    """Upper bound on what a column of `left_out` takes of an arena."""
    n_pairs = n_players // 2
    factors = 4 * n_pairs + 2 * math.ceil(math.log2(n_pairs)) + 2  # all levels, twice
    return (2 * factors * n_nodes + 9 * n_pairs) * np.dtype(dtype).itemsize


def left_out(c: Floats, s: Floats, z: Floats, weights: Floats, arena: Arena) -> Floats:
    """What the product is without each player, summed over nodes; (n_players, n).

    Parameters
    ----------
    c, s : (n_players, n), of an even number of players; in the precision that is worked in.
    z, weights : float64 (n_nodes,).
    """
    n_pairs, n = len(c) // 2, c.shape[1]
    rest = _beside(_at_nodes(c, s, z, arena), arena)
    taken = np.zeros((2, 2 * len(z)), dtype=c.dtype)
    taken[0, ::2] = weights  # Re rest
    taken[1, 1::2] = -weights * z  # Re (i z rest)
    moments = arena.take((2, n_pairs, n), c.dtype)
    np.matmul(taken, rest.view(c.dtype).transpose(0, 2, 1), out=moments.transpose(1, 0, 2))
    still, turned = moments
    answer, term = arena.take(c.shape, c.dtype), arena.take((n_pairs, n), c.dtype)
    first, second = slice(None, n_pairs), slice(n_pairs, None)
    for mine, other in ((first, second), (second, first)):
        np.multiply(c[other], still, out=answer[mine])
        np.multiply(s[other], turned, out=term)
        answer[mine] += term
    return answer


def _at_nodes(c: Floats, s: Floats, z: Floats, arena: Arena) -> Complexes:
    """The factors of pairs of players, (n_pairs, n, n_nodes)."""
    powers = np.zeros((3, 2 * len(z)), dtype=c.dtype)
    powers[0, ::2] = 1.0
    powers[1, 1::2] = z
    powers[2, ::2] = -z * z
    n_pairs, n = len(c) // 2, c.shape[1]
    pairs, term = arena.take((3, n_pairs, n), c.dtype), arena.take((n_pairs, n), c.dtype)
    np.multiply(c[:n_pairs], c[n_pairs:], out=pairs[0])
    np.multiply(c[:n_pairs], s[n_pairs:], out=pairs[1])
    np.multiply(s[:n_pairs], c[n_pairs:], out=term)
    pairs[1] += term
    np.multiply(s[:n_pairs], s[n_pairs:], out=pairs[2])
    found = arena.take((n_pairs, n, len(z)), np.result_type(c.dtype, np.complex64))
    np.matmul(pairs.transpose(1, 2, 0), powers, out=found.view(c.dtype))
    return found


def _beside(factors: Complexes, arena: Arena) -> Complexes:
    """The product of all factors but one, for each of them."""
    if len(factors) == 1:
        return np.ones_like(factors)
    levels = [factors]
    while len(levels[-1]) > 2:
        levels.append(_joined(levels[-1], arena))
    rest = levels.pop()[::-1]
    while levels:
        rest = _opened(levels.pop(), rest, arena)
    return rest


def _joined(factors: Complexes, arena: Arena) -> Complexes:
    """Products of two; one that is left goes up by itself."""
    half = len(factors) // 2
    answer = arena.take((len(factors) - half, *factors.shape[1:]), factors.dtype)
    np.multiply(factors[:half], factors[half : 2 * half], out=answer[:half])
    answer[half:] = factors[2 * half :]
    return answer


def _opened(factors: Complexes, rest: Complexes, arena: Arena) -> Complexes:
    """From what is beside two to what is beside each of them."""
    half = len(factors) // 2
    answer = arena.take(factors.shape, factors.dtype)
    np.multiply(rest[:half], factors[half : 2 * half], out=answer[:half])
    np.multiply(rest[:half], factors[:half], out=answer[half : 2 * half])
    answer[2 * half :] = rest[half:]
    return answer
