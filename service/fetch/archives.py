"""Packed artifacts: files and directories that stay inside, and nothing else.

Python unpacks, and a member at a time: what would be written is looked at first. An archive that
is refused has written nothing outside the directory that is thrown away with it.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from service.fetch.pieces import PIECE, Allowance, copy
from service.fetch.refused import CannotFetch

__all__ = ["unpack"]

MOST_MEMBERS = 10_000
ZIPPED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpack(archive: Path, ending: str, directory: Path, most: int) -> None:
    """Unpack an archive.

    Parameters
    ----------
    ending : the kind of archive.
    directory : an empty one, which is all that is written to.
    most : bytes that it may have when unpacked.

    Raises
    ------
    CannotFetch
    """
    allowance = Allowance(most, "what the archive holds")
    with _sound():
        if ending == ".zip":
            _unpack_zip(archive, directory, allowance)
        elif ending == ".tar":
            _unpack_tar(archive, directory, allowance)
        else:
            plain = archive.with_name("plain.tar")
            with gzip.open(archive) as packed, plain.open("xb") as target:
                # Headers and padding come on top of the files.
                room = Allowance(most + 2 * MOST_MEMBERS * tarfile.BLOCKSIZE, "the archive")
                copy(packed.read, target, room)
            _unpack_tar(plain, directory, allowance)


@contextmanager
def _sound() -> Iterator[None]:
    try:
        yield
    except (EOFError, RuntimeError, ValueError, gzip.BadGzipFile, tarfile.TarError,
            zipfile.BadZipFile, zlib.error):  # fmt: skip
        raise CannotFetch(
            "the archive is damaged, or of another kind than its name says."
        ) from None


def _unpack_tar(archive: Path, directory: Path, allowance: Allowance) -> None:
    with archive.open("rb") as stream, tarfile.open(fileobj=_Cautious(stream), mode="r:") as packed:
        for n, member in enumerate(packed, 1):
            _check_number(n)
            if member.isdir():
                _place(directory, member.name).mkdir(parents=True, exist_ok=True)
            elif member.isreg() and not member.issparse():
                content = packed.extractfile(member)
                if content is not None:
                    _write(content, _place(directory, member.name), allowance)
            else:
                raise CannotFetch("the archive holds a link or a device.")


def _unpack_zip(archive: Path, directory: Path, allowance: Allowance) -> None:
    with archive.open("rb") as stream, zipfile.ZipFile(_Cautious(stream)) as packed:
        for n, member in enumerate(packed.infolist(), 1):
            _check_number(n)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                _place(directory, member.filename).mkdir(parents=True, exist_ok=True)
                continue
            if kind not in (0, stat.S_IFREG) or member.compress_type not in ZIPPED:
                raise CannotFetch("the archive holds a link, or is packed in an unusual way.")
            with packed.open(member) as content:
                _write(content, _place(directory, member.orig_filename), allowance)


def _check_number(n: int) -> None:
    if n > MOST_MEMBERS:
        raise CannotFetch(f"the archive holds more than {MOST_MEMBERS:,} files.")


def _place(directory: Path, name: str) -> Path:
    """Where a member goes; only to inside the directory."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise CannotFetch("the archive holds a file that leaves its directory.")
    return directory / path


def _write(content: IO[bytes], place: Path, allowance: Allowance) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with place.open("xb") as target:
            copy(content.read, target, allowance)
    except FileExistsError:
        raise CannotFetch("the archive holds a file twice.") from None


class _Cautious(io.RawIOBase):
    """A file of which nobody reads more than a piece at a time.

    Both formats have fields that say how long a name or a list is, and Python reads as much into
    memory as they say.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, io.SEEK_END)
        stream.seek(0)

    def read(self, n: int = -1, /) -> bytes:
        rest = self._size - self._stream.tell()
        if n > PIECE or (n < 0 and rest > PIECE):
            raise CannotFetch("the archive has a header that is too large.")
        return self._stream.read(n)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
