"""Tensors of the Open Inference Protocol, in JSON and in bytes; row-major everywhere."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DATATYPES", "datatype_of", "flat", "from_binary", "is_of", "numbers", "to_binary"]

_FLOATS = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
_INTEGERS = {
    f"{u}INT{8 * size}": f"<{u.lower() or 'i'}{size}" for u in ("", "U") for size in (1, 2, 4, 8)
}
_DTYPES = {**_FLOATS, **_INTEGERS, "BOOL": "?"}
_LENGTH = struct.Struct("<I")

DATATYPES = (*_DTYPES, "BYTES")
"""What a tensor may be of."""


def flat(data: Any, shape: Sequence[int]) -> list[Any] | None:
    """Return a tensor's elements, whether they came flat or nested; None if they do not fit."""
    if not isinstance(data, list):
        return None
    if len(data) == math.prod(shape) and list not in set(map(type, data)):
        return data
    level: list[Any] = [data]
    for length in shape:
        if not all(isinstance(part, list) and len(part) == length for part in level):
            return None
        level = list(chain.from_iterable(level))
    return level


def is_of(datatype: str, elements: list[Any]) -> bool:
    """Whether elements that came as JSON are of a datatype; null is a missing one of any."""
    types = set(map(type, elements)) - {type(None)}
    if datatype in _FLOATS:
        return types <= {int, float}
    return types <= {bool if datatype == "BOOL" else str if datatype == "BYTES" else int}


def numbers(elements: list[Any]) -> list[Any] | NDArray[np.float64]:
    """Return elements of a numeric tensor as float64; as they are if one is beyond that."""
    if None in elements:
        elements = [math.nan if element is None else element for element in elements]
    try:
        return np.array(elements, dtype=np.float64)
    except OverflowError:  # the schema names the element
        return elements


def from_binary(datatype: str, raw: bytes, n_elements: int) -> list[Any] | NDArray[Any] | None:
    """Read a tensor's bytes; None if they are not what the datatype and the shape say."""
    if datatype == "BYTES":
        return _texts(raw, n_elements)
    dtype = np.dtype(_DTYPES[datatype])
    if len(raw) != n_elements * dtype.itemsize:
        return None
    if datatype == "BOOL":
        flags = np.frombuffer(raw, np.uint8)
        return None if (flags > 1).any() else flags.astype(bool).tolist()
    elements = np.frombuffer(raw, dtype)
    return elements.astype(np.float64) if datatype in _FLOATS else elements  # NaN of one kind


def _texts(raw: bytes, n_elements: int) -> list[str] | None:
    """Texts of UTF-8, each after its length as a little-endian uint32."""
    if len(raw) < n_elements * _LENGTH.size:
        return None
    texts: list[str] = []
    start = 0
    while start < len(raw):
        if start + _LENGTH.size > len(raw) or len(texts) == n_elements:
            return None
        (length,) = _LENGTH.unpack_from(raw, start)
        start += _LENGTH.size
        if start + length > len(raw):
            return None
        try:
            texts.append(raw[start : start + length].decode("utf-8"))
        except UnicodeDecodeError:
            return None
        start += length
    return texts if len(texts) == n_elements else None


def datatype_of(values: Sequence[Any]) -> str:
    """Return the datatype that holds plain Python values."""
    types = set(map(type, values))
    if types <= {bool}:
        return "BOOL"
    if types <= {int} and all(-(2**63) <= value < 2**63 for value in values):
        return "INT64"
    return "FP64" if types <= {int, float} else "BYTES"


def to_binary(datatype: str, values: NDArray[Any]) -> bytes:
    """Write a tensor's bytes; texts as `_texts` reads them."""
    if datatype == "BYTES":
        encoded = [str(value).encode("utf-8") for value in values.ravel().tolist()]
        return b"".join(_LENGTH.pack(len(text)) + text for text in encoded)
    return np.ascontiguousarray(values, dtype=_DTYPES[datatype]).tobytes()
