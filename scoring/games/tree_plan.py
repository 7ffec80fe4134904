"""Which coalitions each tree is asked about.

A tree that tests few players sees few different coalitions. Trees that test about the same players
are evaluated together on the coalitions that differ for them, and what they add up to is looked up
for all coalitions at once. Trees that test many players are evaluated on the coalitions themselves.

What a tree's players leave open is a table with a line for every coalition of them. The players
are cut into parts, so that tables are small and two or three of them are looked up for a leaf.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.trees.leaf_words import LeafWords

__all__ = ["Group", "Plan", "plan"]

PART = 7
"""Players of a part at most; its table has 2**7 lines."""

EVALUATED = 4
"""What evaluating a tree on a coalition costs, in lookups of what a group of trees adds up to."""


@dataclass(frozen=True, eq=False)
class Group:
    """Trees that are asked about the same coalitions.

    Parameters
    ----------
    trees : int64 (n_own,), the trees.
    codes : per tree intp (n_parts, n_distinct), the line of each part's table for each coalition.
    which : intp (n_coalitions,), the distinct coalition that each coalition is to these trees;
        None where they are asked about the coalitions themselves.
    """

    trees: NDArray[np.int64]
    codes: tuple[NDArray[np.intp], ...]
    which: NDArray[np.intp] | None


@dataclass(frozen=True, eq=False)
class Plan:
    """All groups, and the parts of their trees, one tree after the other.

    Parameters
    ----------
    tests : int64 (n_parts, n_bits), the tests of a part by their bits; those behind the last test
        of `LeafWords` are nobody's.
    n_bits : int64 (n_parts,), how many tests each part has.
    n_parts : int64 (n_trees,), how many parts each tree has.
    """

    groups: tuple[Group, ...]
    tests: NDArray[np.int64]
    n_bits: NDArray[np.int64]
    n_parts: NDArray[np.int64]


def plan(words: LeafWords, masks: NDArray[np.bool_]) -> Plan:
    """Share a forest's trees out among groups; trees without tests are in none.

    Parameters
    ----------
    masks : bool (n_coalitions, n_players).
    """
    trees, starts = np.unique(words.trees, return_index=True)
    ends = np.append(starts, len(words.trees))
    tests = [np.arange(*ends[k : k + 2]) for k in range(len(trees))]
    asked = [sum(1 << player for player in words.players[own].tolist()) for own in tests]
    groups, parts, n_parts = [], [], []
    for members, together in _shared_out(asked, len(masks)):
        seen, which = masks, None
        if together:
            own = np.unique(words.players[np.concatenate([tests[k] for k in members])])
            seen, which = _distinct(masks, own)
        cut = [np.array_split(tests[k], -(-len(tests[k]) // PART)) for k in members]
        codes = tuple(_codes(some, words.players, seen) for some in cut)
        groups.append(Group(trees[members], codes, which))
        parts += [part for some in cut for part in some]
        n_parts += [len(some) for some in cut]
    n_bits = np.array([len(part) for part in parts], dtype=np.int64)
    padded = np.full((len(parts), n_bits.max(initial=0)), len(words.trees))
    for number, part in enumerate(parts):
        padded[number, : len(part)] = part
    return Plan(tuple(groups), padded, n_bits, np.array(n_parts, dtype=np.int64))


def _shared_out(asked: list[int], n_coalitions: int) -> Iterator[tuple[list[int], bool]]:
    """Trees by groups, and whether a group looks up what it adds up to.

    One tree after the other, those with most players first, goes where it costs least. Trees with
    as many players stay neighbours: their tables are made together.

    Parameters
    ----------
    asked : the players of each tree, as bits.
    """
    alone: list[int] = []
    groups: list[list[int]] = []
    unions: list[int] = []

    def lines(players: int) -> int:
        return min(1 << players.bit_count(), n_coalitions)

    for tree in sorted(range(len(asked)), key=lambda tree: -asked[tree].bit_count()):
        own = asked[tree]
        costs = [EVALUATED * n_coalitions, EVALUATED * lines(own) + n_coalitions]
        costs += [
            EVALUATED * ((len(group) + 1) * lines(union | own) - len(group) * lines(union))
            for group, union in zip(groups, unions, strict=True)
        ]
        cheapest = int(np.argmin(costs))
        if cheapest == 0:
            alone.append(tree)
        elif cheapest == 1:
            groups.append([tree])
            unions.append(own)
        else:
            groups[cheapest - 2].append(tree)
            unions[cheapest - 2] |= own
    if alone:
        yield alone, False
    for group in groups:
        yield group, True


def _distinct(
    masks: NDArray[np.bool_], players: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Coalitions (n_distinct, n_players) that differ for some players, and which each one is."""
    _, first, which = np.unique(masks[:, players], axis=0, return_index=True, return_inverse=True)
    return masks[first], which.ravel().astype(np.intp)


def _codes(
    parts: list[NDArray[np.int64]], players: NDArray[np.int64], masks: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """The players of each part that are present, as bits; (n_parts, n_coalitions)."""
    found = [masks[:, players[part]] @ np.left_shift(1, np.arange(len(part))) for part in parts]
    return np.array(found, dtype=np.intp)
