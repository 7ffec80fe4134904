"""Margins of pairs of a row and a background row, for many coalitions, without walking a tree.

The leaf that a masked row reaches in a tree is the one that both the row's tests on present players
and the background row's tests on absent players leave open. What a player's tests leave open is a
word of bits (`scoring.trees.leaf_words`), and what the tests of a part of a tree's players leave
open is a table of words, with a line for every coalition of these players. So the leaf is a line of
one table, or the bit that the lines of two or three have in common.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.games.tree_plan import Group, Plan
from scoring.trees.leaf_words import LeafWords, Words, leaf_places

__all__ = ["TreeMargins", "with_nobody"]

TABLE_BYTES = 2 * 2**20
"""What the tables of some trees may take at a time: they stay near the processor."""


@dataclass(frozen=True, eq=False)
class TreeMargins:
    """What trees add up to, for fixed coalitions.

    Parameters
    ----------
    words : what a test leaves open.
    plan : which trees are asked about which coalitions.
    base : float64 (n_margins,), what is added to the trees.
    """

    words: LeafWords
    plan: Plan
    base: NDArray[np.float64]

    @property
    def pair_bytes(self) -> int:
        """What a coalition of a pair takes: two words, a place, two values, and margins."""
        return 2 * np.dtype(self.words.dtype).itemsize + 24 + 16 * len(self.base)

    def of(self, present: Words, absent: Words, asked: slice) -> NDArray[np.float64]:
        """Return the margins of some coalitions, (n_margins, n_some, n_pairs).

        Parameters
        ----------
        present, absent : (n_tests + 1, n_pairs), what tests leave open to each pair's row and to
            its background row, `with_nobody`.
        """
        n_pairs = present.shape[1]
        answer = np.empty((len(self.base), asked.stop - asked.start, n_pairs))
        answer[:] = self.base[:, np.newaxis, np.newaxis]
        looked_up = np.empty(answer.shape[1:])
        opened = self._opened(present, absent)
        for group in self.plan.groups:
            if group.which is None:
                self._add(group, asked, opened, answer)
                continue
            sums = np.zeros((len(self.base), group.codes[0].shape[1], n_pairs))
            self._add(group, slice(None), opened, sums)
            for output in np.unique(self.words.outputs[group.trees]).tolist():
                np.take(sums[output], group.which[asked], axis=0, out=looked_up, mode="clip")
                total = answer[output]
                total += looked_up
        return answer

    def _add(
        self, group: Group, asked: slice, opened: Iterator[Words], sums: NDArray[np.float64]
    ) -> None:
        """Add a group's trees to sums (n_margins, n_asked, n_pairs), in place."""
        shape = sums.shape[1:]
        leaves, other = (np.empty(shape, dtype=self.words.dtype) for _ in range(2))
        floats, found = np.empty(shape), np.empty(shape)
        # Where the group's trees end, the tables go on with those of the next group.
        for tree, codes, parts in zip(group.trees.tolist(), group.codes, opened, strict=False):
            np.take(parts[0], codes[0, asked], axis=0, out=leaves, mode="clip")
            for part, code in zip(parts[1:], codes[1:], strict=True):
                np.take(part, code[asked], axis=0, out=other, mode="clip")
                leaves &= other
            places = leaf_places(leaves, floats)
            np.take(self.words.values[tree], places, out=found, mode="clip")
            total = sums[self.words.outputs[tree]]
            total += found

    def _opened(self, present: Words, absent: Words) -> Iterator[Words]:
        """The tables (n_parts, n_lines, n_pairs) of all groups' trees, one tree after the other.

        A tree's are overwritten when the next one's are asked for.
        """
        n_bits, n_pairs = self.plan.tests.shape[1], present.shape[1]
        most = max(1, TABLE_BYTES // (n_pairs * absent.itemsize << n_bits))
        most = max(most, int(self.plan.n_parts.max(initial=0)))  # at least one tree
        room = np.empty(most * n_pairs << n_bits, dtype=absent.dtype)
        ends = np.cumsum(self.plan.n_parts)
        first = start = 0
        while first < len(ends):
            last = int(np.searchsorted(ends, start + most, side="right"))
            parts = slice(start, int(ends[last - 1]))
            tests = self.plan.tests[parts, : self.plan.n_bits[parts].max()]
            shape = len(tests), 1 << tests.shape[1], n_pairs
            made = room[: math.prod(shape)].reshape(shape)
            _fill(made, tests, present, absent)
            yield from np.split(made, ends[first : last - 1] - start)
            first, start = last, parts.stop


def with_nobody(words: Words) -> Words:
    """Put a test that rules nothing out behind the others; (n_tests + 1, n)."""
    return np.concatenate([words, np.full((1, words.shape[1]), -1, dtype=words.dtype)])


def _fill(tables: Words, tests: NDArray[np.int64], present: Words, absent: Words) -> None:
    """Write what parts leave open into tables (n_parts, n_lines, n_pairs).

    Parameters
    ----------
    tests : int64 (n_parts, n_bits), as a plan has them.
    """
    tables[:, 0] = -1
    for bit in range(tests.shape[1]):  # lines with it come behind those without
        without, own = tables[:, : 1 << bit], tests[:, bit, np.newaxis]
        np.bitwise_and(without, present[own], out=tables[:, 1 << bit : 2 << bit])
        without &= absent[own]
