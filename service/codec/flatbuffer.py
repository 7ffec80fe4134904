"""The little of FlatBuffers that Arrow's messages need: tables, texts and vectors, by bounds.

Everything is read from one `bytes` object at places that are checked first, so that a hostile
message can be wrong but not do harm.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["BrokenBuffer", "FlatTable", "root"]


class BrokenBuffer(ValueError):
    """Something points to where nothing is."""


@dataclass(frozen=True)
class FlatTable:
    """A table: fields by number, each of them there or not.

    Parameters
    ----------
    data : the whole buffer.
    place : where the table starts.
    """

    data: bytes
    place: int

    def _field(self, number: int) -> int | None:
        """Where a field is; None where it has its default."""
        vtable = self.place - _number("<i", self.data, self.place)
        offset = 0
        if 4 + 2 * number < _number("<H", self.data, vtable):
            offset = _number("<H", self.data, vtable + 4 + 2 * number)
        return self.place + offset if offset else None

    def number(self, number: int, kind: str, default: int = 0) -> int:
        """Return a scalar; `kind` is `struct`'s letter for it."""
        place = self._field(number)
        return default if place is None else _number("<" + kind, self.data, place)

    def table(self, number: int) -> FlatTable | None:
        """Return a table."""
        place = self._field(number)
        return None if place is None else FlatTable(self.data, _target(self.data, place))

    def text(self, number: int) -> str:
        """Return a text; '' where there is none."""
        start, length = self._vector(number, 1)
        try:
            return self.data[start : start + length].decode("utf-8")
        except UnicodeDecodeError:
            raise BrokenBuffer from None

    def count(self, number: int) -> int:
        """Return how many tables a vector has."""
        return self._vector(number, 4)[1]

    def tables(self, number: int) -> list[FlatTable]:
        """Return a vector of tables."""
        start, length = self._vector(number, 4)
        return [FlatTable(self.data, _target(self.data, start + 4 * j)) for j in range(length)]

    def pairs(self, number: int) -> list[tuple[int, int]]:
        """Return a vector of structs, each of two 64-bit integers."""
        start, length = self._vector(number, 16)
        return list(struct.iter_unpack("<qq", self.data[start : start + 16 * length]))

    def longs(self, number: int) -> list[int]:
        """Return a vector of 64-bit integers."""
        start, length = self._vector(number, 8)
        return [
            value for (value,) in struct.iter_unpack("<q", self.data[start : start + 8 * length])
        ]

    def _vector(self, number: int, width: int) -> tuple[int, int]:
        """Where a vector's items start, and how many there are, all of them within the buffer."""
        place = self._field(number)
        if place is None:
            return 0, 0
        start = _target(self.data, place)
        length = _number("<I", self.data, start)
        if start + 4 + length * width > len(self.data):
            raise BrokenBuffer
        return start + 4, length


def root(data: bytes) -> FlatTable:
    """Return the table that a buffer is about."""
    return FlatTable(data, _target(data, 0))


def _target(data: bytes, place: int) -> int:
    return place + _number("<I", data, place)


def _number(kind: str, data: bytes, place: int) -> int:
    if not 0 <= place <= len(data) - struct.calcsize(kind):
        raise BrokenBuffer
    value: int = struct.unpack_from(kind, data, place)[0]
    return value
