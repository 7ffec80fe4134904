"""Manifests that lead elsewhere, arrays that are none, models that are pickles."""

import json
import pickle
import sys

import numpy as np
import pytest

from scoring import ArtifactCorrupt, ArtifactMissing, ArtifactUntrusted, artifact_sha256, load, save
from scoring.arrays import npy_array
from scoring.artifact import read_manifest
from tests import saved
from tests.malice.hostile import ARRAYS, touch
from tests.saved import explainer, manifest_of, sign


@pytest.mark.parametrize(
    "name",
    [
        "../outside.pkl",
        "/etc/passwd",
        "arrays/../../outside.npy",
        "arrays/..npy",
        "arrays/.hidden.npy",
        "arrays//x.npy",
        "arrays/a\\b.npy",
        "arrays/x.npy\n",
        "model.joblib",
        "arrays/é.npy",
        "",
    ],
)
def test_a_manifest_lists_files_of_an_artifact_only(damaged, tmp_path, name):
    (tmp_path / "outside.pkl").write_bytes(b"x")
    said = manifest_of(damaged)
    said["files"][name] = {"sha256": "0" * 64, "bytes": 1, "dtype": "float64", "shape": [1]}
    (damaged / "manifest.json").write_text(json.dumps(said))
    for read in (load, read_manifest):
        with pytest.raises(ArtifactUntrusted, match="no file of an artifact"):
            read(damaged)


@pytest.mark.parametrize(
    "model",
    [
        {"form": "python"},
        {"form": "skops"},
        {"form": "skops", "spaces": ["probability"]},
        {"form": "onnx", "spaces": ["probability", "margin"]},
        {"form": "onnx", "spaces": []},
        {"form": "onnx", "spaces": ["../x"]},
        {"form": "onnx", "spaces": "value"},
        {"form": ["onnx"], "spaces": ["probability"]},
        {},
    ],
    ids=str,
)
def test_a_model_in_another_form_than_its_files_is_refused(damaged, model):
    sign(damaged, model=model)
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json"):
        load(damaged)


# --- Arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARRAYS)
def test_a_file_that_is_no_plain_array_is_refused(damaged, marker, name):
    (damaged / "arrays" / "sample.npy").write_bytes(ARRAYS[name])
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match=r"arrays/sample\.npy"):
        load(damaged)


@pytest.mark.parametrize("told", [{"shape": [4, 1]}, {"shape": []}, {"dtype": "float32"}], ids=str)
def test_arrays_are_what_the_manifest_says(damaged, told):
    said = manifest_of(damaged)
    said["files"]["arrays/sample.npy"] |= told
    sign(damaged, files=said["files"])
    with pytest.raises(ArtifactCorrupt, match=r"arrays/sample\.npy.*not the manifest's"):
        load(damaged)


@pytest.mark.parametrize("name", ARRAYS)
def test_no_such_array_is_taken_by_itself(name):
    with pytest.raises(ArtifactCorrupt):
        npy_array(memoryview(ARRAYS[name]), "x.npy")


def test_booleans_are_true_or_false(damaged):
    path = damaged / "arrays" / "design.masks.npy"
    data = bytearray(path.read_bytes())
    data[-1] = 2
    path.write_bytes(data)
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match="neither true nor false"):
        load(damaged)


# --- A pickled model ------------------------------------------------------------------------------


class Harmful:
    """A classifier that is too odd for the safer forms, and whose pickle can do anything."""

    classes_ = np.array([0, 1])
    on_load = None

    def predict_proba(self, x):
        p = 1 / (1 + np.exp(-np.asarray(x)[:, 0]))
        return np.column_stack([1 - p, p])

    def predict(self, x):
        return (np.asarray(x)[:, 0] > 0).astype(int)

    def fit(self, x, y):
        return self


@pytest.fixture
def pickled(tmp_path, monkeypatch):
    # By its own name: a class that only the tests know is what a user's own class is.
    monkeypatch.setitem(sys.modules, "harmful", sys.modules[__name__])
    monkeypatch.setattr(Harmful, "__module__", "harmful")
    return save(explainer(Harmful()), tmp_path / "pickled")


def test_a_pickled_model_loads_only_when_it_is_pinned(pickled):
    assert manifest_of(pickled)["model"]["form"] == "pickle"
    reasons = {why["form"]: why["reason"] for why in manifest_of(pickled)["model"]["refused"]}
    assert set(reasons) == {"onnx", "skops"}
    with pytest.raises(ArtifactUntrusted, match=r"model\.pkl.*expect_sha256"):
        load(pickled)
    with pytest.raises(ArtifactUntrusted, match="another was pinned"):
        load(pickled, "0" * 64)
    loaded = load(pickled, artifact_sha256(pickled))
    assert loaded.predict(np.ones((1, 4))).tolist() == [1]


def test_an_unpinned_pickle_does_not_run(pickled, marker):
    (pickled / "model.pkl").write_bytes(pickle.dumps(touch(marker)))
    sign(pickled)
    with pytest.raises(ArtifactUntrusted, match=r"model\.pkl"):
        load(pickled)


def test_a_pickle_under_another_models_name_does_not_run(artifact, tmp_path, marker):
    for form, file in {"onnx": "model.onnx", "skops": "model.skops"}.items():
        damaged = saved.copy(artifact, tmp_path / form)
        said = manifest_of(damaged)
        said["files"][file] = said["files"].pop("model.onnx")
        (damaged / "model.onnx").unlink()
        (damaged / file).write_bytes(pickle.dumps(touch(marker)))
        sign(damaged, files=said["files"], model=said["model"] | {"form": form})
        with pytest.raises(ArtifactCorrupt, match=file):
            load(damaged)


BAD_LABELS = [
    None,
    5,
    [[1], [2]],
    [{"a": 1}, 2],
    [None, None],
    ["a", 1],
    [0, 0],
    [10**30, 1],
    ["a", "b"],
]


@pytest.mark.parametrize("labels", BAD_LABELS, ids=str)
def test_labels_that_are_not_the_models_are_refused(damaged, labels):
    said = manifest_of(damaged)
    told = labels if isinstance(labels, list) else []
    sign(damaged, labels=told, model=said["model"] | {"labels": labels})
    with pytest.raises(ArtifactCorrupt, match=r"labels|classes"):
        load(damaged)


def rewrite(artifact, name, change):
    """Change an array as an attacker would, manifest and all."""
    path = artifact / "arrays" / f"{name}.npy"
    np.save(path, change(np.load(path)))
    sign(artifact)


@pytest.mark.parametrize("factor", [0.0, -1.0, 1e300])
def test_an_operator_that_does_not_add_up_is_refused(damaged, factor):
    rewrite(damaged, "operator", lambda operator: factor * operator)
    with pytest.raises(ArtifactCorrupt, match="add up"):
        load(damaged)


def test_a_sample_that_the_model_would_refuse_is_refused(damaged):
    rewrite(damaged, "sample", lambda sample: np.full_like(sample, np.nan))
    with pytest.raises(ArtifactCorrupt, match="sample lacks"):
        load(damaged)


@pytest.mark.parametrize("name", ["manifest.json", "scoring_explainer.pkl", "model.onnx"])
def test_links_to_themselves_and_out_of_the_artifact_are_refused(damaged, tmp_path, name):
    outside = tmp_path / "outside"
    (damaged / name).rename(outside)
    for target in (outside, damaged / name):
        (damaged / name).symlink_to(target)
        with pytest.raises((ArtifactUntrusted, ArtifactMissing)):
            load(damaged)
        (damaged / name).unlink()
