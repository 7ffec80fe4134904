"""Explanations of every kind, with numbers from a fixed seed."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.explanation import GlobalExplanation, LocalExplanation


OUTPUTS = {"binary": ("no", "yes"), "value": ("value",), "three": ("a", "b", "c")}


def local(task="binary", n_rows=4, n_features=5, **more):
    rng = np.random.default_rng(0)
    names = OUTPUTS[task]
    values = rng.normal(size=(n_rows, n_features, len(names)))
    base = rng.normal(size=len(names))
    given = {"features": tuple(f"f{j}" for j in range(n_features))} | more
    return LocalExplanation(
        values, base, base + values.sum(axis=1), given.pop("features"), names,
        "value" if task == "value" else "probability", task != "value", "exact enumeration",
        30, "10 k-means centroids for 99 rows", **given,
    )  # fmt: skip


def overall(task="binary", **more):
    explanation = local(task)
    return GlobalExplanation(
        np.abs(explanation.values).mean(axis=0).T, explanation.features, explanation.output_names,
        explanation.output_space, explanation.method, 4, explanation.background,
        base_values=explanation.base_values, **more,
    )  # fmt: skip


every_task = pytest.mark.parametrize("task", OUTPUTS)


DAMAGES = {
    "no index": (ArtifactMissing, lambda path: (path / "explanation.json").unlink()),
    "no array": (ArtifactMissing, lambda path: (path / "values.npy").unlink()),
    "another array": (ArtifactCorrupt, lambda path: np.save(path / "values.npy", np.ones(3))),
    "objects": (
        ArtifactCorrupt,
        lambda path: np.save(path / "values.npy", np.array([{}]), allow_pickle=True),
    ),
    "a link": (ArtifactUntrusted, lambda path: linked(path, "values.npy")),
    "a linked index": (ArtifactUntrusted, lambda path: linked(path, "explanation.json")),
    "a link away": (ArtifactUntrusted, leaving),
    "a directory": (ArtifactMissing, lambda path: instead(path, "values.npy")),
    "another byte": (ArtifactCorrupt, flipped),
    "single precision": (ArtifactCorrupt, signed(np.ones((4, 5, 2), np.float32))),
    "the other byte order": (ArtifactCorrupt, signed(np.ones((4, 5, 2), ">f8"))),
    "another rank": (ArtifactCorrupt, signed(np.ones((4, 5)))),
    "fewer rows": (ArtifactCorrupt, signed(np.ones((3, 5, 2)))),
    "objects with their digest": (ArtifactCorrupt, signed(np.array([{}] * 40).reshape(4, 5, 2))),
    "no index of ours": (ArtifactCorrupt, lambda path: overwritten(path, "[]")),
    "not a number": (ArtifactCorrupt, lambda path: overwritten(path, '{"format_version": NaN}')),
    "no text": (ArtifactCorrupt, lambda path: (path / "explanation.json").write_bytes(b"\xff")),
    "too large": (ArtifactCorrupt, lambda path: overwritten(path, " " * (64 * 2**20 + 1))),
    "another format": (ArtifactUnsupported, changed(format_version=2)),
    "format nought": (ArtifactCorrupt, changed(format_version=0)),
    "kinds": (ArtifactCorrupt, changed(kind=["local"])),
    "the other kind": (ArtifactCorrupt, changed(kind="global")),
    "arrays in a list": (ArtifactCorrupt, changed(arrays=[])),
    "a digest that is none": (ArtifactCorrupt, changed(arrays={"values": 1})),
    "less than nothing": (ArtifactCorrupt, changed(n_coalitions=-1)),
    "another space": (ArtifactCorrupt, changed(output_space="logit")),
    "reasons that are none": (ArtifactCorrupt, changed(reason_codes=[[{"feature": 1}]] * 4)),
    "fewer reasons": (ArtifactCorrupt, changed(reason_codes=[[]])),
    "fidelity in a list": (ArtifactCorrupt, changed(fidelity=[])),
    "no format": (ArtifactCorrupt, changed(format_version="1")),
    "another kind": (ArtifactCorrupt, changed(kind="os.system")),
    "an unknown array": (ArtifactCorrupt, changed(arrays={"../values": "0"})),
    "fewer arrays": (ArtifactCorrupt, changed(arrays={})),
    "fewer names": (ArtifactCorrupt, changed(features=["f0"])),
    "names that are none": (ArtifactCorrupt, changed(features=[1, 2, 3, 4, 5])),
    "another type": (ArtifactCorrupt, changed(n_coalitions=True)),
    "cut": (ArtifactCorrupt, lambda path: (path / "explanation.json").write_text('{"a"')),
    "twice": (ArtifactCorrupt, lambda path: (path / "explanation.json").write_text('{"":1,"":1}')),
    "deep": (ArtifactCorrupt, lambda path: (path / "explanation.json").write_text("[" * 100_000)),
}  # fmt: skip
