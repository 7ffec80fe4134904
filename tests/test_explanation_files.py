"""Saved results: equal to the digit, and refused when anything was done to them."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from scoring import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactMissing,
    ArtifactUnsupported,
    ArtifactUntrusted,
    ParameterError,
)
from scoring.explanation_files import load_explanation, save_explanation
from tests.explanations import OUTPUTS, every_task, local, overall


def everything(task):
    shares, n_outputs = np.full((2, 5), 0.5), len(OUTPUTS[task])
    reasons = [[{"feature": "f1", "direction": "increases", "value": 0.5, "text": "…"}]]
    mapped = {"feature_map": shares, "raw_features": ("l", "r")}
    return [
        local(task),
        local(task, n_rows=0),
        local(task, remainder=np.ones((4, n_outputs)), reason_codes=reasons * 4),
        local(task, **mapped, fidelity={"r2": {"a": None}}),
        overall(task),
        overall(task, **mapped, raw_per_output=np.ones((n_outputs, 2))),
        overall(task, standard_deviations=np.arange(5.0)),
    ]


@every_task
def test_saved_and_loaded_are_the_same(task, tmp_path):
    for number, explanation in enumerate(everything(task)):
        path = tmp_path / str(number)
        save_explanation(explanation, path)
        found = load_explanation(path)
        assert type(found) is type(explanation)
        for field in fields(explanation):
            one, two = getattr(found, field.name), getattr(explanation, field.name)
            if isinstance(two, np.ndarray):
                np.testing.assert_array_equal(one, two, strict=True)
            else:
                assert one == two, field.name
        assert repr(found) == repr(explanation)
        again = pickle.loads(pickle.dumps(explanation))
        assert repr(again) == repr(explanation)


def test_saving_over_another_leaves_nothing_of_it(tmp_path):
    save_explanation(everything("binary")[2], tmp_path)
    with pytest.raises(ArtifactUnsupported, match="exist_ok=True"):
        save_explanation(local(), tmp_path)
    save_explanation(local("three"), tmp_path, exist_ok=True)
    assert {p.name for p in tmp_path.iterdir()} == {
        "explanation.json", "values.npy", "base_values.npy", "outputs.npy",
    }  # fmt: skip
    assert load_explanation(tmp_path).output_names == ("a", "b", "c")
    with pytest.raises(ParameterError, match="explanation must be"):
        save_explanation([1, 2], tmp_path, exist_ok=True)  # type: ignore[arg-type]  # the point
    with pytest.raises(ParameterError, match="path must be a directory"):
        save_explanation(local(), tmp_path / "values.npy")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"values": np.ones((4, 5, 2), np.float32)}, "values is unusable"),
        ({"features": ("one",)}, "disagree about the number of features"),
        ({"features": (1, 2, 3, 4, 5)}, "features are no list of texts"),
        ({"reason_codes": [[]]}, "disagree about the number of rows"),
        ({"output_space": "logit"}, "output_space is none"),
        ({"method": None}, "lacks a part"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(changes, rule, tmp_path):
    with pytest.raises(ParameterError, match=f"explanation cannot be saved: .*{rule}"):
        save_explanation(replace(local(), **changes), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_no_more_is_written_than_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("scoring.explanation_files.LARGEST", 100)
    with pytest.raises(ParameterError, match="more than 100 bytes of words"):
        save_explanation(local(), tmp_path)


def test_a_save_that_breaks_off_is_no_explanation(tmp_path, monkeypatch):
    save_explanation(local(), tmp_path)
    moves, rename = [], Path.replace

    def replace_one(self, target):
        moves.append(target)
        if len(moves) == 2:
            raise OSError("the disk is full")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace_one)
    other = replace(local(), values=local().values + 1, base_values=local().base_values - 1)
    with pytest.raises(OSError, match="full"):
        save_explanation(other, tmp_path, exist_ok=True)
    with pytest.raises(ArtifactCorrupt, match="SHA-256"):
        load_explanation(tmp_path)
    assert not list(tmp_path.glob(".saving-*"))
    moves.clear()
    with pytest.raises(OSError, match="full"):
        save_explanation(other, tmp_path / "new")
    with pytest.raises(ArtifactMissing, match="there is no explanation here"):
        load_explanation(tmp_path / "new")


def test_numbers_keep_every_digit_and_gaps_stay_gaps(tmp_path):
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]).reshape(1, 5, 1)
    explanation = replace(local("value", n_rows=1), values=np.tile(odd, (1, 1, 1)))
    save_explanation(explanation, tmp_path)
    assert load_explanation(tmp_path).values.tobytes() == odd.tobytes()


def changed(**changes):
    def change(path):
        told = json.loads((path / "explanation.json").read_text())
        (path / "explanation.json").write_text(json.dumps(told | changes))

    return change


def linked(path, name):
    (path / name).rename(path / "elsewhere")
    (path / name).symlink_to(path / "elsewhere")


def leaving(path):
    (path / "values.npy").rename(path.parent / "values.npy")
    (path / "values.npy").symlink_to(path.parent / "values.npy")


def instead(path, name):
    (path / name).unlink()
    (path / name).mkdir()


def flipped(path):
    data = bytearray((path / "values.npy").read_bytes())
    data[-1] ^= 1
    (path / "values.npy").write_bytes(data)


def signed(array):
    def change(path):
        np.save(path / "values.npy", array, allow_pickle=True)
        told = json.loads((path / "explanation.json").read_text())
        digest = hashlib.sha256((path / "values.npy").read_bytes()).hexdigest()
        changed(arrays=told["arrays"] | {"values": digest})(path)

    return change


def padded(path):
    text = (path / "explanation.json").read_text()
    overwritten(path, text + " " * 64 * 2**20)


def overwritten(path, text):
    (path / "explanation.json").write_text(text)


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
    "too large": (ArtifactCorrupt, padded),
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


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_explanation_is_refused(damage, tmp_path):
    kind, change = DAMAGES[damage]
    save_explanation(local(), tmp_path)
    change(tmp_path)
    with pytest.raises(kind) as caught:
        load_explanation(tmp_path)
    assert isinstance(caught.value, ArtifactError)
