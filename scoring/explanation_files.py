"""Explanations as a directory: `explanation.json` and an `.npy` file for every array; no pickle."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.arrays import mapped, npy_bytes
from scoring.errors import (
    ArtifactCorrupt,
    ArtifactMissing,
    ArtifactUnsupported,
    ArtifactUntrusted,
    ParameterError,
)
from scoring.explanation import GlobalExplanation, LocalExplanation
from scoring.manifest import parse_json, plain

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
    "base_values": ("outputs",),
    "outputs": ("rows", "outputs"),
    "remainder": ("rows", "outputs"),
    "feature_map": ("raw", "features"),
    "per_output": ("outputs", "features"),
    "standard_deviations": ("features",),
    "raw_per_output": ("outputs", "raw"),
}
"""What every array counts through; equal names must have equal lengths."""

TEXTS = {"output_space": str, "method": str, "background": str, "classification": bool,
         "n_coalitions": int, "n_rows": int}  # fmt: skip
NAMES = {"features": "features", "output_names": "outputs", "raw_features": "raw"}
LARGEST = 64 * 2**20
AGAIN = "Save the explanation again."


def save_explanation(
    explanation: Explanation,
    path: str | os.PathLike[str],
    exist_ok: bool = False,  # noqa: FBT001, FBT002 the guide's signature
) -> Path:
    """Write an explanation; the index comes last, so that half of one is never taken for a whole.

    Parameters
    ----------
    path : a directory; made if it is not there.
    exist_ok : whether an explanation that is there already may be replaced.

    Raises
    ------
    ParameterError
        Not an explanation of ours.
    ArtifactUnsupported
        One is there already.
    """
    kinds = [name for name, kind in KINDS.items() if type(explanation) is kind]
    if not kinds:
        raise ParameterError("explanation", "must be a LocalExplanation or a GlobalExplanation")
    target = Path(path)
    if (target / INDEX).exists() and not exist_ok:
        remedy = "Save to another directory, or pass exist_ok=True to replace it."
        raise ArtifactUnsupported(target / INDEX, "it is there already", remedy)
    told: dict[str, Any] = {"format_version": FORMAT, "kind": kinds[0], "arrays": {}}
    files = {}
    for field in fields(explanation):
        value = getattr(explanation, field.name)
        if isinstance(value, np.ndarray):
            files[f"{field.name}.npy"] = data = npy_bytes(value)
            told["arrays"][field.name] = hashlib.sha256(data).hexdigest()
        elif value is not None:
            told[field.name] = plain(value)
    text = json.dumps(told, indent=2, sort_keys=True, allow_nan=False) + "\n"
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
    kind = KINDS[told["kind"]]
    given: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in told["arrays"]:
            given[field.name] = _array(root, field.name, told["arrays"][field.name])
        elif field.name in told:
            given[field.name] = _plain(field.name, told[field.name])
    _check_lengths(given)
    try:
        return kind(**given)
    except TypeError:
        raise ArtifactCorrupt(INDEX, "it lacks a part of an explanation", AGAIN) from None


def _index(root: Path) -> dict[str, Any]:
    file = root / INDEX
    if not file.is_file():
        remedy = "Pass the directory that save_explanation wrote."
        raise ArtifactMissing(file, "there is no explanation here", remedy)
    if file.stat().st_size > LARGEST:
        raise ArtifactCorrupt(INDEX, f"it is larger than {LARGEST} bytes", AGAIN)
    try:
        told = parse_json(file.read_bytes())
    except (ValueError, RecursionError):
        raise ArtifactCorrupt(INDEX, "it is not well-formed JSON", AGAIN) from None
    if not isinstance(told, dict) or type(told.get("format_version")) is not int:
        raise ArtifactCorrupt(INDEX, "it does not say which format it has", AGAIN)
    if told["format_version"] != FORMAT:
        problem = f"it has format version {told['format_version']}, and {FORMAT} is known"
        raise ArtifactUnsupported(INDEX, problem, "Upgrade shapserve: pip install -U shapserve")
    arrays = told.get("arrays")
    if told.get("kind") not in KINDS or not isinstance(arrays, dict) or arrays.keys() - AXES.keys():
        raise ArtifactCorrupt(INDEX, "it is of no known kind, or lists unknown arrays", AGAIN)
    return told


def _array(root: Path, name: str, sha256: Any) -> NDArray[np.float64]:
    file = f"{name}.npy"
    path = root / file
    if path.is_symlink():
        raise ArtifactUntrusted(file, "it is a link", AGAIN)
    if not path.is_file():
        raise ArtifactMissing(file, "the index lists it and it is not there", AGAIN)
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise ArtifactCorrupt(file, "its SHA-256 is not the index's", AGAIN)
    array = mapped(path, file)
    if array.dtype != np.float64 or array.ndim != len(AXES[name]):
        raise ArtifactCorrupt(file, "it is not an array of the right kind", AGAIN)
    return np.array(array)  # a file that is replaced later must not change what was read


def _plain(name: str, value: Any) -> Any:
    """A text, number or list, as the explanation has it."""
    if name in NAMES:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ArtifactCorrupt(INDEX, f"its {name} are no list of texts", AGAIN)
        return tuple(value)
    wanted = {**TEXTS, "fidelity": dict, "reason_codes": list}.get(name)
    if wanted is None or type(value) is not wanted:
        raise ArtifactCorrupt(INDEX, f"its {name} is of another type", AGAIN)
    return value


def _check_lengths(given: dict[str, Any]) -> None:
    """Every axis has one length, wherever it appears."""
    lengths: dict[str, set[int]] = {}
    for name, value in given.items():
        if name in AXES:
            for axis, length in zip(AXES[name], value.shape, strict=True):
                lengths.setdefault(axis, set()).add(length)
        elif name in NAMES and (value or name != "raw_features"):
            lengths.setdefault(NAMES[name], set()).add(len(value))
    different = sorted(axis for axis, found in lengths.items() if len(found) > 1)
    if different:
        problem = f"its arrays and names disagree about the number of {', '.join(different)}"
        raise ArtifactCorrupt(INDEX, problem, AGAIN)
