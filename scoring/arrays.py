"""Arrays of an artifact: plain `.npy` files, named after the attribute they are."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from scoring.errors import ArtifactCorrupt

__all__ = ["check_npy", "named_arrays", "npy_array", "npy_bytes"]

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


def check_npy(
    stream: BinaryIO, size: int, file: str
) -> tuple[tuple[int, ...], np.dtype[Any], int, Literal["C", "F"]]:
    """Read the header of a `.npy` file and hold it against the file's size.

    Raises
    ------
    ArtifactCorrupt
        No header of NumPy's, Python objects, or another amount of data than the header says.

    Returns
    -------
    shape, dtype, where the data start, and the order of the axes there.
    """
    try:
        version = npy.read_magic(stream)
        if version not in {(1, 0), (2, 0)}:
            raise ValueError("another version of the format")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read(stream, max_header_size=LONGEST_HEADER)
    except Exception as error:  # struct, tokenize and ast fail each in ways of their own
        raise ArtifactCorrupt(file, "it is not a well-formed .npy file", REMEDY) from error
    if dtype.hasobject or not dtype.itemsize:
        raise ArtifactCorrupt(file, "it holds Python objects instead of numbers", REMEDY)
    start, count = stream.tell(), 1
    for length in shape:  # Python's own integers do not overflow
        count *= length
    if min(shape, default=0) < 0 or start + count * dtype.itemsize != size:
        raise ArtifactCorrupt(file, "its header promises another amount of data", REMEDY)
    return shape, dtype, start, "F" if is_fortran else "C"


def npy_array(content: memoryview, file: str) -> NDArray[Any]:
    """Take the array out of what a `.npy` file held; it cannot be written to.

    Parameters
    ----------
    content : the whole file, as it was checked. The array lies in the same memory.

    Raises
    ------
    ArtifactCorrupt
        As `check_npy`, or anything but numbers and booleans.
    """
    header = io.BytesIO(content[: 2 * LONGEST_HEADER])
    shape, dtype, start, order = check_npy(header, content.nbytes, file)
    if dtype.kind not in "biuf" or not dtype.isnative:
        raise ArtifactCorrupt(file, f"it holds {dtype} instead of numbers", REMEDY)
    array = np.frombuffer(content[start:].toreadonly(), dtype).reshape(shape, order=order)
    if dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ArtifactCorrupt(file, "it holds booleans that are neither true nor false", REMEDY)
    return array
