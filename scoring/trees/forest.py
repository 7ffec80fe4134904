"""Trees as arrays, all of them walked at once, level by level.

Nodes are kept in the order in which they are met: the roots, then the left children of the first
level's inner nodes, then their right children, and so on. A level's children then follow from the
level itself, and nothing has to be looked up. Leaves are numbered in the same order.

A leaf is a conjunction of tests. Those of one player are one test: it is passed where all of them
are. A path's players are numbered as they are met from the root on, so that nodes above a leaf
agree with it on whose bit is which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Forest", "Level", "Tree", "forest_of"]

NO_SET = -1

Rounding = Literal["none", "single", "tiny"]
"""What a library does to numbers before it compares them: nothing, single precision, or zero for
what is as good as zero."""

TINY = float(np.float32(1e-35))
"""What LightGBM takes for zero."""


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree as a library has it; the root is node 0.

    Parameters
    ----------
    left, right : int (n_nodes,), children; -1 at leaves.
    columns : int (n_nodes,), what a node tests.
    thresholds : float64 (n_nodes,); a row goes left where `x <= threshold`.
    missing_left : bool (n_nodes,), where a gap goes.
    values : float64 (n_nodes, n_values), what a leaf answers.
    output : the first output that the values are added to.
    sets : per node that tests a category, bool (n_codes,): which codes go left. Others, gaps among
        them, go where gaps go (or left, see `Forest.strangers_left`).
    zero_is_missing : nodes that take zero for a gap, bool (n_nodes,).
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    columns: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    values: NDArray[np.float64]
    output: int = 0
    sets: dict[int, NDArray[np.bool_]] | None = None
    zero_is_missing: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Level:
    """One level of all trees: where its nodes are among inner nodes and leaves.

    Parameters
    ----------
    inner : places of the inner nodes within the level.
    leaves : places of the leaves within the level.
    first_inner, first_leaf : how many came before.
    """

    inner: NDArray[np.int64]
    leaves: NDArray[np.int64]
    first_inner: int
    first_leaf: int


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees that are added up; see the top of the file for the order of nodes.

    Parameters
    ----------
    n_trees : how many roots there are.
    is_inner : bool (n_nodes,).
    columns : int32 (n_inner,), what a node tests.
    thresholds : float64 (n_inner,); a row goes left where `x <= threshold`.
    missing_left : bool (n_inner,), where a gap goes.
    zero_is_missing : bool (n_inner,), or none where no node takes zero for a gap.
    sets : bool (n_sets, n_codes), the codes of categories that go left.
    set_of : int32 (n_inner,), the set of a node that tests a category; -1 for a number.
    values : float64 (n_leaves, n_values).
    outputs : int32 (n_leaves,), the first output that a leaf's values are added to.
    base : float64 (n_outputs,), what is added to the leaves.
    scale : what the sum of the leaves is divided by.
    rounding : what is done to numbers before they are compared.
    missing : a number that stands for a gap besides NaN, as it is compared.
    strangers_left : whether codes that no set knows go left, and not where gaps go.
    sections : int64 (n_sections,), how many trees, one section after the other, are added up before
        sections are; None where trees are added up at once.
    section_scales : float64 (n_sections, 2), what a section's sum is divided by, and then
        multiplied by.
    """

    n_trees: int
    is_inner: NDArray[np.bool_]
    columns: NDArray[np.int32]
    thresholds: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    zero_is_missing: NDArray[np.bool_] | None
    sets: NDArray[np.bool_]
    set_of: NDArray[np.int32]
    values: NDArray[np.float64]
    outputs: NDArray[np.int32]
    base: NDArray[np.float64]
    scale: float
    rounding: Rounding
    missing: float = float("nan")
    strangers_left: bool = False
    sections: NDArray[np.int64] | None = None
    section_scales: NDArray[np.float64] | None = None

    @property
    def n_leaves(self) -> int:
        """How many leaves there are."""
        return len(self.values)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The levels from the roots down."""
        found, start, width, n_inner, n_leaves = [], 0, self.n_trees, 0, 0
        while width:
            here = self.is_inner[start : start + width]
            level = Level(np.flatnonzero(here), np.flatnonzero(~here), n_inner, n_leaves)
            found.append(level)
            start, n_inner, n_leaves = (
                start + width,
                n_inner + len(level.inner),
                n_leaves + len(level.leaves),
            )
            width = 2 * len(level.inner)
        return tuple(found)

    @cached_property
    def children(self) -> NDArray[np.int64]:
        """The nodes that a row goes on to, left and right, (n_nodes, 2); -1 at leaves."""
        answer = np.full((len(self.is_inner), 2), -1)
        inner = np.flatnonzero(self.is_inner)
        for level in self.levels:
            nodes = inner[level.first_inner : level.first_inner + len(level.inner)]
            below = level.first_inner + level.first_leaf + len(level.inner) + len(level.leaves)
            left = below + np.arange(len(nodes))
            answer[nodes] = np.column_stack([left, left + len(nodes)])
        return answer

    @cached_property
    def tests(self) -> NDArray[np.int64]:
        """The test of each inner node, (n_inner,): a number that nodes which test the same share.

        Nodes that test categories share none.
        """
        zero = self.zero_is_missing
        flags = 2 * self.missing_left + (0 if zero is None else zero)
        parts = self.set_of, self.thresholds, flags, self.columns
        order = np.lexsort(parts)
        new = np.zeros(len(order), dtype=bool)
        for part in parts:
            new[1:] |= part[order[1:]] != part[order[:-1]]
        answer = np.empty(len(order), dtype=np.int64)
        answer[order] = np.cumsum(new)
        return answer

    @cached_property
    def parents(self) -> NDArray[np.int64]:
        """The node above each node, (n_nodes,); -1 at roots."""
        answer = np.full(len(self.is_inner), -1)
        answer[self.children[self.is_inner]] = np.flatnonzero(self.is_inner)[:, np.newaxis]
        return answer

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The number of each node among inner nodes or leaves, (n_nodes,)."""
        return np.where(self.is_inner, np.cumsum(self.is_inner), np.cumsum(~self.is_inner)) - 1

    @cached_property
    def trees(self) -> NDArray[np.int64]:
        """The tree of each node, (n_nodes,)."""
        answer = np.arange(len(self.is_inner))
        start = self.n_trees
        for level in self.levels[1:]:
            stop = start + len(level.inner) + len(level.leaves)
            answer[start:stop] = answer[self.parents[start:stop]]
            start = stop
        return answer

    def ancestors(
        self, nodes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return what is tested above nodes, those next to them first for each of them.

        Returns
        -------
        which : int64 (n_tests,), ascending: the place of the node in `nodes`.
        tested : int64 (n_tests,), the number of the inner node above it.
        left : bool (n_tests,), whether the way from there to the node is the left one.
        """
        which, above = np.arange(len(nodes)), nodes
        found: list[tuple[NDArray[Any], ...]] = []
        while len(above) or not found:
            inner = self.parents[above] >= 0
            which, below = which[inner], above[inner]
            above = self.parents[below]
            found.append((which, self.numbers[above], self.children[above, 0] == below))
        order = np.argsort(np.concatenate([each[0] for each in found]), kind="stable")
        which, tested, left = (np.concatenate(part)[order] for part in zip(*found, strict=True))
        return which, tested, left

    def rounded(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows as their numbers are compared."""
        if self.rounding == "tiny":
            columns = np.where(np.abs(columns) <= TINY, 0.0, columns)
        elif self.rounding == "single":
            with np.errstate(over="ignore"):  # beyond single precision is beyond every threshold
                columns = columns.astype(np.float32).astype(np.float64)
        if np.isnan(self.missing):
            return columns
        return np.where(columns == self.missing, np.nan, columns)

    def goes_left(self, columns: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return where rows (n_rows, n_columns) go at every inner node; (n_inner, n_rows)."""
        return self.lets_left(self.rounded(columns))

    def lets_left(self, columns: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return the same for rows that are rounded already."""
        every = np.arange(len(self.columns))
        return self._lets_left(every, np.ascontiguousarray(columns.T)[self.columns])

    def _lets_left(self, nodes: NDArray[np.int64], told: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether inner nodes let numbers (n_nodes, n) left; a node may be asked repeatedly."""
        left: NDArray[np.bool_] = told <= self.thresholds[nodes, np.newaxis]
        missing = np.isnan(told)
        gaps = bool(missing.any())
        if self.zero_is_missing is not None:
            missing |= (np.abs(told) <= TINY) & self.zero_is_missing[nodes, np.newaxis]
            gaps = True
        if gaps:
            left = np.where(missing, self.missing_left[nodes, np.newaxis], left)
        if self._any_sets:
            of_sets = np.flatnonzero(self.set_of[nodes] != NO_SET)
            left[of_sets] = self._in_sets(nodes[of_sets], told[of_sets])
        return left

    @cached_property
    def _any_sets(self) -> bool:
        return bool((self.set_of != NO_SET).any())

    def _in_sets(self, nodes: NDArray[np.int64], codes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether codes (n_nodes, n) are in the nodes' sets; what no set knows is a gap.

        XGBoost, where strangers go left, takes what is below zero for one.
        """
        above = codes >= 0 if self.strangers_left else codes > -1
        known = above & (codes < self.sets.shape[1])
        numbers = np.where(known, codes, 0).astype(np.intp)  # towards zero, as the libraries do
        inside = self.sets[self.set_of[nodes, np.newaxis], numbers]
        elsewhere = self.missing_left[nodes, np.newaxis]
        if self.strangers_left:
            elsewhere = elsewhere | ~np.isnan(codes)
        return np.where(known, inside, elsewhere)

    def reached(self, columns: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the leaf that rows reach in each tree; int64 (n_trees, n_rows).

        Only the nodes on the way are asked: of a deep forest that is a small part.
        """
        rounded = self.rounded(columns)
        answer = np.zeros((self.n_trees, len(columns)), dtype=np.int64)
        tree, row = (each.ravel() for each in np.indices(answer.shape))
        node = tree.copy()  # the roots come first
        while len(node):
            ends = ~self.is_inner[node]
            answer[tree[ends], row[ends]] = self.numbers[node[ends]]
            tree, row, node = tree[~ends], row[~ends], node[~ends]
            inner = self.numbers[node]
            left = self._lets_left(inner, rounded[row, self.columns[inner], np.newaxis])[:, 0]
            node = self.children[node, np.where(left, 0, 1)]
        return answer

    def answers(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the trees add up to, (n_rows, n_outputs), added in the trees' order."""
        every = np.arange(self.n_trees)
        return self.total(self.values[self.reached(columns).T], self.tree_outputs, every)

    @cached_property
    def tree_outputs(self) -> NDArray[np.int64]:
        """The first output that each tree adds to, (n_trees,)."""
        first = np.empty(self.n_trees, dtype=np.int64)
        first[self.trees[~self.is_inner]] = self.outputs
        return first

    @cached_property
    def factors(self) -> NDArray[np.float64]:
        """What leaves add to the outputs from their own on, (n_leaves, n_values)."""
        return self.values * self.shares[self.trees[~self.is_inner], np.newaxis]

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """What trees' values are multiplied by before they are added up, (n_trees,)."""
        if self.sections is None or self.section_scales is None:
            return np.full(self.n_trees, 1 / self.scale)
        scales, weights = self.section_scales.T
        return np.repeat(weights / scales / self.scale, self.sections)

    def total(
        self,
        values: NDArray[np.float64],
        outputs: NDArray[np.int64],
        trees: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Return what values add up to, (n_rows, n_outputs), added one after the other.

        Parameters
        ----------
        values : float64 (n_rows, n_summands, n_values).
        outputs : int64 (n_summands,), the first output that each is added to.
        trees : int64 (n_summands,), ascending: the trees that they are of.
        """
        n_outputs, n_values = len(self.base), self.values.shape[1]
        total = np.zeros((len(values), n_outputs))
        if self.sections is not None and self.section_scales is not None:
            ends = np.searchsorted(trees, np.cumsum(self.sections))
            for part, (scale, weight) in zip(
                np.split(values, ends[:-1], axis=1), self.section_scales.tolist(), strict=True
            ):
                total += _added(part) / scale * weight
            return np.asarray(total / self.scale + self.base)
        for output in np.unique(outputs).tolist() if n_outputs > n_values else (0,):
            own = values if n_outputs == n_values else values[:, outputs == output]
            total[:, output : output + n_values] += _added(own)
        return np.asarray(total / self.scale + self.base)


def _added(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums (n_rows, n_values) of one summand after the other.

    `sum` would add a single row's in pairs, and differ from that of many rows.
    """
    return np.asarray(np.add.accumulate(values, axis=1)[:, -1])


def forest_of(
    trees: Sequence[Tree],
    base: NDArray[np.float64],
    *,
    scale: float = 1.0,
    rounding: Rounding = "none",
    missing: float = float("nan"),
    strangers_left: bool = False,
) -> Forest:
    """Bring trees into the order of levels."""
    sizes = np.array([len(tree.left) for tree in trees])
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    left = np.concatenate([_shifted(t.left, o) for t, o in zip(trees, offsets, strict=True)])
    right = np.concatenate([_shifted(t.right, o) for t, o in zip(trees, offsets, strict=True)])
    found, here = [], offsets
    while len(here):
        found.append(here)
        inner = here[left[here] >= 0]
        here = np.concatenate([left[inner], right[inner]])
    order = np.concatenate(found)
    is_inner = left[order] >= 0
    inner, leaves = order[is_inner], order[~is_inner]
    zero = [t.zero_is_missing for t in trees]
    flags = np.concatenate(
        [np.zeros(n, bool) if z is None else z for z, n in zip(zero, sizes, strict=True)]
    )
    sets, set_of = _sets(trees, offsets, int(sizes.sum()), beyond=strangers_left)
    of_tree = np.repeat(np.arange(len(trees)), sizes)
    outputs = np.array([tree.output for tree in trees])
    return Forest(
        n_trees=len(trees),
        is_inner=is_inner,
        columns=np.concatenate([t.columns for t in trees])[inner].astype(np.int32),
        thresholds=np.concatenate([t.thresholds for t in trees])[inner].astype(np.float64),
        missing_left=np.concatenate([t.missing_left for t in trees])[inner].astype(bool),
        zero_is_missing=flags[inner] if flags[inner].any() else None,
        sets=sets,
        set_of=set_of[inner],
        values=np.concatenate([t.values for t in trees])[leaves].astype(np.float64),
        outputs=outputs[of_tree[leaves]].astype(np.int32),
        base=np.asarray(base, dtype=np.float64),
        scale=float(scale),
        rounding=rounding,
        missing=missing,
        strangers_left=strangers_left,
    )


def _shifted(children: NDArray[np.int64], offset: int) -> NDArray[np.int64]:
    return np.asarray(np.where(children >= 0, children + offset, -1))


def _sets(
    trees: Sequence[Tree], offsets: NDArray[np.int64], n_nodes: int, *, beyond: bool
) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """All trees' sets of categories, equal in length, and which node has which.

    Parameters
    ----------
    beyond : whether codes beyond a set's own length go left.
    """
    set_of = np.full(n_nodes, NO_SET, dtype=np.int32)
    members: list[NDArray[np.bool_]] = []
    for tree, offset in zip(trees, offsets, strict=True):
        for node, codes in (tree.sets or {}).items():
            set_of[offset + node] = len(members)
            members.append(codes)
    width = max((len(codes) for codes in members), default=1)
    sets = np.full((len(members), width), beyond)
    for number, codes in enumerate(members):
        sets[number, : len(codes)] = codes
    return sets, set_of
