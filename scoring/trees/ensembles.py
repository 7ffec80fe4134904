"""Averages of ensembles whose members are sums of trees: one forest for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.trees.forest import TINY, Forest, Tree, forest_of
from scoring.trees.unreadable import Unreadable

__all__ = ["Member", "averaged", "members_of"]


class Member(NamedTuple):
    """A member of an ensemble, which averages what they answer.

    Parameters
    ----------
    estimator : what is fitted.
    weight : what its answer is multiplied by.
    columns : int64, the ensemble's columns that it sees; None for all.
    outputs : int64, which of the ensemble's outputs its own are; None for all in order.
    """

    estimator: Any
    weight: float
    columns: NDArray[np.int64] | None = None
    outputs: NDArray[np.int64] | None = None


def members_of(estimator: Any, family: str, *, classification: bool) -> tuple[list[Member], float]:
    """The members of a Bagging or Voting, and what the sum of their answers is divided by.

    Raises
    ------
    Unreadable
    """
    fitted = list(estimator.estimators_)
    if family == "Bagging":
        features = estimator.estimators_features_
        outputs = [_classes(each) if classification else None for each in fitted]
        members = [
            Member(each, 1.0, np.asarray(columns, dtype=np.int64), places)
            for each, columns, places in zip(fitted, features, outputs, strict=True)
        ]
        return members, float(len(members))
    if classification and estimator.voting != "soft":
        raise Unreadable("its members vote with labels, which are no sum of leaves")
    given = estimator._weights_not_none  # noqa: SLF001 no public name
    weights = [1.0] * len(fitted) if given is None else [float(each) for each in given]
    return [Member(*pair) for pair in zip(fitted, weights, strict=True)], sum(weights)


def _classes(member: Any) -> NDArray[np.int64]:
    """A member learns the places of classes, and perhaps not all of them."""
    if not hasattr(member, "predict_proba"):
        raise Unreadable("its members vote with labels, which are no sum of leaves")
    return np.asarray(member.classes_, dtype=np.int64)


def averaged(
    forests: Sequence[Forest], members: Sequence[Member], total: float, n_outputs: int
) -> Forest:
    """Bring the members' forests together.

    Members of several trees stay sections of the sum: votes that tie are counted as the library
    counts them.

    Raises
    ------
    Unreadable
        Members that take other numbers for gaps.
    """
    if any(not np.isnan(each.missing) for each in forests):
        raise Unreadable("a member takes a number for a gap")
    kinds = {(each.rounding, each.strangers_left) for each in forests}
    if len(kinds) > 1:
        if any((each.set_of >= 0).any() for each in forests):
            raise Unreadable("its members treat categories in different ways")
        forests = [_unrounded(each) for each in forests]
    all_values = all(each.values.shape[1] == len(each.base) for each in forests)
    alone = all(each.n_trees == 1 and each.scale == 1 for each in forests)
    in_sections = all_values and not alone
    trees: list[Tree] = []
    sections: list[tuple[int, float, float]] = []
    base = np.zeros(n_outputs)
    for forest, member in zip(forests, members, strict=True):
        places = np.arange(n_outputs) if member.outputs is None else member.outputs
        base[places] += member.weight * forest.base / total
        told = _sections(forest, member.weight)
        sections += told
        shares = np.repeat([w / s for n, s, w in told], [n for n, _, _ in told])
        for tree, share in zip(_trees(forest), shares.tolist(), strict=True):
            factor = 1.0 if in_sections else member.weight if alone else share
            trees.append(_placed(tree, member, factor, places, n_outputs, wide=all_values))
    rounding, strangers_left = forests[0].rounding, forests[0].strangers_left
    answer = forest_of(trees, base, scale=total, rounding=rounding, strangers_left=strangers_left)
    if not in_sections:
        return answer
    counts = np.array([n for n, _, _ in sections])
    scales = np.array([pair for _, *pair in sections])
    return replace(answer, sections=counts, section_scales=scales)


def _sections(forest: Forest, weight: float) -> list[tuple[int, float, float]]:
    """How many trees, what their sum is divided by, and what then multiplied by."""
    if forest.sections is None or forest.section_scales is None:
        return [(forest.n_trees, forest.scale, weight)]
    told = zip(forest.sections.tolist(), forest.section_scales.tolist(), strict=True)
    return [(n, scale, each * weight / forest.scale) for n, (scale, each) in told]


def _placed(
    tree: Tree,
    member: Member,
    factor: float,
    places: NDArray[np.int64],
    n_outputs: int,
    *,
    wide: bool,
) -> Tree:
    """A member's tree as the ensemble's: its columns and outputs are among the ensemble's."""
    columns = tree.columns if member.columns is None else member.columns[tree.columns]
    values, output = factor * tree.values, int(places[tree.output])
    if wide:  # one value for each of the ensemble's outputs
        every = np.zeros((len(values), n_outputs))
        every[:, places] = values
        values, output = every, 0
    elif values.shape[1] > 1 and len(places) != n_outputs:
        raise Unreadable("its members have other outputs")
    return replace(tree, columns=columns, values=values, output=output)


def _trees(forest: Forest) -> list[Tree]:
    """A forest's trees one by one."""
    order = np.argsort(forest.trees, kind="stable")
    counts = np.bincount(forest.trees, minlength=forest.n_trees)
    place = np.empty_like(order)  # of a node within its tree
    place[order] = np.concatenate([np.arange(n) for n in counts.tolist()])
    return [_tree(forest, nodes, place) for nodes in np.split(order, np.cumsum(counts)[:-1])]


def _tree(forest: Forest, nodes: NDArray[np.int64], place: NDArray[np.int64]) -> Tree:
    """One tree; the root comes first."""
    inner = forest.is_inner[nodes]
    tests, leaves = forest.numbers[nodes[inner]], forest.numbers[nodes[~inner]]
    n_values = forest.values.shape[1]
    left, right = np.full((2, len(nodes)), -1)
    left[inner], right[inner] = place[forest.children[nodes[inner]]].T
    columns, thresholds = np.zeros(len(nodes), dtype=np.int64), np.zeros(len(nodes))
    columns[inner], thresholds[inner] = forest.columns[tests], forest.thresholds[tests]
    missing, zero = np.zeros((2, len(nodes)), dtype=bool)
    missing[inner] = forest.missing_left[tests]
    if forest.zero_is_missing is not None:
        zero[inner] = forest.zero_is_missing[tests]
    values = np.zeros((len(nodes), n_values))
    values[~inner] = forest.values[leaves]
    set_of = np.full(len(nodes), -1)
    set_of[inner] = forest.set_of[tests]
    sets = {n: forest.sets[set_of[n]] for n in np.flatnonzero(set_of >= 0).tolist()}
    output = int(forest.outputs[leaves[0]])
    return Tree(left, right, columns, thresholds, missing, values, output, sets, zero)


def _unrounded(forest: Forest) -> Forest:
    """The same forest with thresholds that numbers are compared with as they are."""
    limits = forest.thresholds
    if forest.rounding == "single":
        limits = _largest_that_rounds_to(limits)
    elif forest.rounding == "tiny":
        near = np.abs(limits) <= TINY
        below = np.nextafter(-TINY, -np.inf)
        limits = np.where(near, np.where(limits >= 0, TINY, below), limits)
    return replace(forest, thresholds=limits, rounding="none", strangers_left=False)


def _largest_that_rounds_to(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest numbers whose single-precision neighbours are at most the thresholds."""
    with np.errstate(over="ignore"):
        single = thresholds.astype(np.float32)
        single = np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)
        above = np.nextafter(single, np.float32(np.inf)).astype(np.float64)
        largest = float(np.finfo(np.float32).max)
        above = np.where(np.isinf(above), 2.0**128, above)  # where single precision ends
        middle = single.astype(np.float64) / 2 + above / 2
        beyond = middle.astype(np.float32).astype(np.float64) > thresholds
    limits = np.where(beyond, np.nextafter(middle, -np.inf), middle)
    return np.where(np.isinf(thresholds) | (thresholds < -largest), thresholds, limits)
