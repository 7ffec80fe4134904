"""Which masked rows are equal, told without making them.

A masked row takes each feature from the row or from the background. So the sum of a fingerprint
of every (feature, value) is a part that the row brings and one that the background brings, both
matrix products with the masks: a key costs one addition. Where a row equals its background row on
a feature, the mask says nothing there; where it equals all of them, to no masked row; and
background rows that are equal where the row is absent are one. All of this is equal keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEY_BYTES", "MOST_KEYS", "Distinct", "distinct", "repeat_much"]

MOST_KEYS = 1 << 20
"""Masked rows that are held against each other at a time: their places have to fit in a key."""

KEY_BYTES = 80
"""What one of them takes meanwhile."""

PLACE = np.uint64(MOST_KEYS - 1)
"""The bits of a sorted key that say where it came from."""

PAIRS, COALITIONS = 16, 64
"""Of a row with a background row, and coalitions: how many a look is taken at."""

WORTH = 1 / 16
"""Which share of masked rows has to be repeats for all of them to be sought. Seeking takes a tenth
of a microsecond a masked row, and few models that are asked themselves take less than one."""

FEW = 1 / 8
"""Of the features: where a row agrees with a background row on fewer, a sampled design has next to
no coalitions that differ in these alone."""

SALTS = (0, 1 << 20)


@dataclass(frozen=True, eq=False)
class Distinct:
    """Masked rows (n_rows, n_coalitions, n_background), each but once.

    Parameters
    ----------
    places : int64 (n_distinct,), the first of each kind among all of them, in their order.
    kinds : int64 (n_rows, n_coalitions, n_background), which of the distinct ones each is.
    """

    places: NDArray[np.int64]
    kinds: NDArray[np.int64]


def repeat_much(
    rows: NDArray[np.float64], masks: NDArray[np.bool_], known: NDArray[np.float64]
) -> bool:
    """Whether so many masked rows are equal that it pays to find out which.

    Looked at are all coalitions of a few pairs of rows, those that agree the most and the least
    among them, and all background rows in a few coalitions. Where nothing agrees, that is seen
    at once.

    Parameters
    ----------
    rows, known : float64 (n_rows, n_features) and (n_background, n_features).
    masks : bool (n_coalitions, n_features).
    """
    if not (rows.size and masks.size and known.size):
        return False
    of_known = _fingerprints(known, 0)
    if _repeated(of_known.T) > 0:
        some = np.random.default_rng(0).permutation(len(masks))[:COALITIONS]
        if _repeated(_sums(~masks[some], of_known)) >= WORTH:
            return True
    r = np.linspace(0, len(rows) - 1, min(len(rows), PAIRS)).astype(np.intp)
    of_rows = _fingerprints(rows[r], 0)
    agree = (of_rows[:, np.newaxis] == of_known).sum(axis=2).ravel()  # (rows, background)
    n_pairs = min(PAIRS, len(agree))
    spread = ((np.arange(n_pairs) + 0.5) * len(agree) / n_pairs).astype(np.intp)
    pairs = np.argsort(agree, kind="stable")[spread]
    left = masks.shape[1] - agree[pairs]
    pairs = pairs[(left < masks.shape[1] * (1 - FEW)) | (len(masks) > 2.0**left)]
    if not len(pairs):
        return False
    x, b = of_rows[pairs // len(known)], of_known[pairs % len(known)]
    repeated = _repeated((_sums(masks, x) + _sums(~masks, b)).T)
    return repeated * len(pairs) / n_pairs >= WORTH


def distinct(
    rows: NDArray[np.float64], masks: NDArray[np.bool_], known: NDArray[np.float64]
) -> Distinct | None:
    """Find the masked rows that differ, at most `MOST_KEYS` of all.

    Two missing values are equal; 0 and -0 are not, as a model may tell them apart.

    Parameters
    ----------
    rows, masks, known : as in `repeat_much`.

    Returns
    -------
    None in the one case of some thousand blocks in which keys of different rows begin the same.
    """
    keys = _keys(rows, masks, known, SALTS[0])
    shape, n = keys.shape, keys.size
    ordered = (keys.ravel() & ~PLACE) | np.arange(n, dtype=np.uint64)
    ordered.sort()  # values alone, which takes half of the time of places beside them
    place = (ordered & PLACE).astype(np.int64)
    ordered &= ~PLACE
    new = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    first = np.empty(n, dtype=np.int64)
    first[place] = np.repeat(place[new], np.diff(np.append(new, n)))
    # The 44 bits that were sorted by and 64 others make 108 that are equal, or it is no repeat.
    others = _keys(rows, masks, known, SALTS[1]).ravel()
    if (others[first] != others).any():
        return None
    is_first = first == np.arange(n)
    return Distinct(np.flatnonzero(is_first), (is_first.cumsum() - 1)[first].reshape(shape))


def _keys(
    rows: NDArray[np.float64], masks: NDArray[np.bool_], known: NDArray[np.float64], salt: int
) -> NDArray[np.uint64]:
    """A key (n_rows, n_coalitions, n_background) for every masked row."""
    present = _sums(masks, _fingerprints(rows, salt)).T
    return np.asarray(present[:, :, np.newaxis] + _sums(~masks, _fingerprints(known, salt)))


def _fingerprints(codes: NDArray[np.float64], salt: int) -> NDArray[np.uint64]:
    """A number for each feature's each value, as if drawn: uint64 (n_rows, n_features).

    The output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", 2014) of the value's bits and the feature's place.
    """
    plain = np.where(np.isnan(codes), np.nan, codes)  # one NaN for all of them
    bits: NDArray[np.uint64] = plain.view(np.uint64)
    place = np.arange(salt + 1, salt + 1 + codes.shape[1], dtype=np.uint64)
    bits = np.add(bits, place * np.uint64(0x9E3779B97F4A7C15), dtype=np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))


def _sums(masks: NDArray[np.bool_], fingerprints: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Of the fingerprints in each coalition, modulo 2**64: (n_coalitions, n_points).

    As two products of halves, which float64 holds without rounding.
    """
    mask = masks.astype(np.float64)
    half = np.uint64(32)
    low = mask @ (fingerprints & np.uint64(0xFFFFFFFF)).T.astype(np.float64)
    high = mask @ (fingerprints >> half).T.astype(np.float64)
    return np.asarray(low.astype(np.uint64) + (high.astype(np.uint64) << half))


def _repeated(keys: NDArray[np.uint64]) -> float:
    """Which share of keys (n_lines, n) was there before in its line."""
    ordered = np.sort(keys, axis=1)
    return float((ordered[:, 1:] == ordered[:, :-1]).sum() / keys.size)
