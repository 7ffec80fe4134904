"""Gaussian factors of many coalitions from a few exponentials.

The factor of a coalition is `exp(-sum of its players' distances)`. Coalitions agree on most of any
six players: among these they take at most 64 forms. So exponentials are taken of the forms only,
and a coalition's factor is a product of one row of every table, in a third of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAR", "Factors", "Forms", "Memory"]

GROUP = 6
"""Players that share a table of up to 2**6 forms."""

FAR = {"float32": 30.0, "float64": 60.0}
"""An exponent beyond which a factor is 0, by the kind of numbers. What is left then is far beyond
their digits, and products of what is left stay far above the smallest number."""


@dataclass(frozen=True, eq=False)
class Forms:
    """Coalitions as places in tables.

    Parameters
    ----------
    tables : per group of players, its forms: bool (n_forms, n_players of the group).
    places : int64 (n_groups, n_coalitions), each coalition's form.
    """

    tables: tuple[NDArray[np.bool_], ...]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, masks: NDArray[np.bool_]) -> Forms:
        """Find what groups of players look like in coalitions (n_coalitions, n_players).

        Few coalitions are fewer than forms: then they are a table by themselves.
        """
        tables, places = [], []
        for start in range(0, masks.shape[1], GROUP):
            group = masks[:, start : start + GROUP]
            codes, place = np.unique(np.packbits(group, axis=1)[:, 0], return_inverse=True)
            forms = np.unpackbits(codes[:, np.newaxis], axis=1, count=group.shape[1])
            tables.append(forms.astype(bool))
            places.append(place.ravel())
        if sum(map(len, tables)) >= len(masks):
            return cls((masks,), np.arange(len(masks))[np.newaxis])
        return cls(tuple(tables), np.stack(places))

    def numbers(self, n_pairs: int) -> int:
        """How many numbers the tables of so many pairs hold."""
        return n_pairs * sum(map(len, self.tables))


class Memory:
    """Arrays that are used again: the system fills every new large one with zeros first.

    Parameters
    ----------
    n_arrays : of one shape.
    """

    def __init__(self, n_arrays: int) -> None:
        self._n_arrays = n_arrays
        self._flat: NDArray[Any] = np.empty((n_arrays, 0))

    def of(self, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
        """Return arrays (n_arrays, *shape), their content arbitrary."""
        size = math.prod(shape)
        if self._flat.dtype != kind or self._flat.shape[1] < size:
            self._flat = np.empty((self._n_arrays, size), kind)
        return self._flat[:, :size].reshape(self._n_arrays, *shape)


class Factors:
    """Tables of factors over some pairs of points.

    Parameters
    ----------
    forms : of the coalitions.
    distances : float64 (n_players, n_pairs), not negative.
    kind : of numbers, float32 or float64.
    """

    def __init__(self, forms: Forms, distances: NDArray[np.float64], kind: Any) -> None:
        far, start = FAR[np.dtype(kind).name], 0
        self.tables: list[NDArray[Any]] = []
        for table in forms.tables:
            some = distances[start : start + table.shape[1]]
            start += table.shape[1]
            each = np.exp(-np.minimum(some, 2 * far)).astype(kind)
            each[some > far] = 0.0
            self.tables.append(_products(table, each, kind(math.exp(-far))))

    def scale(self, weights: NDArray[np.float64]) -> None:
        """Multiply the factors of all coalitions by weights (n_pairs,)."""
        self.tables[0] *= weights.astype(self.tables[0].dtype)

    def at(self, places: NDArray[np.int64], memory: Memory | None = None) -> NDArray[Any]:
        """Return the factors (n_some, n_pairs) of coalitions by their places (n_groups, n_some).

        Parameters
        ----------
        memory : that the answer is written into, until the next one is.
        """
        shape = places.shape[1], self.tables[0].shape[1]
        answer: NDArray[Any]
        answer, each = (memory or Memory(2)).of(shape, self.tables[0].dtype)
        first, *others = zip(self.tables, places, strict=True)
        first[0].take(first[1], axis=0, out=answer, mode="clip")
        for table, place in others:
            answer *= table.take(place, axis=0, out=each, mode="clip")
        return answer


def _products(forms: NDArray[np.bool_], each: NDArray[Any], least: Any) -> NDArray[Any]:
    """Products of the players' factors (n_players, n_pairs) in each form, (n_forms, n_pairs).

    Parameters
    ----------
    least : what is less counts as 0.
    """
    n_players = len(each)
    if n_players > GROUP:  # coalitions by themselves
        answer = np.ones((len(forms), each.shape[1]), each.dtype)
        for player, factors in enumerate(each):
            answer[forms[:, player]] *= factors
            answer[answer < least] = 0.0
        return answer
    products = np.empty((1 << n_players, each.shape[1]), each.dtype)
    products[0] = 1.0
    may_vanish = each.size and float(each.min()) ** n_players < least
    # The last player's bit is the lowest, as in the codes that forms are sorted by.
    for player, factors in enumerate(reversed(each)):  # those of more players from those of fewer
        fewer, more = products[: 1 << player], products[1 << player : 2 << player]
        np.multiply(fewer, factors, out=more)
        if may_vanish:
            more[more < least] = 0.0
    wanted = forms @ (1 << np.arange(n_players)[::-1])
    if np.array_equal(wanted, np.arange(len(products))):
        return products
    return products[wanted]
