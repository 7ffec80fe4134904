"""Explanations as a directory: `explanation.json` and an `.npy` file for every array; no pickle."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from scoring.arrays import check_npy, npy_bytes
from scoring.errors import (
    ArtifactCorrupt,
    ArtifactMissing,
    ArtifactUnsupported,
    ArtifactUntrusted,
    ParameterError,
)
from scoring.explanation import GlobalExplanation, LocalExplanation
from scoring.manifest import parse_json, plain
from scoring.predictor import OutputSpace

__all__ = ["load_explanation", "save_explanation"]

Explanation = LocalExplanation | GlobalExplanation

INDEX = "explanation.json"
FORMAT = 1
KINDS: dict[str, type[LocalExplanation] | type[GlobalExplanation]] = {
    "local": LocalExplanation,
    "global": GlobalExplanation,
}
AXES = {
    "values": ("rows", "features", "outputs"),
    "standard_errors": ("rows", "features", "outputs"),
    "base_values": ("outputs",),
    "outputs": ("rows", "outputs"),
    "remainder": ("rows", "outputs"),
    "feature_map": ("raw", "features"),
    "per_output": ("outputs", "features"),
    "standard_deviations": ("features",),
    "raw_per_output": ("outputs", "raw"),
}
"""What every array counts through; equal names must have equal lengths."""

TYPES: dict[str, Any] = {
    "output_space": str,
    "method": str,
    "background": str,
    "classification": bool,
    "n_coalitions": int,
    "degrees_of_freedom": int,
    "background_error": float,
    "n_rows": int,
    "fidelity": dict,
    "reason_codes": list,
}
NAMES = {"features": "features", "output_names": "outputs", "raw_features": "raw"}
LISTS = {**NAMES, "reason_codes": "rows"}
REASON = {"feature": str, "direction": str, "value": float, "text": str}
LARGEST = 64 * 2**20
AGAIN = "Save the explanation again."


def save_explanation(
    explanation: Explanation,
    path: str | os.PathLike[str],
    exist_ok: bool = False,  # noqa: FBT001, FBT002 the guide's signature
) -> Path:
    """Write an explanation; the index comes last, so that half of one is never taken for a whole.

    Everything is kept to the digit, but what is not finite in `fidelity` becomes None.

    Parameters
    ----------
    path : a directory; made if it is not there.
    exist_ok : whether an explanation that is there already may be replaced.

    Raises
    ------
    ParameterError
        Not an explanation of ours, or one that contradicts itself; a path that is a file.
    ArtifactUnsupported
        One is there already.
    """
    kinds = [name for name, kind in KINDS.items() if type(explanation) is kind]
    if not kinds:
        raise ParameterError("explanation", "must be a LocalExplanation or a GlobalExplanation")
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise ParameterError("path", "must be a directory, not a file", "Choose another.")
    if (target / INDEX).exists() and not exist_ok:
        remedy = "Save to another directory, or pass exist_ok=True to replace it."
        raise ArtifactUnsupported(target / INDEX, "it is there already", remedy)
    told: dict[str, Any] = {"format_version": FORMAT, "kind": kinds[0], "arrays": {}}
    files, arrays = {}, {}
    for field in fields(explanation):
        value = getattr(explanation, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
            files[f"{field.name}.npy"] = data = npy_bytes(value)
            told["arrays"][field.name] = hashlib.sha256(data).hexdigest()
        elif value is not None:
            told[field.name] = plain(value)
    try:
        _explanation(told, arrays)
    except ArtifactCorrupt as error:
        raise ParameterError("explanation", f"cannot be saved: {error.problem}") from None
    text = json.dumps(told, indent=2, sort_keys=True, allow_nan=False) + "\n"
    if len(text) > LARGEST:
        fix = "Save fewer rows, or leave reason codes out."
        raise ParameterError("explanation", f"has more than {LARGEST} bytes of words", fix)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=target) as temporary:
        for name, data in [*files.items(), (INDEX, text.encode())]:
            (Path(temporary) / name).write_bytes(data)
        for name in [*files, INDEX]:
            (Path(temporary) / name).replace(target / name)
    for name in AXES.keys() - told["arrays"].keys():
        (target / f"{name}.npy").unlink(missing_ok=True)
    return target


def load_explanation(path: str | os.PathLike[str]) -> Explanation:
    """Read an explanation.

    Raises
    ------
    ArtifactError
        With the file, what is wrong with it, and what to do.
    """
    root = Path(path)
    told = _index(root)
    arrays = {name: _array(root, name, digest) for name, digest in told["arrays"].items()}
    return _explanation(told, arrays)


def _explanation(told: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Explanation:
    """An explanation of its parts, checked.

    Raises
    ------
    ArtifactCorrupt
    """
    kind = KINDS[told["kind"]]
    given: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in arrays:
            given[field.name] = _checked(field.name, arrays[field.name])
        elif field.name in told:
            given[field.name] = _plain(field.name, told[field.name])
    if kind is LocalExplanation and told.get("output_space") not in get_args(OutputSpace):
        raise ArtifactCorrupt(INDEX, "its output_space is none that there is", AGAIN)
    _check_lengths(given)
    try:
        return kind(**given)
    except TypeError:
        raise ArtifactCorrupt(INDEX, "it lacks a part of an explanation", AGAIN) from None


def _index(root: Path) -> dict[str, Any]:
    file = root / INDEX
    if file.is_symlink():
        raise ArtifactUntrusted(INDEX, "it is a link", AGAIN)
    if not file.is_file():
        remedy = "Pass the directory that save_explanation wrote."
        raise ArtifactMissing(file, "there is no explanation here", remedy)
    if file.stat().st_size > LARGEST:
        raise ArtifactCorrupt(INDEX, f"it is larger than {LARGEST} bytes", AGAIN)
    try:
        told: dict[str, Any] = parse_json(file.read_bytes())  # or what somebody made of it
    except (ValueError, RecursionError):
        raise ArtifactCorrupt(INDEX, "it is not well-formed JSON", AGAIN) from None
    version = told.get("format_version") if type(told) is dict else None
    if type(version) is not int or version < 1:
        raise ArtifactCorrupt(INDEX, "it does not say which format it has", AGAIN)
    if version > FORMAT:
        problem = f"it has format version {version}, and this shapserve reads up to {FORMAT}"
        raise ArtifactUnsupported(INDEX, problem, "Upgrade shapserve: pip install -U shapserve")
    kind, arrays = told.get("kind"), told.get("arrays")
    if (
        not isinstance(kind, str)
        or kind not in KINDS
        or not isinstance(arrays, dict)
        or arrays.keys() - AXES.keys()
    ):
        raise ArtifactCorrupt(INDEX, "it is of no known kind, or lists unknown arrays", AGAIN)
    return told


def _array(root: Path, name: str, sha256: Any) -> NDArray[Any]:
    """Read an array from the very bytes that were held against their digest."""
    file = f"{name}.npy"
    path = root / file
    if path.is_symlink():
        raise ArtifactUntrusted(file, "it is a link", AGAIN)
    if not path.is_file():
        raise ArtifactMissing(file, "the index lists it and it is not there", AGAIN)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ArtifactCorrupt(file, "its SHA-256 is not the index's", AGAIN)
    check_npy(io.BytesIO(data), len(data), file)
    array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    return array


def _checked(name: str, array: NDArray[Any]) -> NDArray[np.float64]:
    """An array as the explanation has it."""
    axes = AXES[name]
    if array.dtype != np.float64 or array.ndim != len(axes):
        problem = f"it is not an array of float64 ({', '.join(axes)})"
        raise ArtifactCorrupt(f"{name}.npy", f"{name} is unusable: {problem}", AGAIN)
    return array


def _plain(name: str, value: Any) -> Any:
    """A text, number or list, as the explanation has it."""
    if name in NAMES:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ArtifactCorrupt(INDEX, f"its {name} are no list of texts", AGAIN)
        return tuple(value)
    if type(value) is not TYPES.get(name):
        raise ArtifactCorrupt(INDEX, f"its {name} is of another type", AGAIN)
    if TYPES[name] is int and value < 0:
        raise ArtifactCorrupt(INDEX, f"its {name} is negative", AGAIN)
    if name == "reason_codes" and not all(_reasons(row) for row in value):
        raise ArtifactCorrupt(INDEX, "its reason_codes are none", AGAIN)
    return value


def _reasons(row: Any) -> bool:
    """Whether this is what one row's reason codes can be."""
    return isinstance(row, list) and all(
        isinstance(each, dict)
        and each.keys() >= REASON.keys()
        and all(type(each[key]) is kind for key, kind in REASON.items())
        for each in row
    )


def _check_lengths(given: dict[str, Any]) -> None:
    """Every axis has one length, wherever it appears."""
    lengths: dict[str, set[int]] = {}
    for name, value in given.items():
        if name in AXES:
            for axis, length in zip(AXES[name], value.shape, strict=True):
                lengths.setdefault(axis, set()).add(length)
        elif name in LISTS and (value or name != "raw_features"):
            lengths.setdefault(LISTS[name], set()).add(len(value))
    different = sorted(axis for axis, found in lengths.items() if len(found) > 1)
    if different:
        problem = f"its arrays and lists disagree about the number of {', '.join(different)}"
        raise ArtifactCorrupt(INDEX, problem, AGAIN)
