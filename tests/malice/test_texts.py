"""Values and texts that break what is behind the checks: none gets through them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from scoring import (
    ArtifactCorrupt,
    ArtifactUntrusted,
    KernelScoringExplainer,
    ParameterError,
    RowsError,
    TabularExplainer,
    load,
    save,
    unpickle,
)
from scoring.feature import Feature
from scoring.forms import skops
from tests import saved

HALF = "\ud800"


@pytest.mark.parametrize("kind", [CountVectorizer, TfidfVectorizer, HashingVectorizer])
@pytest.mark.parametrize("source", ["filename", "file"])
def test_a_vectorizer_that_opens_files_is_refused(kind, source):
    vectorizer = kind(input=source)
    with pytest.raises(ArtifactCorrupt, match="opens the files that its rows name"):
        skops.read(skops.write(make_pipeline(vectorizer, LogisticRegression())))
    skops.read(skops.write(make_pipeline(kind(), LogisticRegression())))


@pytest.mark.parametrize("lacking", ["decode_error", "input", "encoding"])
@pytest.mark.parametrize("kind", [CountVectorizer, TfidfVectorizer, HashingVectorizer])
def test_a_vectorizer_is_known_by_its_class_and_not_by_what_its_file_says(kind, lacking):
    vectorizer = kind(input="filename")
    delattr(vectorizer, lacking)
    for model in (vectorizer, make_pipeline(ColumnTransformer([("c", vectorizer, "text")]))):
        with pytest.raises(ArtifactCorrupt, match="opens the files that its rows name"):
            skops.read(skops.write(model))


def test_a_model_that_opens_files_travels_as_a_pickle_that_must_be_pinned(tmp_path):
    for name, words in {"one": "nothing here", "two": "password here"}.items():
        (tmp_path / name).write_text(words)
    rng = np.random.default_rng(0)
    chosen = rng.choice([str(tmp_path / "one"), str(tmp_path / "two")], 40)
    rows = pd.DataFrame({"x": rng.normal(size=40), "file": chosen})
    vectorizer = CountVectorizer(input="filename", vocabulary=["password"])
    steps = ColumnTransformer([("words", vectorizer, "file")])
    model = make_pipeline(steps, LogisticRegression()).fit(rows, chosen == str(tmp_path / "two"))
    sampled = KernelScoringExplainer(TabularExplainer(model, rows), method="kernel")
    made = save(sampled, tmp_path / "made")
    told = saved.manifest_of(made)["model"]
    assert told["form"] == "pickle"
    reasons = {refused["form"]: refused["reason"] for refused in told["refused"]}
    assert "opens the files" in reasons["skops"]
    with pytest.raises(ArtifactUntrusted, match="pickle"):
        load(made)
    # A file that says skops all the same is refused when it is read.
    (made / "model.skops").write_bytes(skops.write(model))
    (made / "model.pkl").unlink()
    said = saved.manifest_of(made)
    said["files"]["model.skops"] = said["files"].pop("model.pkl")
    saved.sign(made, files=said["files"], model=told | {"form": "skops"})
    with pytest.raises(ArtifactCorrupt, match=r"model\.skops: a vectorizer opens the files"):
        load(made)


def explained(dtype, values):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"x": rng.normal(size=60), "zip": pd.Categorical(rng.choice(values, 60).astype(dtype))}
    )
    encoder = OneHotEncoder(handle_unknown="ignore")
    steps = ColumnTransformer([("c", encoder, ["zip"])], remainder="passthrough")
    model = make_pipeline(steps, LogisticRegression()).fit(rows, rows["x"] > 0)
    return KernelScoringExplainer(TabularExplainer(model, rows))


@pytest.mark.parametrize(
    ("dtype", "values", "given"),
    [
        ("int64", [1, 2], [10**30]),
        ("int64", [1, 2], [1e300]),
        ("int64", [1, 2], [-(2.0**63)]),  # which whole number it was, nobody knows any more
        ("int64", [1, 2], [2.0**53 + 2]),
        ("int8", [1, 2], [257]),
        ("uint8", [1, 2], [257]),
        ("uint8", [1, 2], [-1]),
        ("int64", [-1, 0, 1], [2**63]),
        ("float32", [1, 2], [2**24, 2**24 + 1]),
        ("float64", [1, 2], [2**53, 2**53 + 1]),
    ],
)
def test_a_category_that_no_column_holds_is_the_clients_mistake(dtype, values, given):
    explainer = explained(dtype, values)
    rows = [{"x": 0.5, "zip": value} for value in given]
    schema = explainer.predictor.schema
    with pytest.raises(RowsError, match="must fit the type of the categories"):
        schema.encode_columns({k: [r[k] for r in rows] for k in rows[0]})
    explainer.score(schema.encode_columns({"x": [0.5], "zip": [5]}))  # one more is welcome


def test_half_a_character_is_no_text_at_distillation():
    rows = np.random.default_rng(0).normal(size=(30, 2))
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)
    with pytest.raises(ParameterError, match="features must have names that UTF-8 can write"):
        TabularExplainer(model, rows, features=[HALF, "b"])
    with pytest.raises(ParameterError, match="classes must have names that UTF-8 can write"):
        TabularExplainer(model, rows, classes=[HALF, "b"])
    with pytest.raises(ParameterError, match="is no text that UTF-8 can write"):
        TabularExplainer(model, rows, features=["a", "b"], groups={HALF: ["a", "b"]})
    full = TabularExplainer(model, rows)
    codes = {full.features[0]: {"increases": HALF}}
    with pytest.raises(ParameterError, match="must be what UTF-8 can write"):
        KernelScoringExplainer(full, reason_codes=codes)


def test_half_a_character_is_no_category_at_distillation():
    cities = pd.Series(["a", HALF] * 10, dtype=object)
    rows = pd.DataFrame({"x": np.arange(20.0), "city": cities})
    steps = ColumnTransformer([("x", "passthrough", ["x"])])
    model = make_pipeline(steps, LogisticRegression()).fit(rows, rows["x"] > 9)
    with pytest.raises(ParameterError, match="column 'city' must hold text that UTF-8 can write"):
        TabularExplainer(model, rows)


@pytest.mark.parametrize("attribute", ["name", "version", "method"])
def test_half_a_character_anywhere_in_an_artifact_is_refused(tmp_path, attribute):
    explainer = saved.explainer()
    changed = type(explainer).restore({**vars(explainer), attribute: f"a{HALF}"})
    with pytest.raises(ArtifactCorrupt, match="no text that UTF-8 can write"):
        save(changed, tmp_path / "artifact")  # which reads what it writes


def test_half_a_character_in_a_pickle_is_refused():
    data = unpickle.dumps(Feature(HALF), {})
    with pytest.raises(ArtifactCorrupt, match="no text that UTF-8 can write"):
        unpickle.loads(data, lambda name: name, "scoring_explainer.pkl")
