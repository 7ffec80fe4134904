"""What several of these tests put in place of something honest."""

import os
import pickle
import struct

import numpy as np

PICKLE = "scoring_explainer.pkl"


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def touch(marker):
    return Call(os.system, f"touch {marker}")


def header(**said):
    words = repr({"descr": "<f8", "fortran_order": False, "shape": (3,)} | said).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(words)) + words


ARRAYS = {
    "objects": header(descr="|O") + pickle.dumps([1, 2, 3]),
    "a shape that is too large": header(shape=(10**18, 10**18)) + b"\0" * 24,
    "a shape that is too large by one": header(shape=(4,)) + b"\0" * 24,
    "more data than it says": header(shape=(2,)) + b"\0" * 24,
    "a negative shape": header(shape=(-1, -3)) + b"\0" * 24,
    "numbers of no size": header(descr="|V0", shape=(10**12,)),
    "text": header(descr="<U2") + b"\0" * 24,
    "dates": header(descr="<M8[s]") + b"\0" * 24,
    "a structure": header(descr=[("a", "<f8")]) + b"\0" * 24,
    "the other byte order": header(descr=">f8") + b"\0" * 24,
    "code in the header": b"\x93NUMPY\x01\x00" + struct.pack("<H", 20) + b"__import__('os')...\n",
    "a header of four gigabytes": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{" * 200,
    "a header that nests": b"\x93NUMPY\x01\x00" + struct.pack("<H", 4000) + b"(" * 3999 + b"\n",
    "another version": b"\x93NUMPY\x09\x00" + b"\0" * 40,
    "a pickle": pickle.dumps(np.zeros(3)),
    "a zip": b"PK\x03\x04" + b"\0" * 40,
    "nothing": b"",
}
