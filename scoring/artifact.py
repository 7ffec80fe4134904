"""An explainer as a directory: saved in one piece, and read back only if every piece is right.

::

    scoring_explainer.pkl    our own small classes, and names of what follows
    arrays/*.npy             every array
    model.onnx | model.skops | model.pkl    unless the arrays are the model
    surrogate.*              what is explained instead, where a surrogate is; in the same forms
    manifest.json            what each of them must be; written last, checked first
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_type_hints

from numpy.typing import NDArray

from scoring import baselines, manifest, mapped, spaces, unpickle, verify, verify_exact, verify_twin
from scoring.arrays import named_arrays, npy_array, npy_bytes
from scoring.errors import ArtifactCorrupt, ArtifactError, ArtifactUnsupported, ParameterError
from scoring.exact import Exact
from scoring.forms import order
from scoring.forms.refused import Unsound
from scoring.games.twin import Twin
from scoring.manifest import MANIFEST, PICKLE, Manifest
from scoring.predictor import Predictor
from scoring.scoring_explainers import KernelScoringExplainer

__all__ = ["Content", "artifact_sha256", "load", "read", "read_manifest", "read_mapped", "save"]

AGAIN = "Save the explainer again."

MODELS = {"model": "predictor", "surrogate": "surrogate"}
"""What models an artifact can hold: the name in files and manifest, and the attribute."""


@dataclass(frozen=True)
class _Form:
    """One model as the manifest describes it; `facts` are empty where there is none."""

    who: str
    facts: dict[str, Any]
    files: tuple[str, ...]

    @property
    def file(self) -> str:
        """The file to name when something is wrong with the model."""
        return self.files[0] if self.files else PICKLE


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
    return read(path, expect_sha256).build()


def read(
    path: str | os.PathLike[str], expect_sha256: str | None = None, into: int | None = None
) -> Content:
    """Read an artifact's files into memory and check them; no explainer is built yet.

    Parameters
    ----------
    path, expect_sha256 : as for `load`.
    into : descriptor of an empty file whose memory is to be used, so that a process that is handed
        it has the same content, in the same memory: see `read_mapped`.

    Raises
    ------
    ArtifactError
    """
    opened, pinned = Manifest.open(Path(path), expect_sha256), expect_sha256 is not None
    forms = _forms(opened, pinned=pinned)
    if into is None:
        return Content(opened, forms, opened.read_files())
    about = {"sha256": opened.sha256, "said": opened.said, "pinned": pinned}
    sizes = {name: told["bytes"] for name, told in opened.files.items()}
    return Content(opened, forms, opened.read_files(mapped.create(into, about, sizes)))


def read_mapped(fd: int) -> Content:
    """Take what another process has read, and checked, into a file."""
    about, files = mapped.open_pieces(fd)
    opened = Manifest(Path(), about["sha256"], about["said"])
    return Content(opened, _forms(opened, pinned=about["pinned"]), files)


@dataclass(frozen=True, eq=False)
class Content:
    """The files of an artifact in memory, as they were checked; see `read`."""

    _opened: Manifest
    _forms: Mapping[str, _Form]
    _files: Mapping[str, memoryview]

    @property
    def sha256(self) -> str:
        """The artifact's digest."""
        return self._opened.sha256

    @property
    def is_arrays(self) -> bool:
        """Whether its arrays are the model, so that NumPy is all that it runs on.

        Such an explainer lives on in a process that is forked. ONNX Runtime and what OpenMP
        parallelises have threads of their own, and threads are not forked.
        """
        return not any(form.files for form in self._forms.values())

    def build(self) -> KernelScoringExplainer:
        """Make the explainer; its arrays lie in the memory of the files.

        Raises
        ------
        ArtifactError
            With the file, what is wrong with it, and what to do; nothing of the file has run.
        """
        opened, forms, files = self._opened, self._forms, self._files
        pickled = files[PICKLE].tobytes()
        kind, state = unpickle.loads(pickled, lambda name: _resolve(name, opened, files), PICKLE)
        if not hasattr(kind, "restore"):
            raise ArtifactCorrupt(PICKLE, "it does not hold a scoring explainer", AGAIN)
        with _named(PICKLE):
            baselines.check(state)
            for each in baselines.states(state):
                verify.check_state(each)
        for who, attribute in MODELS.items():
            _take_model(state, attribute, forms[who], files)
        explained = "surrogate" if state.get("surrogate") is not None else "model"
        for who, attribute in MODELS.items():
            if state.get(attribute) is not None:
                is_explained = who == explained
                with _named(forms[who].file):
                    for each in baselines.states(state):
                        _check_model(each, attribute, is_explained=is_explained)
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


def _check_model(state: Mapping[str, Any], attribute: str, *, is_explained: bool) -> None:
    """Hold a model against what is said of it in one output space."""
    predictor, background, exact = state[attribute], state["background"], state.get("exact")
    base_values = state["base_values"] if is_explained and exact is None else None
    verify.check_model(predictor, background, base_values)
    if is_explained:
        verify_twin.check_numbers(state, predictor)
    if is_explained and exact is not None:
        verify_exact.check_answers(exact, predictor, background)


@contextmanager
def _named(file: str) -> Iterator[None]:
    """Say which file the unsound numbers are from."""
    try:
        yield
    except Unsound as error:
        raise ArtifactCorrupt(file, str(error), AGAIN) from None


def _forms(opened: Manifest, *, pinned: bool) -> dict[str, _Form]:
    return {who: _form(opened, who, pinned=pinned) for who in MODELS}


def _form(opened: Manifest, who: str, *, pinned: bool) -> _Form:
    """What the manifest says of a model, checked before any file of it is read."""
    files = tuple(name for name in opened.files if name.startswith(f"{who}."))
    facts = opened.said.get(who, {})
    if not isinstance(facts, dict) or (files and not facts):
        raise ArtifactCorrupt(MANIFEST, f"it does not describe its {who}", AGAIN)
    if facts or who == "model":
        own_names = [name.replace(who, "model", 1) for name in files]
        order.check_form(facts, own_names, pinned=pinned)
    return _Form(who, facts, files)


def _take_model(
    state: dict[str, Any], attribute: str, form: _Form, contents: Mapping[str, memoryview]
) -> None:
    """Put a model where the pickle only names it."""
    predictor = state.get(attribute)
    if (predictor is None) != (not form.facts):
        raise ArtifactCorrupt(MANIFEST, f"it describes another {form.who} than {PICKLE} has", AGAIN)
    if predictor is None:
        return
    files = {name.replace(form.who, "model", 1): contents[name].tobytes() for name in form.files}
    own = _own_numbers(state, form.who)
    model = order.take(form.facts, files, predictor.schema, own)
    state[attribute] = replace(predictor, model=model)
    if form.who == "model":
        state["others"] = tuple(
            replace(other, predictor=replace(other.predictor, model=model))
            for other in state.get("others", ())
        )


def _contents(explainer: KernelScoringExplainer) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Every file but the manifest, and what the manifest says."""
    declared = get_type_hints(type(explainer))  # what is cached beside them is made anew
    state: dict[str, Any] = {name: getattr(explainer, name) for name in declared}
    state |= _plain_reports(state)
    state["others"] = tuple(replace(o, **_plain_reports(vars(o))) for o in explainer.others)
    models = {who: state[name] for who, name in MODELS.items() if state.get(name) is not None}
    carried = {who: _carried(explainer, who, predictor) for who, predictor in models.items()}
    kept = {name: value for name, value in state.items() if name not in MODELS.values()}
    names: dict[int, str] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for name, array in named_arrays(kept):  # what spaces and baselines share is written once
        if not (name.startswith(("others.", "named_backgrounds.")) and id(array) in names):
            names[id(array)], arrays[f"arrays/{name}.npy"] = f"array:{name}", array
    names |= {id(predictor.model): who for who, predictor in models.items()}
    pickled = unpickle.dumps(type(explainer).restore(state), names)
    contents = {file: npy_bytes(array) for file, array in arrays.items()}
    contents[PICKLE] = pickled
    for who, each in carried.items():
        contents |= {name.replace("model", who, 1): data for name, data in each.files.items()}
    said = {
        **manifest.describe(state),
        "format_version": manifest.FORMAT,
        "files": manifest.listing(contents, arrays),
        "versions": manifest.versions(),
        **{who: manifest.plain(each.facts) for who, each in carried.items()},
    }
    return contents, said


def _plain_reports(state: Mapping[str, Any]) -> dict[str, Any]:
    """Reports as JSON has them, of one output space and its named backgrounds."""
    named = state["named_backgrounds"]
    return {
        "report": manifest.plain(state["report"]),
        "named_backgrounds": tuple(replace(n, report=manifest.plain(n.report)) for n in named),
    }


def _carried(explainer: KernelScoringExplainer, who: str, predictor: Predictor) -> order.Carried:
    """One model in its form."""
    carried, every = spaces.carrier(vars(explainer)), spaces.states(vars(explainer))
    exacts = [state["exact"] for state in every if state.get("exact") is not None]
    needs_columns = any(exact.encoding is None for exact in exacts)
    apart = who == "model" and (explainer.engineered is not None or needs_columns)
    own = _own_numbers(vars(explainer), who)
    if who == "model":
        predictor = carried["predictor"]
    return order.carry(predictor, carried["background"], explainer.sample, own, taken_apart=apart)


def _own_numbers(state: Mapping[str, Any], who: str) -> order.Numbers:
    """What the artifact holds of a model's structure, that can predict as well.

    Numbers that answer in all spaces come before an exact game, which is of one.
    """
    every = spaces.states(state)
    if who != ("surrogate" if state.get("surrogate") is not None else "model"):
        return None
    wanted = {each["predictor"].space for each in every}
    for twin in (each.get("twin") for each in every):
        if twin is not None and wanted <= set(twin.numbers.spaces):
            return cast(Twin, twin)
    exact: Exact | None = spaces.carrier(state).get("exact")
    return None if exact is None or exact.encoding is None else exact


def _resolve(name: str, opened: Manifest, contents: Mapping[str, memoryview]) -> Any:
    """What the pickle's names stand for. Models need the schema first, so they come later."""
    if name in MODELS:
        return None
    file = f"arrays/{name.removeprefix('array:')}.npy"
    if file not in opened.files:
        raise ArtifactCorrupt(
            PICKLE, "it refers to an array that the manifest does not list", AGAIN
        )
    array, told = npy_array(contents[file], file), opened.files[file]
    if not array.ndim:
        raise ArtifactCorrupt(file, "it has no axes", AGAIN)
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
