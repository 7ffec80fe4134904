"""Columns that lie one after the other in one list, as a mapping of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["FlatColumns"]


class FlatColumns(Mapping[str, Sequence[Any]]):
    """Columns by name; a list of each is made only where it is asked for.

    Parameters
    ----------
    names : of the columns, in their order.
    flat : their values, (n_columns * n_rows,).
    """

    __slots__ = ("flat", "names")

    def __init__(self, names: Sequence[str], flat: list[Any]) -> None:
        self.names, self.flat = names, flat

    def __getitem__(self, name: str) -> Sequence[Any]:
        if name not in self.names:
            raise KeyError(name)
        n_rows = len(self.flat) // len(self.names)
        start = self.names.index(name) * n_rows
        return self.flat[start : start + n_rows]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
