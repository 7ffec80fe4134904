"""Bytes by the piece, and no more of them than was said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from service.fetch.refused import CannotFetch

__all__ = ["PIECE", "Allowance", "Readable", "copy"]

PIECE = 2**20


class Readable(Protocol):
    """What can be read from."""

    def read(self, n: int, /) -> bytes:
        """Return the next bytes."""
        ...


class Allowance:
    """How many bytes may still come.

    Parameters
    ----------
    most : bytes in all.
    what : what they are of, for who reads why there are too many.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most, self._left, self._what = most, most, what

    def take(self, n: int) -> None:
        """Count bytes.

        Raises
        ------
        CannotFetch
            They are too many.
        """
        self._left -= n
        if self._left < 0:
            raise CannotFetch(
                f"{self._what} is larger than the {self._most:,} bytes that it may have "
                "(--max-bytes)."
            )


def copy(source: Callable[[int], bytes], target: BinaryIO, allowance: Allowance) -> None:
    """Copy what `source` reads, as long as it is allowed.

    Raises
    ------
    CannotFetch
    """
    for piece in _pieces(source):
        allowance.take(len(piece))
        target.write(piece)


def _pieces(source: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := source(PIECE):
        yield piece
