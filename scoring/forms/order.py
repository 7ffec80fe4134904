"""The order in which the forms are tried, and the way back from a form to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.errors import ArtifactCorrupt, ArtifactError, ArtifactUnsupported, ArtifactUntrusted
from scoring.exact import Exact
from scoring.features import open_texts
from scoring.forms import edges, onnx_export, pickled, skops, torch_export
from scoring.forms.crossings import crossing_rows
from scoring.forms.exact_model import ExactModel
from scoring.forms.onnx import OnnxModel, file_name
from scoring.forms.parity import Parity
from scoring.forms.refused import FormRefused
from scoring.forms.twin_model import TwinModel
from scoring.games.twin import Twin
from scoring.models.labels import are_labels
from scoring.predictor import EstimatorModel, Model, OutputSpace, Predictor
from scoring.schema import FeatureSchema

__all__ = ["Carried", "carry", "check_form", "take"]


Numbers = Twin | Exact | None
"""What an artifact holds of a model's structure."""


@dataclass(frozen=True)
class Carried:
    """A model in its form: the files, and what the manifest says of them."""

    files: dict[str, bytes]
    facts: dict[str, Any]


def carry(
    predictor: Predictor,
    background: Background,
    sample: NDArray[np.float64],
    own: Numbers = None,
    *,
    taken_apart: bool = False,
) -> Carried:
    """Put a model into the safest form that reproduces it.

    Parameters
    ----------
    own : the model's own numbers, which the artifact holds anyway, if its structure is known.
    taken_apart : whether a pipeline's steps are needed one by one, which ONNX does not keep.

    Raises
    ------
    ArtifactUnsupported
        A bare function, or a model that no form can carry.
    """
    model = predictor.model
    if isinstance(model, (TwinModel, ExactModel)):
        return Carried({}, {**_facts("arrays", model), "refused": []})
    if isinstance(model, OnnxModel):
        return _onnx(model, {"parity": None, "refused": []})  # it is the model itself
    if torch_export.takes(model):
        return _onnx(*torch_export.exported(predictor, background, sample))
    if not isinstance(model, EstimatorModel):
        remedy = "Explain the estimator itself, or an ONNX file: OnnxModel.open('model.onnx')."
        raise ArtifactUnsupported("the model", "a bare function cannot be saved", remedy)
    parity = _original(model, predictor, background, sample)
    refused: list[dict[str, str]] = []
    if own is not None and not taken_apart:
        copy = _of_arrays(own, _own_spaces(model, predictor.space), model.labels)
        try:
            facts = {**_facts("arrays", copy), "parity": parity.check(copy), "refused": []}
        except FormRefused as error:
            refused.append({"form": "arrays", "reason": str(error)})
        else:
            return Carried({}, facts)
    texts = open_texts(predictor, background.table)
    if texts:
        reason = f"it is another function of the text of {', '.join(texts)}, or may be one"
        refused.append({"form": "onnx", "reason": reason})
    elif taken_apart:
        reason = "it does not keep a pipeline's steps apart"
        refused.append({"form": "onnx", "reason": reason})
    forms = {"onnx": _to_onnx, "skops": _to_skops, "pickle": _to_pickle}
    for name, form in forms.items():
        if any(why["form"] == name for why in refused):
            continue
        try:
            carried = form(model, predictor.space, parity)
        except FormRefused as error:
            refused.append({"form": name, "reason": str(error)})
        else:
            return Carried(carried.files, {**carried.facts, "refused": refused})
    reasons = "; ".join(f"{why['form']}: {why['reason']}" for why in refused)
    remedy = "Export it to ONNX yourself and explain OnnxModel.open('model.onnx')."
    raise ArtifactUnsupported("the model", f"no form carries it ({reasons})", remedy)


def check_form(facts: Mapping[str, Any], files: Sequence[str], *, pinned: bool) -> None:
    """Refuse what a manifest says of its model before any of it is read.

    Raises
    ------
    ArtifactUntrusted
        A pickle in an artifact that nobody pinned.
    ArtifactCorrupt
        A form that is not known, or that other files are there for.
    """
    again = "Save the explainer again."
    form, spaces = facts.get("form"), facts.get("spaces")
    labels = facts.get("labels")
    if not isinstance(labels, list) or not are_labels(labels):
        raise ArtifactCorrupt("manifest.json", "its model's labels are none", again)
    known: tuple[OutputSpace, ...] = ("probability", "margin", "value")
    if not isinstance(spaces, list) or not spaces or not all(s in known for s in spaces):
        raise ArtifactCorrupt("manifest.json", "it names no output spaces for its model", again)
    expected = {
        "arrays": set(),
        "onnx": {file_name(space, spaces[0]) for space in spaces},
        "skops": {skops.FILE},
        "pickle": {pickled.FILE},
    }
    if not isinstance(form, str) or form not in expected:
        raise ArtifactCorrupt("manifest.json", "its model travels in an unknown form", again)
    if set(files) != expected[form]:
        raise ArtifactCorrupt("manifest.json", f"it lists other files than a {form} model's", again)
    if form == "pickle" and not pinned:
        remedy = (
            "If you trust where it comes from, pin its digest: load(..., expect_sha256=...) or "
            "serve --expect-sha256 ..."
        )
        raise ArtifactUntrusted(pickled.FILE, "reading a pickle can run anything", remedy)


def take(
    facts: Mapping[str, Any],
    files: Mapping[str, bytes],
    schema: FeatureSchema,
    own: Numbers = None,
) -> Model:
    """Read the model back from its files, checked by `check_form` before.

    Raises
    ------
    ArtifactError
    """
    if facts["form"] == "arrays":
        if own is None:
            again = "Save the explainer again."
            raise ArtifactCorrupt("manifest.json", "its model's arrays are not there", again)
        return _of_arrays(own, facts["spaces"], tuple(facts["labels"]))
    if facts["form"] == "onnx":
        spaces: list[OutputSpace] = facts["spaces"]
        contents = {space: files[file_name(space, spaces[0])] for space in spaces}
        labels = tuple(facts["labels"])
        # Older artifacts do not say it, but only of copies they tell how like the model they are.
        copied = facts.get("copied", facts.get("parity") is not None)
        n_known = [len(feature.categories) for feature in schema.features] if copied else ()
        model = OnnxModel(contents, labels, n_known)
        if len(model.named_classes) == len(labels) and model.named_classes != labels:
            remedy = "Save the explainer again."
            raise ArtifactCorrupt("manifest.json", "its labels are not the model's", remedy)
        return model
    if facts["form"] == "skops":
        return EstimatorModel(skops.read(files[skops.FILE]), schema)
    return EstimatorModel(pickled.read(files[pickled.FILE]), schema)


def _of_arrays(
    own: Twin | Exact, spaces: Sequence[OutputSpace], labels: Sequence[Any]
) -> TwinModel | ExactModel:
    if isinstance(own, Twin):
        return TwinModel(own, labels)
    return ExactModel(own, spaces, labels)


def _own_spaces(model: Model, explained: OutputSpace) -> tuple[OutputSpace, ...]:
    """What an exact game can answer: the space that is explained, and what margins stand for."""
    if explained != "margin":
        return (explained,)
    also: tuple[OutputSpace, ...] = ("probability", "value")
    return (explained, *(space for space in also if space in model.spaces))


def _original(
    model: EstimatorModel, predictor: Predictor, background: Background, sample: NDArray[np.float64]
) -> Parity:
    """The original's answers on held-out and edge rows."""
    spaces = {predictor.space, *(s for s in ("probability", "value") if s in model.spaces)}
    tables = [edges.edge_rows(predictor.schema, background)]
    thresholds = edges.threshold_rows(model.estimator, predictor.schema, background)
    crossings = crossing_rows(predictor, background)
    tables += [rows for rows in (thresholds, crossings) if rows is not None]
    held_out = edges.held_out_rows(background, sample)
    return Parity.of(model, sorted(spaces), held_out, *tables)


def _to_onnx(model: EstimatorModel, space: OutputSpace, parity: Parity) -> Carried:
    reasons = []
    try:
        for name, candidate in onnx_export.candidates(model, space):
            try:
                return _onnx(candidate, {"inputs": name, "parity": parity.check(candidate)})
            except FormRefused as error:
                reasons.append(f"{name}: {error}")
    except FormRefused as error:
        reasons.append(str(error))
    raise FormRefused("; ".join(filter(None, reasons)))


def _onnx(model: OnnxModel, facts: Mapping[str, Any]) -> Carried:
    files = {file_name(space, model.spaces[0]): data for space, data in model.files.items()}
    about = {**_facts("onnx", model), "copied": bool(model.n_known)}
    return Carried(files, {**about, **facts})


def _to_skops(model: EstimatorModel, _: OutputSpace, parity: Parity) -> Carried:
    data = skops.write(model.estimator)
    try:
        copy = EstimatorModel(skops.read(data), model.schema)
    except ArtifactError as error:
        raise FormRefused(error.problem) from error
    return Carried({skops.FILE: data}, {**_facts("skops", model), "parity": parity.check(copy)})


def _to_pickle(model: EstimatorModel, _: OutputSpace, parity: Parity) -> Carried:
    data = pickled.write(model.estimator)
    report = parity.check(EstimatorModel(pickled.read(data), model.schema))
    return Carried({pickled.FILE: data}, {**_facts("pickle", model), "parity": report})


def _facts(form: str, model: Model) -> dict[str, Any]:
    return {"form": form, "spaces": list(model.spaces), "labels": list(model.labels)}
