"""Giving amounts to every player of a set, for many sets at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["count", "spread"]

HALF = 16
"""Bits of which all patterns are counted at a time."""

Words = NDArray[np.unsignedinteger]
"""Sets of players as bits, (n_words, n)."""


def count(words: Words) -> NDArray[np.intp]:
    """How many players are in each set, (n,)."""
    return np.asarray(np.bitwise_count(words).sum(axis=0, dtype=np.intp))


def spread(
    words: Words, amounts: NDArray[np.float64], at: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Add up what players get where every member of a set gets its amount.

    Equal sets are added up first, sixteen players at a time: far fewer patterns than sets.

    Parameters
    ----------
    amounts : float64 (n,).
    at : int (n,), the line of the answer that a set belongs to.
    shape : lines and players of the answer.
    """
    n_lines, n_players = shape
    answer = np.zeros(shape)
    per_word = 8 * words.itemsize // HALF
    halves = np.ascontiguousarray(words).view(np.uint16).reshape(len(words), -1, per_word)
    for first in range(0, n_players, HALF):
        word, half = divmod(first // HALF, per_word)
        n = min(HALF, n_players - first)
        patterns = halves[word, :, half].astype(np.int64)
        if n_lines << n > max(len(at), 1 << n):  # patterns would be more than sets
            members = patterns[:, np.newaxis] >> np.arange(n) & 1
            line, player = np.divmod(np.flatnonzero(members), n)
            keys = at[line] * n + player
            counted = np.bincount(keys, amounts[line], n_lines * n)
            answer[:, first : first + n] = counted.reshape(n_lines, n)
            continue
        counted = np.bincount(patterns + (at << n), amounts, n_lines << n).reshape(n_lines, -1)
        members = np.arange(1 << n)[:, np.newaxis] >> np.arange(n) & 1
        answer[:, first : first + n] = counted @ members.astype(np.float64)
    return answer
