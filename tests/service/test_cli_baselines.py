"""Named backgrounds from the command line to the manifest."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from scoring import artifact
from service.cli import run


def distil(directory, output, *more):
    return run(
        [
            *("distil", "--model", str(directory / "model.pkl"), "--no-progress"),
            *("--data", str(directory / "train.csv"), "--target", "target"),
            *("--output", str(output), *more),
        ]
    )


def test_a_baseline_is_a_file_of_rows(numeric, tmp_path, capsys):
    directory = numeric.parent
    train = pd.read_csv(directory / "train.csv")
    cohort = train[train["target"] == 0]
    cohort.iloc[:, ::-1].to_csv(tmp_path / "approved.csv", index=False)  # and more columns
    given = ("--baseline", f"approved={tmp_path / 'approved.csv'}")
    assert distil(directory, tmp_path / "artifact", *given) == 0
    explainer = artifact.load(tmp_path / "artifact")
    assert explainer.baselines == ("approved",)
    told = explainer.against("approved").explain_local(train.iloc[:3, :4])
    mean = explainer.predictor.outputs(explainer.predictor.schema.encode(cohort.iloc[:, :4])).mean(
        axis=0
    )
    np.testing.assert_allclose(told.base_values, mean, atol=1e-6)
    capsys.readouterr()
    assert run(["inspect", str(tmp_path / "artifact")]) == 0
    shown = capsys.readouterr().out
    section = shown.partition("\nbaselines\n")[2].partition("\n\n")[0]
    assert "  approved\n" in section
    assert "all rows (50)" in section
    assert "n_rows" in shown.partition("\nreference\n")[2].partition("\n\n")[0]
    assert run(["inspect", "--json", str(tmp_path / "artifact")]) == 0
    assert set(json.loads(capsys.readouterr().out)["baselines"]) == {"approved"}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["nothing"], "must be NAME=FILE"),
        (["a=train.csv", "a=train.csv"], "each name once"),
        (["a=no.csv"], "No such file"),
        (["two words=train.csv"], "must have names of up to 64 letters"),
    ],
)
def test_a_baseline_that_cannot_be_is_one_line(
    numeric, tmp_path, capsys, monkeypatch, given, problem
):
    monkeypatch.chdir(numeric.parent)
    options = [part for text in given for part in ("--baseline", text)]
    assert distil(numeric.parent, tmp_path / "artifact", *options) == 1
    told = capsys.readouterr().err
    assert problem in told
    assert told.count("\n") == 1
    assert not (tmp_path / "artifact").exists()
