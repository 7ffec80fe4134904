"""Gzip in pieces of bounded size: a few bytes may stand for very many."""

from __future__ import annotations

import zlib

from service.errors import BrokenEncoding, DecodedTooLarge

__all__ = ["Gunzip"]

_PIECE = 256 * 1024  # decompressed in less than a millisecond
_FILES = 64  # that may follow each other in a body; each has its cost, even an empty one
_WINDOW = 16 + zlib.MAX_WBITS  # what zlib calls gzip


class Gunzip:
    """Decompresses what is fed; gzip files that follow each other are one, as gzip has it.

    Parameters
    ----------
    max_bytes : how many may come out.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._n_bytes = max_bytes, 0
        self._file = zlib.decompressobj(_WINDOW)
        self._rest, self._n_files = b"", 1
        self._empty = True

    def feed(self, chunk: bytes) -> None:
        """Take compressed bytes."""
        self._rest += chunk

    def piece(self) -> bytes:
        """Return the next decompressed bytes; none where more has to be fed first.

        Raises
        ------
        BrokenEncoding
            It is not gzip, or too many files of it.
        DecodedTooLarge
            More came out than may.
        """
        piece = b""
        while self._rest and not piece:
            if self._file.eof:
                self._n_files += 1
                if self._n_files > _FILES:
                    raise BrokenEncoding
                self._file = zlib.decompressobj(_WINDOW)
            try:
                piece = self._file.decompress(self._rest, _PIECE)
            except zlib.error:
                raise BrokenEncoding from None
            self._empty = False
            self._rest = self._file.unused_data if self._file.eof else self._file.unconsumed_tail
        if not piece and not self._empty and not self._file.eof:
            piece = self._file.decompress(b"", _PIECE)  # what the last piece had no room for
        self._n_bytes += len(piece)
        if self._n_bytes > self._max_bytes:
            raise DecodedTooLarge(self._max_bytes)
        return piece

    def check_whole(self) -> None:
        """Refuse what ends in the middle.

        Raises
        ------
        BrokenEncoding
        """
        if not self._file.eof:
            raise BrokenEncoding
