"""`manifest.json`: what an artifact consists of, and what it says of itself.

Every other file is listed with its size and SHA-256, so the digest of this one file is the digest
of the whole. What is not listed is never opened. Nothing in it tells the time: the same explainer
gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import (
    ArtifactCorrupt,
    ArtifactMissing,
    ArtifactUnsupported,
    ArtifactUntrusted,
    ParameterError,
)
from scoring.named_background import NamedBackground

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["FORMAT", "MANIFEST", "PICKLE", "Manifest", "agrees", "describe", "listing", "locate",
           "owned_file", "parse_json", "plain", "versions", "write"]  # fmt: skip

MANIFEST = "manifest.json"
PICKLE = "scoring_explainer.pkl"
FORMAT = 1
"""A reader takes this version and older ones; a new field with a default does not raise it."""

NAMES = re.compile(
    r"scoring_explainer\.pkl|(model|surrogate)((\.(probability|margin|value))?\.onnx|\.skops|\.pkl)"
    r"|arrays/\w+(\.\w+)*\.npy",
    re.ASCII,
)
"""Files that an artifact can have: no way out of its directory, and nothing hidden."""

SAID = {"format_version": int, "name": str, "version": str, "files": dict, "features": list,
        "labels": list, "classes": list, "output_names": list, "output_space": str, "method": str,
        "versions": dict, "model": dict, "fidelity": dict}  # fmt: skip
LIBRARIES = ("shapserve", "numpy", "onnx", "onnxruntime", "skl2onnx", "scikit-learn", "scipy",
             "skops", "pandas", "lightgbm", "xgboost", "xgboost-cpu", "torch")  # fmt: skip

LARGEST = 64 * 2**20
PIECE = 2**20
"""Bytes that are read at a time: they are hashed while the processor still has them at hand."""

ALIGNED = 64
"""Bytes; `.npy` files lay their numbers out in multiples of it."""

AGAIN = "Copy the artifact again, or save the explainer again."


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read.

    Parameters
    ----------
    root : the artifact's directory.
    sha256 : digest of the file, which is the digest of the artifact.
    said : its content.
    """

    root: Path
    sha256: str
    said: dict[str, Any]

    @classmethod
    def open(cls, path: Path, expect_sha256: str | None = None) -> Manifest:
        """Read a manifest; of the other files nothing is opened yet.

        Parameters
        ----------
        path : the artifact's directory, or the pickle in it.
        expect_sha256 : the digest it must have.

        Raises
        ------
        ArtifactError
        """
        root = locate(path)
        data = _bytes_of(_inside(root, MANIFEST))
        digest = hashlib.sha256(data).hexdigest()
        if expect_sha256 is not None and digest != _digest(expect_sha256):
            remedy = (
                "Deploy the artifact that was pinned, or pin this one's digest if you trust it."
            )
            problem = f"its SHA-256 is {digest}, and another was pinned"
            raise ArtifactUntrusted(MANIFEST, problem, remedy)
        return cls(root, digest, _parse(data))

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Every listed file: size, digest, and for arrays dtype and shape."""
        listed: dict[str, dict[str, Any]] = self.said["files"]
        return listed

    def path(self, name: str) -> Path:
        """Where a listed file is; it may be a link, but only to inside the directory."""
        return _inside(self.root, name)

    def check_files(self) -> None:
        """Hold every listed file against its size and digest, without keeping any.

        Raises
        ------
        ArtifactMissing, ArtifactCorrupt, ArtifactUntrusted
        """
        for name in self.files:
            with self._opened(name) as stream:
                self._check_digest(name, hashlib.file_digest(stream, "sha256"))

    def read_files(self, into: Mapping[str, memoryview] | None = None) -> dict[str, memoryview]:
        """Read every listed file into memory, and hold what was read against size and digest.

        Nothing of it is read from the disk again: whoever changes a file, or cuts it short,
        changes nothing of what was checked.

        Parameters
        ----------
        into : memory for each of the files, of its size; else it is made here.

        Returns
        -------
        The content of each file; it cannot be written to.

        Raises
        ------
        ArtifactMissing, ArtifactCorrupt, ArtifactUntrusted
        """
        return {name: self._read(name, None if into is None else into[name]) for name in self.files}

    def _read(self, name: str, content: memoryview | None) -> memoryview:
        if content is None:
            content = _aligned(self.files[name]["bytes"])
        with self._opened(name) as stream:
            digest, start = hashlib.sha256(), 0
            while count := stream.readinto(content[start : start + PIECE]):
                digest.update(content[start : start + count])
                start += count
        if start != content.nbytes:
            raise ArtifactCorrupt(name, "it became shorter while it was read", AGAIN)
        self._check_digest(name, digest)
        return content.toreadonly()

    def _opened(self, name: str) -> io.FileIO:
        """A listed file of the right size."""
        stream = io.FileIO(self.path(name))
        if os.fstat(stream.fileno()).st_size != self.files[name]["bytes"]:
            stream.close()
            raise ArtifactCorrupt(name, "its size is not the manifest's", AGAIN)
        return stream

    def _check_digest(self, name: str, digest: _Hash) -> None:
        if digest.hexdigest() != self.files[name]["sha256"]:
            raise ArtifactCorrupt(name, "its SHA-256 is not the manifest's", AGAIN)


def locate(path: Path) -> Path:
    """Find the artifact's directory from the directory or the pickle in it.

    Raises
    ------
    ArtifactMissing
        No complete artifact is there.
    """
    root = path.parent if path.name == PICKLE and not path.is_dir() else path
    if not (root / MANIFEST).is_file():
        remedy = "An artifact is the whole directory that save() wrote; copy all of it."
        if (root / PICKLE).is_file():
            raise ArtifactMissing(root / MANIFEST, "a pickle alone is not an artifact", remedy)
        raise ArtifactMissing(root / MANIFEST, "there is no artifact here", remedy)
    return root


def owned_file(name: object) -> bool:
    """Whether a name is one that an artifact's file can have."""
    return isinstance(name, str) and NAMES.fullmatch(name) is not None


def listing(contents: Mapping[str, bytes], arrays: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """List files for a manifest.

    Parameters
    ----------
    contents : what each file holds.
    arrays : the array in each file that holds one.
    """
    listed: dict[str, dict[str, Any]] = {}
    for name in sorted(contents):
        data = contents[name]
        listed[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        if name in arrays:
            listed[name] |= {"dtype": str(arrays[name].dtype), "shape": list(arrays[name].shape)}
    return listed


def describe(state: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest tells of an explainer's attributes, for people and for the service."""
    predictor = state["predictor"]
    described: dict[str, Any] = plain(
        {
            "name": state["name"],
            "version": state["version"],
            "features": [asdict(feature) for feature in predictor.schema.features],
            "labels": predictor.model.labels or predictor.classes,  # which a network's copy has
            "classes": predictor.classes,
            "output_names": predictor.output_names,
            "output_space": predictor.space,
            "method": state["method"],
            "fidelity": state["report"],
        }
    )
    described |= plain(_optional(state))
    return described


def _optional(state: Mapping[str, Any]) -> dict[str, Any]:
    """What only some explainers have."""
    players, names = state.get("players"), state["predictor"].schema.names
    described: dict[str, Any] = {}
    if players is not None:
        described["groups"] = {
            name: [names[j] for j in np.flatnonzero(members)]
            for name, members in zip(players.names, players.membership, strict=True)
            if members.sum() > 1 or name not in names
        }
    if state.get("subset") is not None:
        names = names if players is None else players.names
        described["reported"] = [names[j] for j in state["subset"]]
    if state.get("others"):
        described["output_spaces"] = {
            other.predictor.space: {
                "output_names": other.predictor.output_names,
                "method": other.method,
                "fidelity": other.report,
                **_baselines(other.named_backgrounds),
            }
            for other in state["others"]
        }
    if state.get("reason_codes") is not None:
        described["reason_codes"] = state["reason_codes"].describe()
    described |= _baselines(state.get("named_backgrounds", ()))
    if state.get("baseline") is not None:
        described["baseline"] = state["baseline"]
    if state.get("reference") is not None:
        described["reference"] = state["reference"].describe()
    return described


def _baselines(named: tuple[NamedBackground, ...]) -> dict[str, Any]:
    """What is told of the backgrounds that have names, if there are any."""
    told = {
        each.name: {
            "background": str(each.background) if each.exact is None else each.exact.background,
            "method": each.method,
            "fidelity": each.report,
        }
        for each in named
    }
    return {"baselines": told} if told else {}


def agrees(told: Any, actual: Any) -> bool:
    """Whether all that is told is so; what is not told need not be.

    An older manifest tells less than `describe` does today.
    """
    if isinstance(told, dict) and isinstance(actual, dict):
        return all(key in actual and agrees(value, actual[key]) for key, value in told.items())
    if isinstance(told, list) and isinstance(actual, list):
        return len(told) == len(actual) and all(map(agrees, told, actual))
    return type(told) is type(actual) and bool(told == actual)


def plain(value: Any) -> Any:
    """The same value in what JSON has: no tuples, no NumPy numbers, null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def versions() -> dict[str, str]:
    """The installed versions of what may have made an artifact."""
    found = {"python": python_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def write(said: Mapping[str, Any]) -> bytes:
    """Write a manifest, the same content to the same bytes."""
    return (json.dumps(said, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _aligned(n_bytes: int) -> memoryview:
    """Memory that starts where the processor likes its numbers to start.

    NumPy asks the system for large pages where an array is large.
    """
    whole = np.empty(n_bytes + ALIGNED, dtype=np.uint8)
    start = -whole.ctypes.data % ALIGNED
    return whole.data[start : start + n_bytes]


def _digest(expected: str) -> str:
    digest = expected.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ParameterError("expect_sha256", "must be the 64 hexadecimal digits of a SHA-256")
    return digest


def _inside(root: Path, name: str) -> Path:
    """Where a file is; it may be a link, but only to inside the directory."""
    try:
        path = (root / name).resolve()
    except (OSError, RuntimeError):  # Python before 3.13 raises the latter
        raise ArtifactUntrusted(name, "it is a link to itself", AGAIN) from None
    if not path.is_relative_to(root.resolve()):
        raise ArtifactUntrusted(name, "it is a link that leaves the directory", AGAIN)
    if not path.is_file():
        raise ArtifactMissing(name, "the manifest lists it and it is not there", AGAIN)
    return path


def _bytes_of(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise ArtifactCorrupt(MANIFEST, f"it is larger than {LARGEST} bytes", AGAIN)
    return path.read_bytes()


def _parse(data: bytes) -> dict[str, Any]:
    """Parse strictly, the format's version before everything else."""
    try:
        said = parse_json(data)
    except (ValueError, RecursionError):
        raise ArtifactCorrupt(MANIFEST, "it is not well-formed JSON", AGAIN) from None
    version = said.get("format_version") if isinstance(said, dict) else None
    if type(version) is not int or version < 1:
        raise ArtifactCorrupt(MANIFEST, "it does not say which format it has", AGAIN)
    if version > FORMAT:
        problem = f"it has format version {version}, and this shapserve reads up to {FORMAT}"
        raise ArtifactUnsupported(MANIFEST, problem, "Upgrade shapserve: pip install -U shapserve")
    for key, kind in SAID.items():
        if type(said.get(key)) is not kind:
            raise ArtifactCorrupt(MANIFEST, f"its {key} is missing or of another type", AGAIN)
    for name, told in said["files"].items():
        if not owned_file(name):
            problem = f"it lists {name[:80]!r}, which is no file of an artifact"
            raise ArtifactUntrusted(MANIFEST, problem, AGAIN)
        if not _well_listed(told, array=name.startswith("arrays/")):
            raise ArtifactCorrupt(MANIFEST, f"it does not say what {name} must be", AGAIN)
    if PICKLE not in said["files"]:
        raise ArtifactCorrupt(MANIFEST, f"it does not list {PICKLE}", AGAIN)
    return dict(said)


def _well_listed(told: Any, *, array: bool) -> bool:
    if not isinstance(told, dict) or type(told.get("bytes")) is not int:
        return False
    shape = told.get("shape")
    shaped = isinstance(shape, list) and all(type(length) is int for length in shape)
    known = isinstance(told.get("sha256"), str)
    return known and (not array or (shaped and isinstance(told.get("dtype"), str)))


def parse_json(data: bytes) -> Any:
    """Parse JSON strictly: no key twice, no NaN.

    Raises
    ------
    ValueError, RecursionError
    """
    return json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers may take different ones of two equal keys, so there are none."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
