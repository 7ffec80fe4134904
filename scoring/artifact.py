"""An explainer as a directory: saved in one piece, and read back only if every piece is right.

::

    scoring_explainer.pkl    our own small classes, and names of what follows
    arrays/*.npy             every array, memory-mapped
    model.onnx | model.skops | model.pkl    unless the arrays are the model
    manifest.json            what each of them must be; written last, checked first
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from scoring import manifest, unpickle, verify
from scoring.arrays import mapped, named_arrays, npy_bytes
from scoring.errors import ArtifactCorrupt, ArtifactError, ArtifactUnsupported, ParameterError
from scoring.forms import order
from scoring.forms.refused import Unsound
from scoring.manifest import MANIFEST, PICKLE, Manifest
from scoring.scoring_explainers import KernelScoringExplainer

__all__ = ["artifact_sha256", "load", "read_manifest", "save"]

AGAIN = "Save the explainer again."


def save(
    explainer: KernelScoringExplainer,
    directory: str | os.PathLike[str] = ".",
    exist_ok: bool = False,  # noqa: FBT001, FBT002 the guide's signature
) -> Path:
    """Write an artifact, with the model in the safest form that reproduces it.

    All files are written under temporary names and read back before they take their places, the
    manifest last: at no time does a half-written artifact pass for a whole one.

    Parameters
    ----------
    directory : where to; made if it is not there.
    exist_ok : whether an artifact that is there already may be replaced.

    Returns
    -------
    The directory.

    Raises
    ------
    ArtifactUnsupported
        The directory holds such files already, or no form can carry the model.
    """
    kind = type(explainer)
    if kind not in unpickle.CLASSES.values() or not hasattr(kind, "restore"):
        raise ParameterError("explainer", "must be a scoring explainer")
    target = Path(directory)
    contents, said = _contents(explainer)
    _check_vacant(target, contents, exist_ok=exist_ok)
    obsolete = _listed(target) - contents.keys()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=target) as temporary:
        _write(Path(temporary), {**contents, MANIFEST: manifest.write(said)})
        load(temporary, artifact_sha256(temporary))  # what does not load is not saved
        _move(Path(temporary), target, [*contents, MANIFEST])
    for name in obsolete:
        (target / name).unlink(missing_ok=True)
    return target


def load(path: str | os.PathLike[str], expect_sha256: str | None = None) -> KernelScoringExplainer:
    """Read an artifact.

    Parameters
    ----------
    path : its directory, or the `scoring_explainer.pkl` in it.
    expect_sha256 : the artifact's digest, as `artifact_sha256` gives it. An artifact whose model
        is a pickle is read only with it, because it vouches for every byte.

    Raises
    ------
    ArtifactError
        With the file, what is wrong with it, and what to do; nothing of the file has run.
    """
    opened = Manifest.open(Path(path), expect_sha256)
    facts = opened.said["model"]
    model_files = [name for name in opened.files if name.startswith("model.")]
    order.check_form(facts, model_files, pinned=expect_sha256 is not None)
    contents = opened.check_files()
    kind, state = unpickle.loads(contents[PICKLE], lambda name: _resolve(name, opened), PICKLE)
    if not hasattr(kind, "restore"):
        raise ArtifactCorrupt(PICKLE, "it does not hold a scoring explainer", AGAIN)
    with _named(PICKLE):
        verify.check_state(state)
    expansion = state.get("expansion")
    model = order.take(facts, contents, state["predictor"].schema, expansion)
    state["predictor"] = replace(state["predictor"], model=model)
    with _named(model_files[0] if model_files else PICKLE):
        verify.check_model(state["predictor"], state["background"], state["base_values"])
    actual = manifest.describe(state)
    for key, told in opened.said.items():
        if key in actual and not manifest.agrees(told, actual[key]):
            raise ArtifactCorrupt(MANIFEST, f"it tells other {key} than {PICKLE} has", AGAIN)
    explainer: KernelScoringExplainer = kind.restore(state)
    return explainer


def read_manifest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read an artifact's manifest and hold every file against it; no explainer is built.

    Raises
    ------
    ArtifactError
    """
    opened = Manifest.open(Path(path))
    opened.check_files()
    return opened.said


def artifact_sha256(path: str | os.PathLike[str]) -> str:
    """Return the digest of an artifact, which is that of its manifest.

    Raises
    ------
    ArtifactError
    """
    return Manifest.open(Path(path)).sha256


@contextmanager
def _named(file: str) -> Iterator[None]:
    """Say which file the unsound numbers are from."""
    try:
        yield
    except Unsound as error:
        raise ArtifactCorrupt(file, str(error), AGAIN) from None


def _contents(explainer: KernelScoringExplainer) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Every file but the manifest, and what the manifest says."""
    declared = type(explainer).__annotations__  # what is cached beside them is made anew
    state: dict[str, Any] = {name: getattr(explainer, name) for name in declared}
    state["report"] = manifest.plain(explainer.report)
    predictor = state["predictor"]
    carried = order.carry(predictor, state["background"], state["sample"], state.get("expansion"))
    arrays = {
        f"arrays/{name}.npy": array
        for name, array in named_arrays({k: v for k, v in state.items() if k != "predictor"})
    }
    names = {id(array): "array:" + file[7:-4] for file, array in arrays.items()}
    names[id(predictor.model)] = "model"
    pickled = unpickle.dumps(type(explainer).restore(state), names)
    contents = {file: npy_bytes(array) for file, array in arrays.items()}
    contents |= {PICKLE: pickled, **carried.files}
    said = {
        **manifest.describe(state),
        "format_version": manifest.FORMAT,
        "files": manifest.listing(contents, arrays),
        "model": manifest.plain(carried.facts),
        "versions": manifest.versions(),
    }
    return contents, said


def _resolve(name: str, opened: Manifest) -> Any:
    """What the pickle's names stand for. The model needs the schema first, so it comes later."""
    if name == "model":
        return None
    file = f"arrays/{name.removeprefix('array:')}.npy"
    if file not in opened.files:
        raise ArtifactCorrupt(
            PICKLE, "it refers to an array that the manifest does not list", AGAIN
        )
    array, told = mapped(opened.path(file), file), opened.files[file]
    if told["dtype"] != str(array.dtype) or told["shape"] != list(array.shape):
        raise ArtifactCorrupt(file, "its dtype or shape is not the manifest's", AGAIN)
    return array


def _listed(target: Path) -> set[str]:
    """The files of the artifact that is there, if one is and can be read."""
    try:
        return set(Manifest.open(target).files)
    except ArtifactError:
        return set()


def _check_vacant(target: Path, contents: dict[str, bytes], *, exist_ok: bool) -> None:
    if exist_ok:
        return
    for name in (MANIFEST, *contents):
        if (target / name).exists():
            remedy = "Save to another directory, or pass exist_ok=True to replace it."
            raise ArtifactUnsupported(target / name, "it is there already", remedy)


def _write(directory: Path, contents: dict[str, bytes]) -> None:
    for name, data in contents.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def _move(source: Path, target: Path, names: list[str]) -> None:
    """Put files in their places; the manifest is the last of them."""
    for name in names:
        (target / name).parent.mkdir(exist_ok=True)
        (source / name).replace(target / name)
