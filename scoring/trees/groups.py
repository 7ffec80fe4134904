"""Leaves that share a table: those of a subtree that is small enough for one.

Leaves under one node agree on every test above it. A table over all of them has a bit for each
player above the node, and one for each test below: often it is smaller than the leaves' own tables
together, and a row looks up one line of it instead of a line for every leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.trees.paths import NOBODY, Paths

__all__ = ["GROWTH", "MOST_BITS", "Groups", "tops_of"]

GROWTH = 2
"""How much larger than the tables of its halves a shared table may be."""

MOST_BITS = 12
"""Bits of a table that leaves share: larger ones find too few of their lines in the cache."""


class _Tests(NamedTuple):
    """What groups test: (n_tests,) each, in the order of groups."""

    group: NDArray[np.int64]
    node: NDArray[np.int64]  # its number among inner nodes
    left: NDArray[np.bool_]  # which way passes
    bit: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Groups:
    """The leaves below some nodes, and what decides among them.

    A group's bits are first the players that are tested above it, as `Paths` numbers them; then its
    own tests, where to go left is to pass.

    Parameters
    ----------
    tops : int64 (n_groups,), the nodes, by their trees; none is above another.
    shared : whether nodes of a group that test the same have one bit, as all nodes of a level of a
        symmetric tree do. In older artifacts every node has its own.
    """

    paths: Paths
    tops: NDArray[np.int64]
    shared: bool = False

    @cached_property
    def _above(self) -> _Tests:
        group, node, left = self.paths.forest.ancestors(self.tops)
        return _Tests(group, node, left, self.paths.bits[node].astype(np.int64))

    @cached_property
    def _below(self) -> _Tests:
        """One node for every bit below the tops."""
        group, node, bit = self._nodes_below
        _, first = np.unique(np.column_stack([group, bit]), axis=0, return_index=True)
        return _Tests(group[first], node[first], np.ones(len(first), dtype=bool), bit[first])

    @cached_property
    def _nodes_below(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """All inner nodes below the tops: their groups, their numbers, and their bits."""
        group, nodes = self._members
        inner = self.paths.forest.is_inner[nodes]
        group, node = group[inner], self.paths.forest.numbers[nodes[inner]]
        test = self.paths.forest.tests[node] if self.shared else node
        pairs, place = np.unique(np.column_stack([group, test]), axis=0, return_inverse=True)
        first = np.searchsorted(pairs[:, 0], np.arange(len(self.tops)))
        return group, node, self.n_above[group] + place.ravel() - first[group]

    @cached_property
    def _members(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All nodes from the tops down: their groups, and which they are."""
        forest = self.paths.forest
        group, nodes = np.arange(len(self.tops)), self.tops
        found = [(group, nodes)]
        while len(nodes):
            inner = forest.is_inner[nodes]
            group, nodes = np.tile(group[inner], 2), forest.children[nodes[inner]].T.ravel()
            found.append((group, nodes))
        groups, members = zip(*found, strict=True)
        return np.concatenate(groups), np.concatenate(members)

    @cached_property
    def n_above(self) -> NDArray[np.int64]:
        """How many players are tested above a group, (n_groups,)."""
        answer = np.zeros(len(self.tops), dtype=np.int64)
        np.maximum.at(answer, self._above.group, self._above.bit + 1)
        return answer

    @cached_property
    def n_bits(self) -> NDArray[np.int64]:
        """How many bits a group has, (n_groups,)."""
        return np.asarray(self.n_above + np.bincount(self._below.group, minlength=len(self.tops)))

    @cached_property
    def leaves(self) -> NDArray[np.int64]:
        """The leaves of all groups, those of paths with fewer players first; (n_tabled,)."""
        _, nodes = self._members
        leaves = self.paths.forest.numbers[nodes[~self.paths.forest.is_inner[nodes]]]
        return np.asarray(leaves[np.argsort(self.paths.n_players[leaves], kind="stable")])

    @cached_property
    def of_leaves(self) -> NDArray[np.int64]:
        """The group of every leaf, (n_leaves,); -1 for none."""
        forest = self.paths.forest
        group, nodes = self._members
        ends = ~forest.is_inner[nodes]
        answer = np.full(forest.n_leaves, -1)
        answer[forest.numbers[nodes[ends]]] = group[ends]
        return answer

    @cached_property
    def outputs(self) -> NDArray[np.int64]:
        """The first output that each group adds to, (n_groups,)."""
        answer = np.zeros(len(self.tops), dtype=np.int64)
        answer[self.of_leaves[self.leaves]] = self.paths.forest.outputs[self.leaves]
        return answer

    @cached_property
    def members(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Who is paid by which group, (n_pairs,) each: groups in order, their players ascending."""
        players = self.paths.players[self.leaves]
        leaf, bit = np.nonzero(players != NOBODY)
        pairs = np.column_stack([self.of_leaves[self.leaves[leaf]], players[leaf, bit]])
        group, player = np.unique(pairs.astype(np.int64), axis=0).T
        return group, player

    @property
    def n_tests(self) -> int:
        """How many tests all groups have, those above them included."""
        return len(self._above.group) + len(self._below.group)

    @cached_property
    def n_players(self) -> NDArray[np.int64]:
        """How many players each group pays, (n_groups,)."""
        return np.bincount(self.members[0], minlength=len(self.tops))

    def slots(self, leaf: int) -> NDArray[np.int64]:
        """Return the places of a leaf's players among its group's, by their bits; (n_players,)."""
        first = int(np.searchsorted(self.members[0], self.of_leaves[leaf]))
        paid = self.members[1][first : first + int(self.n_players[self.of_leaves[leaf]])]
        own = self.paths.players[leaf, : self.paths.n_players[leaf]]
        return np.asarray(np.searchsorted(paid, own), dtype=np.int64)

    def patterns(self, leaf: int) -> NDArray[np.int64]:
        """Return which of a leaf's players pass, as bits, by what passes of its group: (2**n,)."""
        group = int(self.of_leaves[leaf])
        every = np.arange(1 << int(self.n_bits[group]))
        own = (1 << int(self.paths.n_players[leaf])) - 1
        answer: NDArray[np.int64] = (every | -1 << self.n_above[group]) & own
        for k in range(*self._first_own[leaf : leaf + 2].tolist()):
            misses = every >> self._own.bit[k] & 1 != self._own.left[k]
            answer[misses] &= ~(1 << self._own_bit[k])
        return answer

    @cached_property
    def _own(self) -> _Tests:
        """Tests of leaves within their groups; by leaves instead of groups."""
        forest = self.paths.forest
        in_group = np.full(len(forest.columns), -1)
        _, nodes, bits = self._nodes_below
        in_group[nodes] = bits
        leaf, node, left = forest.ancestors(np.flatnonzero(~forest.is_inner))
        inside = in_group[node] >= 0
        return _Tests(leaf[inside], node[inside], left[inside], in_group[node[inside]])

    @cached_property
    def _own_bit(self) -> NDArray[np.int64]:
        return self.paths.bits[self._own.node].astype(np.int64)

    @cached_property
    def _first_own(self) -> NDArray[np.int64]:
        return np.searchsorted(self._own.group, np.arange(self.paths.forest.n_leaves + 1))

    def failed(
        self, left: NDArray[np.bool_], counts: NDArray[np.bool_] | None = None
    ) -> NDArray[np.integer]:
        """Return what rows fail of groups, as bits; (n_groups, n_rows).

        Parameters
        ----------
        left : bool (n_inner, n_rows), where rows go left.
        counts : bool (n_inner,), the nodes that can be failed at; None for all.
        """
        tests, first, flags = self._tests
        if counts is not None:
            flags = np.where(counts[tests.node], flags, 0).astype(flags.dtype)
        missed = left.take(tests.node, axis=0) != tests.left[:, np.newaxis]
        answer = np.zeros((len(self.tops), left.shape[1]), dtype=flags.dtype)
        if len(first):
            words = np.multiply(missed, flags[:, np.newaxis], dtype=flags.dtype)
            answer[tests.group[first]] = np.bitwise_or.reduceat(words, first, axis=0)
        return answer

    @cached_property
    def _tests(self) -> tuple[_Tests, NDArray[np.int64], NDArray[np.integer]]:
        """All tests group by group, where each group's begin, and their bits as integers."""
        both = [np.concatenate(pair) for pair in zip(self._above, self._below, strict=True)]
        order = np.argsort(both[0], kind="stable")
        tests = _Tests(*(each[order] for each in both))
        first = np.flatnonzero(np.diff(tests.group, prepend=-1))
        return tests, first, np.left_shift(1, tests.bit).astype(self.dtype)

    @cached_property
    def dtype(self) -> np.dtype[np.integer]:
        """The narrowest integers for the bits of a group."""
        most = self.n_bits.max(initial=0)
        words = ((8, np.uint8), (16, np.uint16), (32, np.uint32), (64, np.int64))
        return np.dtype(next(word for bits, word in words if most <= bits))


def tops_of(
    paths: Paths, leaves: NDArray[np.int64], growth: float, n_factors: int, n_values: int
) -> NDArray[np.int64]:
    """Choose which leaves share a table, from the leaves up.

    Two halves of a subtree are brought together where both have a table, and the table of both is
    at most `growth` times as large as theirs together.

    Parameters
    ----------
    leaves : int64 (n_tabled,), those that have a table.
    growth : 0 for a table for each leaf.
    n_factors, n_values : what a table has for each player, and besides.

    Returns
    -------
    int64 (n_groups,), nodes by their trees.
    """
    if not len(leaves):
        return leaves
    forest = paths.forest
    children = forest.children.tolist()
    ends = np.flatnonzero(~forest.is_inner)
    grouped = [False] * len(children)
    above = _players_above(paths)
    paid, size = list(above), [0] * len(children)
    tests: list[frozenset[int]] = [frozenset()] * len(children)
    asked = dict(zip(np.flatnonzero(forest.is_inner).tolist(), forest.tests.tolist(), strict=True))

    def sized(node: int) -> int:
        n_numbers = paid[node].bit_count() * n_factors + n_values
        return n_numbers << above[node].bit_count() + len(tests[node])

    for node in ends[leaves].tolist():
        grouped[node], size[node] = True, sized(node)
    for node in np.flatnonzero(forest.is_inner)[::-1].tolist():
        one, other = children[node]
        if grouped[one] and grouped[other]:
            paid[node] = paid[one] | paid[other]
            tests[node] = tests[one] | tests[other] | {asked[node]}
            size[node] = sized(node)
            few = above[node].bit_count() + len(tests[node]) <= MOST_BITS
            grouped[node] = few and size[node] <= growth * (size[one] + size[other])
    inside = np.array(grouped)
    inside[forest.n_trees :] &= ~inside[forest.parents[forest.n_trees :]]
    tops = np.flatnonzero(inside)
    return tops[np.argsort(forest.trees[tops], kind="stable")]


def _players_above(paths: Paths) -> list[int]:
    """The players that are tested above each node, as bits."""
    forest = paths.forest
    answer = [0] * len(forest.is_inner)
    tested = paths.owners[forest.columns].tolist()
    inner = np.flatnonzero(forest.is_inner).tolist()
    for player, node in zip(tested, inner, strict=True):
        for child in forest.children[node].tolist():
            answer[child] = answer[node] | 1 << player
    return answer
