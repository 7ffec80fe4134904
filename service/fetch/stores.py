"""Files to read, wherever they are; fsspec knows how to ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from service.fetch.refused import CannotFetch
from service.fetch.uri import WEB, Uri

__all__ = ["Store", "reading"]

EXTRAS = {"s3": "s3", "gs": "gs", "az": "az"}


class Store:
    """Where the files of one URI are."""

    def __init__(self, uri: Uri) -> None:
        self._uri = uri
        try:
            self._files = _file_system(uri)
        except ImportError as exc:
            extra = EXTRAS.get(uri.scheme, "fetch")
            raise CannotFetch(
                f"{exc.name or 'a library'} is not installed here: pip install "
                f"'shapserve[{extra}]', or build the image with --build-arg EXTRAS='{extra}'."
            ) from None

    @contextmanager
    def open(self, uri: Uri) -> Iterator[BinaryIO]:
        """Open a file.

        Raises
        ------
        CannotFetch
        """
        # A stream of one request; without a size fsspec would ask for it first.
        options = {"block_size": 0, "size": 1} if uri.scheme in WEB else {}
        with reading(uri):
            stream = self._files.open(uri.address, "rb", **options)
        with stream:
            yield cast("BinaryIO", stream)


def _file_system(uri: Uri) -> Any:
    # Read when the library is imported: an experiment of its own, which asks for more than objects
    # and waits a minute where it may not.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    import fsspec

    options: dict[str, Any] = {"skip_instance_cache": True}
    if uri.scheme in WEB:
        from service.fetch.web import client

        options["get_client"] = client
    return fsspec.filesystem(uri.scheme, **options)


@contextmanager
def reading(uri: Uri) -> Iterator[None]:
    """Tell what reading ended in; of what a library says only what holds no address or secret.

    Raises
    ------
    CannotFetch
    """
    try:
        yield
    except CannotFetch:
        raise
    except Exception as exc:  # the libraries of stores raise kinds of their own
        raise CannotFetch(f"{uri} cannot be read: {_reason(exc)}.") from exc


def _reason(exc: Exception) -> str:
    match exc:
        case FileNotFoundError():
            return "it is not there"
        case PermissionError():
            return "access is denied"
        case OSError() if exc.strerror:
            return exc.strerror
    status = getattr(exc, "status", None)
    return f"HTTP {status}" if isinstance(status, int) else type(exc).__name__
