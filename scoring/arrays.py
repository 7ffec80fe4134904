"""Arrays of an artifact: plain `.npy` files, named after the attribute they are, memory-mapped."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from scoring.errors import ArtifactCorrupt

__all__ = ["check_npy", "mapped", "named_arrays", "npy_bytes"]

REMEDY = "Copy the artifact again, or save it again from the explainer."
LONGEST_HEADER = 4096


def named_arrays(value: Any, name: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield every array in a value with its dotted path: `background.table.codes`."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from named_arrays(item, f"{name}.{key}".lstrip("."))
    elif is_dataclass(value):
        for field in fields(value):
            yield from named_arrays(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from named_arrays(item, f"{name}.{index}")


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Write an array in NumPy's format, never with pickled objects in it."""
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def check_npy(stream: BinaryIO, size: int, file: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Read the header of a `.npy` file and hold it against the file's size.

    Raises
    ------
    ArtifactCorrupt
        No header of NumPy's, Python objects, or another amount of data than the header says.

    Returns
    -------
    shape, dtype, and where the data start.
    """
    try:
        version = npy.read_magic(stream)
        if version not in {(1, 0), (2, 0)}:
            raise ValueError("another version of the format")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream, max_header_size=LONGEST_HEADER)
    except Exception as error:  # struct, tokenize and ast fail each in ways of their own
        raise ArtifactCorrupt(file, "it is not a well-formed .npy file", REMEDY) from error
    if dtype.hasobject or not dtype.itemsize:
        raise ArtifactCorrupt(file, "it holds Python objects instead of numbers", REMEDY)
    start, count = stream.tell(), 1
    for length in shape:  # Python's own integers do not overflow
        count *= length
    if min(shape, default=0) < 0 or start + count * dtype.itemsize != size:
        raise ArtifactCorrupt(file, "its header promises another amount of data", REMEDY)
    return shape, dtype, start


def mapped(path: Path, file: str) -> NDArray[Any]:
    """Open an array read-only, without reading it.

    Raises
    ------
    ArtifactCorrupt
        As `check_npy`, or anything but numbers and booleans.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        shape, dtype, _ = check_npy(stream, size, file)
    if dtype.kind not in "biuf" or not dtype.isnative:
        raise ArtifactCorrupt(file, f"it holds {dtype} instead of numbers", REMEDY)
    if 0 in shape:  # nothing to map
        return np.zeros(shape, dtype)
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if dtype.kind == "b" and array.view(np.uint8).max() > 1:
        raise ArtifactCorrupt(file, "it holds booleans that are neither true nor false", REMEDY)
    return array.view(np.ndarray)
