"""Named pieces of memory in one open file, for the processes that map it.

::

    8 bytes    length of what follows, as a little-endian integer
    JSON       {"about": {...}, "pieces": {name: [start, size]}}
    the pieces, each from a multiple of 64 bytes on

Whoever has the file open may map it, so it is for a file without a name, handed from one process
to others of the same program.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

__all__ = ["create", "nameless", "open_pieces"]

ALIGNED = 64
_LENGTH = 8


def nameless() -> int:
    """Open a new file that no path leads to; returns its descriptor."""
    in_memory = getattr(os, "memfd_create", None)
    if in_memory is not None:
        return int(in_memory("shapserve"))
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def create(fd: int, about: Mapping[str, Any], sizes: Mapping[str, int]) -> Mapping[str, memoryview]:
    """Make room for pieces in an empty file; they are still to be filled.

    Parameters
    ----------
    about : what is to be known of them, as JSON has it.
    sizes : bytes of each.
    """
    # The places are not known before the header's length is; their numbers are no longer than this.
    widest = {name: [sys.maxsize, sys.maxsize] for name in sizes}
    end = _aligned(_LENGTH + len(_header(about, widest)))
    places: dict[str, list[int]] = {}
    for name, size in sizes.items():
        places[name] = [end, size]
        end = _aligned(end + size)
    header = _header(about, places)
    os.ftruncate(fd, end)
    memory = memoryview(mmap.mmap(fd, end))
    memory[:_LENGTH] = len(header).to_bytes(_LENGTH, "little")
    memory[_LENGTH : _LENGTH + len(header)] = header
    return {name: memory[start : start + size] for name, (start, size) in places.items()}


def open_pieces(fd: int) -> tuple[dict[str, Any], Mapping[str, memoryview]]:
    """Map a file that `create` made; returns what is known of its pieces, and the pieces."""
    memory = memoryview(mmap.mmap(fd, 0, access=mmap.ACCESS_READ))
    length = int.from_bytes(memory[:_LENGTH], "little")
    told = json.loads(bytes(memory[_LENGTH : _LENGTH + length]))
    pieces = {name: memory[start : start + size] for name, (start, size) in told["pieces"].items()}
    return told["about"], pieces


def _header(about: Mapping[str, Any], places: Mapping[str, list[int]]) -> bytes:
    return json.dumps({"about": about, "pieces": places}).encode()


def _aligned(n_bytes: int) -> int:
    return -(-n_bytes // ALIGNED) * ALIGNED
