"""Saved and read again: the same explainer, in any process."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from scoring import (
    ArtifactUnsupported,
    ArtifactUntrusted,
    ParameterError,
    artifact_sha256,
    load,
    save,
    unpickle,
)
from scoring.artifact import read_manifest
from tests import saved
from tests.saved import explainer, in_a_file, manifest_of, rows

EXPLAIN = """
import json, sys
import numpy as np
from scoring import load
rows = np.array(json.loads(sys.argv[2]))
loaded = load(sys.argv[1])
heavy = [name for name in ("sklearn", "pandas", "scipy", "shap", "skops", "joblib")
         if name in sys.modules]
print(json.dumps([loaded.explain(rows), loaded.predict(rows).tolist(), heavy]))
"""


# --- The same again -------------------------------------------------------------------------------


def models():
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
    from sklearn.linear_model import LinearRegression

    return {
        "onnx double": (saved.logistic(), 1e-12, []),
        "onnx float": (GradientBoostingClassifier(n_estimators=5), 1e-6, []),
        "skops": (HistGradientBoostingClassifier(max_iter=5), 1e-12, ["sklearn"]),
        "regression": (LinearRegression(), 1e-12, []),
    }


@pytest.mark.parametrize("name", models())
def test_a_new_process_explains_the_same_as_the_one_that_saved(name, tmp_path):
    model, tolerance, needs = models()[name]
    made = in_a_file(explainer(model))
    save(made, tmp_path / "artifact")
    x = rows(5, seed=1)[0]
    said = saved.python(EXPLAIN, tmp_path / "artifact", json.dumps(x.tolist()))
    values, predictions, heavy = json.loads(said)
    np.testing.assert_allclose(values, made.explain(x), rtol=0, atol=tolerance)
    if name == "regression":  # another process may add up in another order
        np.testing.assert_allclose(predictions, made.predict(x), rtol=tolerance)
    else:
        assert predictions == made.predict(x).tolist()
    assert set(needs) <= set(heavy)
    assert bool(heavy) == bool(needs)  # what needs no scikit-learn does not import it


def test_a_mixed_table_comes_back_with_its_gaps_and_categories(mixed, tmp_path):
    x, _, model = mixed
    from scoring import KernelScoringExplainer, TabularExplainer

    made = KernelScoringExplainer(TabularExplainer(model, x[:40]))
    loaded = load(save(made, tmp_path))
    assert loaded.predictor.schema == made.predictor.schema
    some = x[40:60]
    np.testing.assert_allclose(loaded.explain(some), made.explain(some), rtol=0, atol=1e-6)
    assert loaded.predict(some).tolist() == made.predict(some).tolist()


def test_everything_that_is_pickled_comes_back(original, artifact):
    loaded = load(artifact)
    for name in ("name", "version", "method", "block_bytes"):
        assert getattr(loaded, name) == getattr(original, name)
    assert loaded.predictor.schema == original.predictor.schema
    assert loaded.background.method == original.background.method
    for name in ("operator", "base_values", "sample"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(original, name))
    assert loaded.design is not None
    assert original.design is not None
    np.testing.assert_array_equal(loaded.design.masks, original.design.masks)
    assert loaded.report.keys() == original.report.keys()


def test_arrays_cannot_be_written(artifact):
    operator = load(artifact).operator
    assert operator is not None
    assert not operator.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        operator[0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        operator.setflags(write=True)


CUT_SHORT = """
import pathlib, sys
import numpy as np
from scoring import load
x = np.zeros((2, 4))
loaded = load(sys.argv[1])
for path in pathlib.Path(sys.argv[1]).rglob("*.*"):
    path.write_bytes(b"")
again, first = loaded.explain(x), load(sys.argv[2]).explain(x)
print(again == first)
"""


def test_files_that_are_cut_short_after_loading_change_nothing(artifact, tmp_path):
    copied = shutil.copytree(artifact, tmp_path / "copied")
    assert saved.python(CUT_SHORT, copied, artifact).strip() == "True"


def test_the_pickle_in_an_artifact_names_it_too(original, artifact):
    x = rows(3)[0]
    loaded = load(artifact / "scoring_explainer.pkl")
    np.testing.assert_allclose(loaded.explain(x), original.explain(x), atol=1e-12)


def test_the_pickle_alone_says_nothing_to_other_unpicklers(artifact):
    import joblib

    with pytest.raises(pickle.UnpicklingError, match="persistent"):
        joblib.load(artifact / "scoring_explainer.pkl")


def test_a_loaded_explainer_can_be_saved_again_over_itself(artifact, tmp_path):
    again = saved.copy(artifact, tmp_path / "again")
    digest = artifact_sha256(again)
    save(load(again), again, exist_ok=True)
    load(again, artifact_sha256(again))
    assert manifest_of(again)["files"] == manifest_of(artifact)["files"]
    assert digest == artifact_sha256(artifact)


def test_the_same_explainer_has_the_same_digest(tmp_path):
    from sklearn.ensemble import HistGradientBoostingClassifier

    for name, model in {"onnx": None, "skops": HistGradientBoostingClassifier(max_iter=3)}.items():
        made = in_a_file(explainer(model))
        first, second = (save(made, tmp_path / f"{name}{k}") for k in range(2))
        assert artifact_sha256(first) == artifact_sha256(second)
        assert manifest_of(first)["model"]["form"] == name


def test_an_older_pickle_may_lack_what_has_a_default_now(original, monkeypatch):
    kept = unpickle._annotations
    monkeypatch.setattr(
        unpickle, "_annotations", lambda kind: {k: v for k, v in kept(kind).items() if k != "seed"}
    )
    names = {id(original.predictor.model): "model"}
    arrays = {"masks": original.design.masks, "weights": original.design.weights}
    names |= {id(array): f"array:{name}" for name, array in arrays.items()}
    older = unpickle.dumps(original.design, names)
    monkeypatch.undo()
    kind, state = unpickle.loads(older, lambda name: arrays[name.removeprefix("array:")], "old")
    assert kind(**state).seed == 0


# --- What the manifest says -----------------------------------------------------------------------


def test_the_manifest_describes_the_explainer(original, artifact):
    said = read_manifest(artifact)
    assert said["format_version"] == 1
    assert [feature["name"] for feature in said["features"]] == list(original.features)
    assert said["classes"] == ["0", "1"]
    assert said["labels"] == [0, 1]
    assert said["output_space"] == "probability"
    assert said["fidelity"]["method"] == original.report["method"]
    assert said["model"]["form"] == "onnx"
    assert said["model"]["parity"]["label_differences"] == 0
    assert said["versions"]["numpy"] == np.__version__
    on_disk = {str(p.relative_to(artifact)) for p in artifact.rglob("*") if p.is_file()}
    assert on_disk == {"manifest.json", *said["files"]}
    for name, told in said["files"].items():
        assert told["bytes"] == (artifact / name).stat().st_size
    assert said["files"]["arrays/operator.npy"]["shape"] == list(original.operator.shape)


def test_the_digest_is_that_of_the_manifest(artifact):
    import hashlib

    data = (artifact / "manifest.json").read_bytes()
    assert artifact_sha256(artifact) == hashlib.sha256(data).hexdigest()


def test_a_pinned_digest_is_asked_first(damaged):
    digest = artifact_sha256(damaged)
    load(damaged, digest)
    load(damaged, f"sha256:{digest.upper()}")
    (damaged / "manifest.json").write_text("{ broken")
    with pytest.raises(ArtifactUntrusted, match="another was pinned"):
        load(damaged, digest)
    with pytest.raises(ParameterError, match="64 hexadecimal digits"):
        load(damaged, "abc")


# --- Where it is saved ----------------------------------------------------------------------------


def test_an_artifact_is_not_overwritten_unless_asked(original, damaged):
    before = artifact_sha256(damaged)
    with pytest.raises(ArtifactUnsupported, match=r"exist_ok=True"):
        save(original, damaged)
    assert artifact_sha256(damaged) == before


def test_somebody_elses_file_is_not_overwritten(original, tmp_path):
    (tmp_path / "model.onnx").write_text("mine")
    with pytest.raises(ArtifactUnsupported, match="there already"):
        save(original, tmp_path)
    assert (tmp_path / "model.onnx").read_text() == "mine"


def test_replacing_removes_what_only_the_old_artifact_had(original, tmp_path):
    from sklearn.ensemble import HistGradientBoostingClassifier

    save(explainer(HistGradientBoostingClassifier(max_iter=2)), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    save(original, tmp_path, exist_ok=True)
    assert not (tmp_path / "model.skops").exists()
    assert (tmp_path / "notes.txt").exists()
    assert not list(tmp_path.glob(".saving-*"))
    load(tmp_path)


def test_an_old_manifest_cannot_have_other_files_removed(original, damaged, tmp_path):
    victim = tmp_path / "victim.npy"
    victim.write_text("mine")
    said = manifest_of(damaged)
    said["files"]["arrays/../../victim.npy"] = {"sha256": "", "bytes": 4}
    (damaged / "manifest.json").write_text(json.dumps(said))
    save(original, damaged, exist_ok=True)
    assert victim.exists()


def test_a_save_that_fails_leaves_what_was_there(original, damaged, monkeypatch):
    before = artifact_sha256(damaged)

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("scoring.artifact.load", full)
    with pytest.raises(OSError, match="no space"):
        save(original, damaged, exist_ok=True)
    assert artifact_sha256(damaged) == before
    monkeypatch.undo()
    load(damaged)
    assert not list(damaged.glob(".saving-*"))


def test_what_cannot_be_saved_says_what_can(tmp_path):
    from scoring import KernelScoringExplainer, TabularExplainer

    x, y = rows()
    model = saved.logistic().fit(x, y)
    bare = KernelScoringExplainer(TabularExplainer(lambda z: model.predict_proba(z)[:, 1], x[:20]))
    with pytest.raises(ArtifactUnsupported, match=r"estimator itself.*OnnxModel\.open"):
        save(bare, tmp_path)
    with pytest.raises(ParameterError, match="scoring explainer"):
        save(model, tmp_path)
    assert not list(tmp_path.iterdir())


# --- The first version, frozen --------------------------------------------------------------------

V1 = Path(__file__).parent / "artifacts" / "v1"


def test_the_first_artifact_is_still_read_and_still_says_the_same():
    answers = json.loads(V1.with_name("v1-answers.json").read_text())
    loaded = load(V1, answers["sha256"])
    asked = answers["rows"]
    columns = {name: [row[name] for row in asked] for name in loaded.features}
    scored = loaded.score(loaded.predictor.schema.encode_columns(columns))
    assert scored.predictions.tolist() == answers["predictions"]
    np.testing.assert_allclose(
        scored.explanation.local_importance_values, answers["values"], atol=1e-9
    )
    np.testing.assert_allclose(loaded.base_values, answers["base_values"], atol=1e-12)
    assert (loaded.name, loaded.version) == ("customers", "1.0")
