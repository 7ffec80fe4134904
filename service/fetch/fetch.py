"""The whole way: written beside, verified, and only then moved to where it is looked for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from scoring.errors import ArtifactError
from scoring.manifest import LARGEST, MANIFEST, Manifest
from service.fetch.archives import unpack
from service.fetch.pieces import Allowance, copy
from service.fetch.refused import CannotFetch
from service.fetch.stores import Store, reading
from service.fetch.uri import Uri, parse

__all__ = ["fetch"]


def fetch(text: str, output: Path, sha256: str, most: int) -> bool:
    """Fetch an artifact.

    Parameters
    ----------
    text : URI of the artifact's directory, or of a `.tar`, `.tar.gz`, `.tgz` or `.zip` of it.
    output : the directory that it will be; what is there already must be that artifact.
    sha256 : the digest that it must have.
    most : bytes that may be fetched, and that an archive may have when unpacked.

    Returns
    -------
    Whether there was anything to fetch.

    Raises
    ------
    CannotFetch, ArtifactError, OSError
        In each case nothing was left behind.
    """
    uri = parse(text)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        try:
            Manifest.open(output, sha256).check_files()
        except ArtifactError:
            raise CannotFetch(
                f"{output} is there already, and is another artifact or none: name a directory "
                "that does not exist yet."
            ) from None
        return False
    if output.is_mount():
        raise CannotFetch(f"{output} is where a volume is mounted: name a directory inside it.")
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        whole = beside / "artifact"
        whole.mkdir()
        store = Store(uri)
        if uri.archive:
            whole = _fetch_archive(store, uri, beside, most)
        else:
            _fetch_directory(store, uri, whole, sha256, most)
        Manifest.open(whole, sha256).check_files()
        whole.replace(output)
    finally:
        shutil.rmtree(beside)
    return True


def _fetch_archive(store: Store, uri: Uri, beside: Path, most: int) -> Path:
    """The directory with the artifact, at the archive's top or in its only directory."""
    packed, whole = beside / "packed", beside / "artifact"
    _download(store, uri, packed, Allowance(most, "the archive"))
    unpack(packed, uri.archive or "", whole, most)
    inside = list(whole.iterdir())
    only = len(inside) == 1 and inside[0].is_dir()
    return inside[0] if only else whole


def _fetch_directory(store: Store, uri: Uri, whole: Path, sha256: str, most: int) -> None:
    """The manifest first: its digest is the artifact's, and it tells what else there is."""
    manifest = uri / MANIFEST
    _download(store, manifest, whole / MANIFEST, Allowance(min(most, LARGEST), "the manifest"))
    listed = Manifest.open(whole, sha256).files
    total = Allowance(most, "the artifact")
    total.take(sum(file["bytes"] for file in listed.values()))
    for name, file in listed.items():
        place = whole / name
        place.parent.mkdir(parents=True, exist_ok=True)
        _download(store, uri / name, place, Allowance(file["bytes"], name))


def _download(store: Store, uri: Uri, place: Path, allowance: Allowance) -> None:
    with store.open(uri) as stream, place.open("xb") as target:
        copy(_told(stream, uri), target, allowance)


def _told(stream: BinaryIO, uri: Uri) -> Callable[[int], bytes]:
    """Read, and tell apart what fails there from what fails here."""

    def read(n: int) -> bytes:
        with reading(uri):
            return stream.read(n)

    return read
