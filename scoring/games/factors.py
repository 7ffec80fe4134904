"""Gaussian factors of many coalitions from a few exponentials.

The factor of a coalition is `exp(-sum of its players' distances)`. Coalitions agree on most of any
six players: among these they take at most 64 forms. So exponentials are taken of the forms only,
and a coalition's factor is a product of one row of every table, in a third of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAR", "Factors", "Forms"]

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
            exponents = (table.astype(np.float64) @ -np.minimum(some, 2 * far)).astype(kind)
            lost = exponents < -far
            np.exp(exponents, out=exponents)
            exponents[lost] = 0.0
            self.tables.append(exponents)

    def at(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """Return the factors (n_some, n_pairs) of coalitions by their places (n_groups, n_some)."""
        first, *others = zip(self.tables, places, strict=True)
        answer: NDArray[Any] = first[0].take(first[1], axis=0)
        for table, place in others:
            answer *= table.take(place, axis=0)
        return answer
