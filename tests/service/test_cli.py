"""The commands that end by themselves: distil, inspect, score."""

import json
import sys

import joblib
import numpy as np
import pandas as pd
import pytest

from scoring import artifact
from service.cli import run


def test_distil_puts_everything_it_was_told_into_the_artifact(files):
    manifest = artifact.read_manifest(files / "artifact")
    assert manifest["name"] == "churn"
    assert manifest["version"] == "2026.11"
    assert manifest["classes"] == ["gone", "still here"]
    assert manifest["fidelity"]["rows"]["from"] == "validation"
    names = [feature["name"] for feature in manifest["features"]]
    assert names == list(pd.read_parquet(files / "rows.parquet").columns)


def test_distil_takes_reasons_and_groups_from_files(files, tmp_path, capsys):
    reasons = {"output": "gone", "top": 2, "texts": {"money": {"increases": "Money matters"}}}
    (tmp_path / "reasons.json").write_text(json.dumps(reasons))
    (tmp_path / "groups.json").write_text(json.dumps({"money": ["income", "balance"]}))
    arguments = ["distil", "--model", str(files / "model.joblib"), "--no-progress"]
    arguments += ["--data", str(files / "train.parquet"), "--target", "target"]
    arguments += ["--classes", "gone, still here", "--output", str(tmp_path / "out")]
    arguments += ["--groups", str(tmp_path / "groups.json")]
    arguments += ["--reason-codes", str(tmp_path / "reasons.json")]
    assert run(arguments) == 0
    said = artifact.read_manifest(tmp_path / "out")
    assert said["reason_codes"] == reasons
    assert said["groups"] == {"money": ["income", "balance"]}
    assert run(["inspect", str(tmp_path / "out")]) == 0
    assert "Money matters" in capsys.readouterr().out
    problems = {
        "{": "not well-formed JSON",
        "[]": "must hold an object",
        '{"texts": {}, "best": 1}': "unknown key 'best'",
        '{"height": {"increases": "x"}}': "'height' is no feature",
    }
    for text, problem in problems.items():
        (tmp_path / "reasons.json").write_text(text)
        assert run([*arguments, "--exist-ok"]) == 1
        told = capsys.readouterr().err
        assert problem in told
        assert "Traceback" not in told


def test_distil_takes_chosen_columns_in_the_models_order(tmp_path, capsys):
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 4)), columns=["id", "b", "a", "y"])
    frame.to_csv(tmp_path / "train.csv", index=False)
    joblib.dump(LinearRegression().fit(frame[["a", "b"]], frame["y"]), tmp_path / "m.joblib")
    arguments = ["distil", "--model", str(tmp_path / "m.joblib"), "--no-progress"]
    arguments += ["--data", str(tmp_path / "train.csv"), "--output", str(tmp_path / "out")]
    assert run([*arguments, "--features", "a,b"]) == 0
    manifest = artifact.read_manifest(tmp_path / "out")
    assert [feature["name"] for feature in manifest["features"]] == ["a", "b"]
    assert run([*arguments, "--features", "a,b"]) != 0, "an artifact is not overwritten"
    assert run([*arguments, "--features", "a,b", "--exist-ok"]) == 0
    assert run([*arguments, "--features", "a,nonsense", "--exist-ok"]) == 1
    assert "no column 'nonsense'" in capsys.readouterr().err


def test_distil_takes_skops(files, tmp_path):
    import skops.io

    skops.io.dump(joblib.load(files / "model.joblib"), tmp_path / "model.skops")
    told = ["--data", str(files / "train.parquet"), "--target", "target", "--no-progress"]
    told += ["--output", str(tmp_path / "out")]
    assert run(["distil", "--model", str(tmp_path / "model.skops"), *told]) == 0
    assert artifact.load(tmp_path / "out").classes == ("leaves", "stays")


def without_names(directory):
    """An ONNX classifier of three classes that it only numbers."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["rows", "weights"], ["margins"]),
        helper.make_node("Softmax", ["margins"], ["scores"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    tensor = helper.make_tensor_value_info
    inputs = [tensor("rows", TensorProto.FLOAT, [None, 4])]
    outputs = [tensor("label", TensorProto.INT64, [None])]
    outputs += [tensor("scores", TensorProto.FLOAT, [None, 3])]
    held = [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph(nodes, "model", inputs, outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path = directory / "nameless.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_distil_takes_onnx(numeric, tmp_path, capsys):
    told = ["--data", str(numeric.parent / "train.csv"), "--target", "target", "--no-progress"]
    named = [*told, "--classes", "setosa,versicolor,virginica"]
    nameless = ["--model", str(without_names(tmp_path)), "--output", str(tmp_path / "nameless")]
    assert run(["distil", *told, *nameless]) == 1
    assert "names no classes; give --classes" in capsys.readouterr().err
    assert run(["distil", *named, *nameless]) == 0
    told = ["--model", str(numeric / "model.onnx"), "--output", str(tmp_path / "out")]
    assert run(["distil", *named, *told]) == 0
    distilled, original = artifact.load(tmp_path / "out"), artifact.load(numeric)
    rows = pd.read_csv(numeric.parent / "train.csv").iloc[:, :4].to_numpy()
    assert distilled.classes == ("setosa", "versicolor", "virginica")
    np.testing.assert_array_equal(distilled.predict(rows), original.predict(rows))


def test_inspect_is_readable(files, capsys):
    assert run(["inspect", str(files / "artifact")]) == 0
    told = capsys.readouterr().out
    assert artifact.artifact_sha256(files / "artifact") in told
    for word in ("churn", "2026.11", "gone, still here", "relative_rms_error", "income", "basic"):
        assert word in told
    assert max(map(len, told.splitlines())) < 200


def test_inspect_as_json(files, capsys):
    assert run(["inspect", str(files / "artifact"), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    digest = content.pop("artifact_sha256")
    assert digest == artifact.artifact_sha256(files / "artifact")
    assert content == artifact.read_manifest(files / "artifact")


@pytest.mark.parametrize("rows", ["rows.parquet", "rows.csv", "rows.json"])
def test_score_to_json_is_what_the_server_answers(files, answer, tmp_path, rows):
    output = tmp_path / "scored.json"
    told = ["--artifact", str(files / "artifact"), "--output", str(output), "--block-rows", "7"]
    assert run(["score", str(files / rows), *told]) == 0
    scored = json.loads(output.read_text())
    assert scored["predictions"] == answer.predictions.tolist()
    np.testing.assert_allclose(
        scored["local_importance_values"], answer.explanation.layout(), atol=1e-9
    )
    index = {"rows.csv": range(50), "rows.json": map(str, range(250, 300))}
    assert scored["index"] == list(index.get(rows, range(250, 300)))


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_score_to_a_table_adds_up(files, answer, tmp_path, extension):
    output = tmp_path / f"scored.{extension}"
    told = ["--artifact", str(files / "artifact"), "--output", str(output)]
    assert run(["score", str(files / "rows.parquet"), *told]) == 0
    frame = pd.read_csv(output) if extension == "csv" else pd.read_parquet(output)
    assert frame["index"].tolist() == list(range(250, 300))
    assert frame["prediction"].tolist() == answer.predictions.tolist()
    for k, name in enumerate(["gone", "still here"]):
        parts = [column for column in frame.columns if column.startswith(f"importance:{name}:")]
        assert len(parts) == 7
        total = frame[f"base_value:{name}"] + frame[parts].sum(axis=1)
        np.testing.assert_allclose(total, frame[f"probability:{name}"], atol=1e-6)
        np.testing.assert_allclose(total, answer.probabilities[:, k], atol=1e-6)


def test_score_to_stdout_and_without_columns_that_are_not_features(files, tmp_path, capsys):
    told = ["--artifact", str(files / "artifact")]
    assert run(["score", str(files / "held_out.parquet"), *told]) == 1
    assert "are not in the schema" in capsys.readouterr().err
    assert run(["score", str(files / "held_out.parquet"), *told, "--drop", "target"]) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"]) == 50


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command"),
        (["serve", "--nonsense"], "No such option"),
        (["serve", "--artifact", "x", "--port", "eighty"], "--port: "),
        (["score", "rows.csv"], "rows.csv"),
        (["inspect", "two\nlines"], "two lines"),
        (["distil", "--data", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_wrong_usage_is_one_line(arguments, said, capsys):
    assert run(arguments) != 0
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("shapserve: ")
    assert said in line


def test_files_that_cannot_be_read(files, tmp_path, capsys):
    nonsense = tmp_path / "nonsense"
    told = ["--artifact", str(files / "artifact")]
    for extension in (".csv", ".parquet", ".json", ".txt"):
        path = nonsense.with_suffix(extension)
        path.write_bytes(b"\x00\xff\xfe nonsense")
        assert run(["score", str(path), *told]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1
    for extension in (".joblib", ".pkl", ".skops", ".onnx", ".txt"):
        path = nonsense.with_suffix(extension)
        path.write_bytes(b"nonsense")
        data = ["--data", str(files / "train.parquet"), "--output", str(tmp_path / "out")]
        assert run(["distil", "--model", str(path), *data]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_output_that_cannot_be_written(files, tmp_path, capsys):
    told = ["--artifact", str(files / "artifact"), "--output"]
    rows = str(files / "rows.parquet")
    assert run(["score", rows, *told, str(tmp_path / "none" / "scored.json")]) == 1
    assert run(["score", rows, *told, str(tmp_path / "scored.xml")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize("name", ["", "distil", "serve", "score", "inspect"])
def test_help(name, capsys):
    assert run([*([name] if name else []), "--help"]) == 0
    assert "Usage: shapserve" in capsys.readouterr().out


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("shapserve ")


def test_a_serving_installation_says_what_a_command_lacks(files, capsys, monkeypatch):
    told = ["--artifact", str(files / "artifact")]
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert run(["score", str(files / "rows.csv"), *told]) == 0, "CSV needs nothing more"
    assert run(["score", str(files / "rows.parquet"), *told]) == 1
    assert "pandas is not installed here: pip install" in capsys.readouterr().err
