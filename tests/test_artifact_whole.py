"""An artifact is whole or it is refused: files missing, cut, changed, or not fitting each other."""

import json
import os
import shutil

import pytest

from scoring import ArtifactCorrupt, ArtifactMissing, ArtifactUnsupported, ArtifactUntrusted, load
from scoring.artifact import read_manifest
from tests import saved
from tests.saved import manifest_of, rows, sign

FILES = (
    "manifest.json", "scoring_explainer.pkl", "model.onnx", "arrays/operator.npy",
    "arrays/background.table.codes.npy", "arrays/design.masks.npy",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(damaged, name):
    (damaged / name).unlink()
    with pytest.raises(ArtifactMissing, match=name) as caught:
        load(damaged)
    assert "artifact" in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named(damaged, name):
    path = damaged / name
    path.write_bytes(path.read_bytes()[:-7])
    problem = "well-formed" if name == "manifest.json" else "its size"
    with pytest.raises(ArtifactCorrupt, match=f"{name}: .*{problem}"):
        load(damaged)
    with pytest.raises(ArtifactCorrupt, match=name):
        read_manifest(damaged)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_flipped_bit_is_found(damaged, name):
    path = damaged / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactCorrupt, match=f"{name}.*SHA-256"):
        load(damaged)


def test_no_artifact_and_half_of_one_are_told_apart(damaged, tmp_path):
    with pytest.raises(ArtifactMissing, match="no artifact here"):
        load(tmp_path / "nowhere")
    lone = tmp_path / "lone"
    lone.mkdir()
    shutil.copy(damaged / "scoring_explainer.pkl", lone)
    for path in (lone, lone / "scoring_explainer.pkl"):
        with pytest.raises(ArtifactMissing, match=r"pickle alone.*copy all of it"):
            load(path)


def test_links_inside_the_directory_are_followed_as_kubernetes_mounts_them(artifact, tmp_path):
    mount = tmp_path / "mount"
    saved.copy(artifact, mount / "..2024_01_01")
    (mount / "..data").symlink_to("..2024_01_01")
    for name in ("manifest.json", "scoring_explainer.pkl", "model.onnx", "arrays"):
        (mount / name).symlink_to(f"..data/{name}")
    load(mount)


@pytest.mark.parametrize("name", ["model.onnx", "arrays/operator.npy"])
def test_links_out_of_the_directory_are_not(damaged, tmp_path, name):
    outside = tmp_path / "outside"
    (damaged / name).rename(outside)
    (damaged / name).symlink_to(outside)
    with pytest.raises(ArtifactUntrusted, match=f"{name}.*leaves the directory"):
        load(damaged)


def test_a_pipe_is_not_waited_for(damaged):
    (damaged / "model.onnx").unlink()
    os.mkfifo(damaged / "model.onnx")
    with pytest.raises(ArtifactMissing, match=r"model\.onnx"):
        load(damaged)


def test_a_file_that_is_not_listed_is_never_opened(damaged):
    (damaged / "model.pkl").write_bytes(b"anything")
    (damaged / "model.skops").symlink_to("/nowhere")
    load(damaged)


def test_a_later_format_asks_for_a_later_version(damaged):
    later = manifest_of(damaged) | {"format_version": 2, "files": "may be told differently"}
    (damaged / "manifest.json").write_text(json.dumps(later))
    with pytest.raises(ArtifactUnsupported, match=r"format version 2.*Upgrade"):
        load(damaged)


@pytest.mark.parametrize(
    "change",
    [
        {"features": []},
        {"classes": ["1", "0"]},
        {"labels": [1, 0]},
        {"labels": [False, True]},
        {"output_space": "margin"},
        {"output_names": ["a", "b"]},
        {"method": "exact"},
        {"name": "another"},
        {"fidelity": {"relative_rms_error": 0.5}},
    ],
    ids=lambda change: f"{change}"[:40],
)
def test_a_manifest_that_tells_something_else_is_refused(damaged, change):
    sign(damaged, **change)
    with pytest.raises(ArtifactCorrupt, match=f"other {next(iter(change))} "):
        load(damaged)


def test_a_manifest_with_other_features_is_refused(damaged):
    features = manifest_of(damaged)["features"]
    for key, value in {"name": "other", "kind": "integer", "maximum": 1e9}.items():
        sign(damaged, features=[features[0] | {key: value}, *features[1:]])
        with pytest.raises(ArtifactCorrupt, match="other features"):
            load(damaged)
    sign(damaged, features=features[::-1])
    with pytest.raises(ArtifactCorrupt, match="other features"):
        load(damaged)
    sign(damaged, features=features)
    load(damaged)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "well-formed"),
        ("[]", "which format"),
        ('{"format_version": 1, "format_version": 1}', "well-formed"),
        ('{"format_version": NaN}', "well-formed"),
        ('{"format_version": true}', "which format"),
        ('{"format_version": 0}', "which format"),
        ('{"format_version": 1}', "missing"),
        ("[" * 100_000, "well-formed"),
        ('{"format_version": ' + "9" * 5000 + "}", "well-formed"),
        ("\xff\xfe", "well-formed"),
    ],
)
def test_a_manifest_that_is_not_one_is_refused(damaged, text, problem):
    (damaged / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ArtifactCorrupt, match=problem):
        load(damaged)


def test_another_model_of_the_same_shape_is_found_out(damaged, tmp_path):
    x, y = rows()
    other = saved.saved(tmp_path / "other", x=x, y=1 - y)
    shutil.copy(other / "model.onnx", damaged / "model.onnx")
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match="not the base values"):
        load(damaged)
