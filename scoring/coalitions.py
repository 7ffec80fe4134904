"""Coalition designs: which sets of features are asked about, and how much each answer weighs.

Written as masks, `True` where a feature is present. The empty and the full coalition are never
in a design: every solver takes both as given. Every coalition is followed by its complement, and
the sizes are mixed, so that the first part of a design is a smaller design of the same kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError

__all__ = [
    "ENUMERATED_FEATURES",
    "Design",
    "all_coalitions",
    "complete",
    "default_coalitions",
    "existing",
    "kernel_weights",
    "sample",
]

ENUMERATED_FEATURES = 12
"""Up to this many features every coalition is asked about, and the values are exact."""


@dataclass(frozen=True, eq=False)
class Design:
    """A fixed set of coalitions.

    Parameters
    ----------
    masks : bool (n_coalitions, n_features).
    weights : float64 (n_coalitions,), of the least-squares problem.
    exact : whether these are all coalitions.
    seed : what it was drawn with; 0 where nothing was drawn.
    """

    masks: NDArray[np.bool_]
    weights: NDArray[np.float64]
    exact: bool
    seed: int = 0

    @property
    def n_coalitions(self) -> int:
        """How many coalitions the design asks about."""
        return int(self.masks.shape[0])


def default_coalitions(n_features: int) -> int:
    """How many coalitions a design has when nobody says: shap's own rule."""
    return 2 * n_features + 2048


def all_coalitions(n_features: int) -> Design:
    """Return every coalition but the empty and the full one."""
    codes = np.arange(1, 2**n_features - 1)
    masks = (codes[:, np.newaxis] >> np.arange(n_features)) & 1 == 1  # (n_coalitions, n_features)
    sizes = masks.sum(axis=1)
    # Of two complements the smaller; of two equally large ones that with the first feature.
    half = masks[(2 * sizes < n_features) | ((2 * sizes == n_features) & masks[:, 0])]
    half = half[np.random.default_rng(0).permutation(len(half))]
    paired = _paired(half)
    return Design(paired, kernel_weights(paired), exact=True)


def kernel_weights(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of each coalition in the Shapley kernel's weight of its size.

    Parameters
    ----------
    masks : bool (n_coalitions, n_features), neither empty nor full.
    """
    n_features, sizes = masks.shape[1], masks.sum(axis=1)
    weights: NDArray[np.float64] = (n_features - 1) / (sizes * (n_features - sizes))
    return np.asarray(weights / np.bincount(sizes, minlength=n_features + 1)[sizes])


def complete(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return for each coalition whether all of its size are there; (n_coalitions,)."""
    n_features, sizes = masks.shape[1], masks.sum(axis=1)
    there = np.bincount(sizes, minlength=n_features + 1).tolist()
    whole = [n == existing(n_features, size, n + 1) for size, n in enumerate(there)]
    return np.asarray(np.array(whole)[sizes])


def existing(n_features: int, size: int, most: int) -> int:
    """Count the coalitions of one size, up to as many as matter: the whole number may be huge."""
    n = 1
    for place in range(min(size, n_features - size)):
        n = n * (n_features - place) // (place + 1)
        if n >= most:
            return most
    return min(n, most)


def sample(n_features: int, n_coalitions: int, seed: int = 0) -> Design:
    """Draw a design in complement pairs, without repeats.

    Sizes get equal shares, which is sampling by leverage scores (Musco and Witter, "Provably
    accurate Shapley value estimation via leverage score sampling", 2024, section 3); a size with
    fewer coalitions than its share is enumerated and leaves the rest to the others. A sampled
    coalition carries the kernel weight of those of its size that were not drawn.

    Parameters
    ----------
    n_coalitions : rounded down to even; from 2**n_features - 2 on, all coalitions.

    Raises
    ------
    ParameterError
        Fewer coalitions than the values can be solved from.
    """
    if n_coalitions >= 2**n_features - 2:
        return all_coalitions(n_features)
    if n_coalitions < 2 * n_features:
        rule = f"must be at least {2 * n_features}, twice the number of features"
        raise ParameterError("n_coalitions", rule)
    rng = np.random.default_rng(seed)
    sizes = np.arange(1, n_features // 2 + 1)
    counts = _pairs_per_size(n_features, n_coalitions // 2)
    drawn = [
        _draw(n_features, int(size), int(count), rng)
        for size, count in zip(sizes, counts, strict=True)
        if count
    ]
    masks = _paired(np.concatenate(drawn))
    return Design(masks, kernel_weights(masks), exact=False, seed=seed)


def _paired(half: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The smaller of each pair (n_pairs, n_features) and its complement, the sizes mixed.

    Single features come first. Every other size is spread evenly over the rest.
    """
    sizes = half.sum(axis=1)
    place = np.empty(len(half))
    for size in np.unique(sizes):
        of_size = np.flatnonzero(sizes == size)
        place[of_size] = (np.arange(len(of_size)) + 0.5) / len(of_size) if size > 1 else 0.0
    half = half[np.argsort(place, kind="stable")]
    return np.stack([half, ~half], axis=1).reshape(-1, half.shape[1])


def _pairs_per_size(n_features: int, n_pairs: int) -> NDArray[np.int64]:
    """Equal shares over the sizes 1..n/2, no share above the pairs that exist; (n/2,) counts."""
    sizes = range(1, n_features // 2 + 1)
    share = np.array([1.0 if 2 * size != n_features else 0.5 for size in sizes])
    exists = np.array(
        [
            int(existing(n_features, s, 2 * n_pairs + 2) * u)
            for s, u in zip(sizes, share, strict=True)
        ]
    )
    counts = np.zeros(len(share), dtype=np.int64)
    room = np.full(len(share), True)
    while (left := n_pairs - int(counts.sum())) > 0:
        wanted = left * share * room / (share * room).sum()
        room_left = np.minimum(exists - counts, n_pairs).astype(np.int64)
        step = np.minimum(np.floor(wanted).astype(np.int64), room_left)
        if not step.any():  # less than one pair for each: the smallest sizes weigh most
            step = (room & (np.cumsum(room) <= left)).astype(np.int64)
        counts += step
        room = counts < exists
    return counts


def _draw(n_features: int, size: int, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw distinct coalitions of one size, no two of them complements; (count, n_features)."""
    paired = 2 * size == n_features
    total = existing(n_features, size, 4 * count + 4) // (2 if paired else 1)
    if 2 * count >= total:
        members = np.array(list(combinations(range(n_features), size)))[:total]
        masks = np.zeros((total, n_features), dtype=bool)
        np.put_along_axis(masks, members, True, axis=1)
        return masks[np.sort(rng.permutation(total)[:count])]
    kept = np.empty((0, n_features), dtype=bool)
    while len(kept) < count:
        order = rng.random((2 * (count - len(kept)), n_features)).argsort(axis=1)
        masks = order < size  # the ranks below `size` mark a uniform subset
        if paired:
            masks ^= ~masks[:, :1]  # of two complements, the one that holds the first feature
        both = np.concatenate([kept, masks])
        _, first = np.unique(np.packbits(both, axis=1), axis=0, return_index=True)
        kept = both[np.sort(first)]
    return kept[:count]
