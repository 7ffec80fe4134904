"""The numbers that a row finds in the tables, in the order in which they add up fastest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Entries", "entries_of"]

NEAR = 2048
"""Groups whose lines stay in the processor's cache together."""


class Entries(NamedTuple):
    """Entries in segments: of groups that lie near each other, those of one key side by side.

    Parameters
    ----------
    group, offset : int64 (n_entries,), whose line it is in, and how far from its beginning.
    first : int64 (n_segments,), where each segment begins.
    by_key : int64 (n_segments,), the segments key by key.
    key : int64 (n_keys,), the keys that there are.
    key_first : int64 (n_keys,), where each key's segments begin in `by_key`; none where every key
        has one segment, and the keys are in the order of these.
    """

    group: NDArray[np.int64]
    offset: NDArray[np.int64]
    first: NDArray[np.int64]
    by_key: NDArray[np.int64]
    key: NDArray[np.int64]
    key_first: NDArray[np.int64]

    def sums(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up (n_rows, n_entries) by key; (n_rows, n_keys)."""
        answer: NDArray[np.float64] = np.add.reduceat(numbers, self.first, axis=1)
        if not len(self.key_first):
            return answer
        return np.add.reduceat(answer.take(self.by_key, axis=1), self.key_first, axis=1)


def entries_of(
    group: NDArray[np.int64], offset: NDArray[np.int64], keys: NDArray[np.int64]
) -> Entries:
    """Put entries in order.

    Parameters
    ----------
    group, offset, keys : int64 (n_entries,), from 0 on; what has the same key is added up.
    """
    order = np.lexsort((keys, group // NEAR))
    sorted_keys = keys[order]
    first = np.flatnonzero(np.diff(sorted_keys, prepend=-1))
    by_key = np.argsort(sorted_keys[first], kind="stable")
    key, key_first = np.unique(sorted_keys[first][by_key], return_index=True)
    if len(key) == len(first):
        key, key_first = sorted_keys[first], key_first[:0]
    return Entries(group[order], offset[order], first, by_key, key, key_first)
