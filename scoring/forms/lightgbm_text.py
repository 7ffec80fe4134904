"""LightGBM's model text, checked before LightGBM reads it: on a malformed one it ends the process.

The grammar here is narrower than LightGBM's own: exactly what its `model_to_string` writes, for
trees with constant leaves. Lines of numbers are checked against each other, and the branches like
any other tree's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scoring.forms.refused import Unsound
from scoring.forms.trees import check_branches, check_range

__all__ = ["check_lightgbm"]

HEADER = ("num_class", "num_tree_per_iteration", "max_feature_idx", "tree_sizes")
LINE = re.compile(r"([a-z_]+)=([-+.\deinfa ]*)")
PER_BRANCH = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
OPTIONAL = ("split_gain", "internal_value", "internal_weight", "internal_count")
PER_LEAF = ("leaf_value", "leaf_weight", "leaf_count")
SINGLE = ("num_leaves", "num_cat", "is_linear", "shrinkage")
CATEGORICAL = ("cat_boundaries", "cat_threshold")


def check_lightgbm(text: str) -> None:
    """Check a model's text.

    Raises
    ------
    Unsound
        Anything but trees that LightGBM wrote.
    """
    head, _, _ = text.partition("\n\n")
    pairs = [line.partition("=")[::2] for line in head.split("\n")]
    header = dict(pairs)
    if (
        len(header) < len(pairs)
        or head[:15] != "tree\nversion=v4"
        or not set(HEADER) <= set(header)
    ):
        raise Unsound("a LightGBM model's header is not in order")
    if not all(re.fullmatch(r"\d{1,9}( \d{1,9})*", header[name]) for name in HEADER):
        raise Unsound("a LightGBM model's header has something else than numbers")
    _, per_round, last, sizes = ([int(n) for n in header[name].split()] for name in HEADER)
    n_features = last[0] + 1
    if not per_round[0] or len(sizes) % per_round[0]:
        raise Unsound("a LightGBM model has an incomplete round of trees")
    data, start = text.encode(), len(head.encode()) + 2
    for index, size in enumerate(sizes):
        first, *lines = data[start : start + size].decode(errors="replace").rstrip("\n").split("\n")
        if first != f"Tree={index}":
            raise Unsound("a LightGBM model's trees do not start where it says")
        _check_tree(_numbers(lines), n_features)
        start += size
    if not data[start:].startswith(b"end of trees\n") or b"\nTree=" in data[start:]:
        raise Unsound("a LightGBM model has more trees than it says")


def _numbers(lines: list[str]) -> dict[str, NDArray[np.float64]]:
    """The lines of one tree, `name=number number ...`."""
    fields: dict[str, NDArray[np.float64]] = {}
    known = {*PER_BRANCH, *OPTIONAL, *PER_LEAF, *SINGLE, *CATEGORICAL}
    for line in lines:
        match = LINE.fullmatch(line)
        if match is None or match[1] in fields or match[1] not in known:
            raise Unsound("a LightGBM tree has a line that is not understood")
        try:
            fields[match[1]] = np.array([float(word) for word in match[2].split()])
        except ValueError:
            raise Unsound("a LightGBM tree has a line that is not understood") from None
    if missing := {*PER_BRANCH, *SINGLE, "leaf_value"} - fields.keys():
        raise Unsound(f"a LightGBM tree lacks {min(missing)}")
    return fields


def _check_tree(fields: Mapping[str, NDArray[np.float64]], n_features: int) -> None:
    if any(len(fields[name]) != 1 for name in SINGLE) or fields["is_linear"][0] != 0:
        raise Unsound("a LightGBM tree has linear leaves, or is not in order")
    n_leaves, n_sets = int(fields["num_leaves"][0]), int(fields["num_cat"][0])
    lengths = dict.fromkeys((*PER_BRANCH, *OPTIONAL), n_leaves - 1) | {"leaf_value": n_leaves}
    for name, length in lengths.items():
        if name in fields and len(fields[name]) != length:
            raise Unsound(f"a LightGBM tree has {name} of another length than its leaves need")
    if n_leaves < 1 or any(len(fields[n]) > n_leaves for n in PER_LEAF if n in fields):
        raise Unsound("a LightGBM tree has no leaves, or more numbers than leaves")
    check_range(_whole(fields["split_feature"]), n_features, "a LightGBM tree tests features")
    # A child below zero is the leaf ~child. Numbered as nodes, leaves follow the branches.
    n_branches = n_leaves - 1
    sides = [_whole(fields[name]) for name in ("left_child", "right_child")]
    as_nodes = [np.where(side < 0, n_branches + ~side, side) for side in sides]
    check_branches(n_branches + n_leaves, np.arange(n_branches), as_nodes)
    kinds = _whole(fields["decision_type"])
    check_range(kinds, 16, "a LightGBM tree has kinds of tests")
    if n_sets or (kinds & 1).any():
        _check_sets(fields, n_sets, _whole(fields["threshold"][kinds & 1 == 1]))


def _check_sets(
    fields: Mapping[str, NDArray[np.float64]], n_sets: int, used: NDArray[np.int64]
) -> None:
    """Categorical tests name a set, and a set is a stretch of words between two boundaries."""
    bounds, words = (_whole(fields.get(name, np.zeros(0))) for name in CATEGORICAL)
    check_range(used, n_sets, "a LightGBM tree has sets of categories")
    in_order = len(bounds) == n_sets + 1 and bounds[0] == 0 and (np.diff(bounds) >= 0).all()
    if not in_order or bounds[-1] != len(words):
        raise Unsound("a LightGBM tree's sets of categories do not fit each other")


def _whole(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    if not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any():
        raise Unsound("a LightGBM tree has an index that is not a whole number")
    return numbers.astype(np.int64)
