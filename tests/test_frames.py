"""Frames of polars, Arrow and what speaks Arrow: columns go by name in every entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from scoring import (
    KernelScoringExplainer,
    LinearExplainableModel,
    MimicExplainer,
    ParameterError,
    PFIExplainer,
    RowsError,
    TabularExplainer,
    artifact_sha256,
    load,
    save,
)
from scoring.frames import column_names, frame_of
from scoring.schema import FeatureSchema, infer_for


class Capsule:
    """Some library's frame, of which only the Arrow PyCapsule interface is known."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class Interchange:
    """Some library's frame, of which only the dataframe interchange interface is known."""

    def __init__(self, table):
        self._table = table

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self._table.__dataframe__(nan_as_null, allow_copy)


KINDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "polars": pl.from_pandas,
    "query": lambda frame: pl.from_pandas(frame).lazy(),
    "table": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
    "reader": lambda frame: pa.Table.from_pandas(frame, preserve_index=False).to_reader(),
    "capsule": lambda frame: Capsule(pa.Table.from_pandas(frame, preserve_index=False)),
    "interchange": lambda frame: Interchange(pa.Table.from_pandas(frame, preserve_index=False)),
}


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(11)
    x = pd.DataFrame({name: rng.normal(size=120) for name in "abc"}) * [1, 10, 1]
    y = (x["a"] - x["c"] > 0).astype(int)
    return x, y, RandomForestClassifier(10, random_state=0).fit(x, y)


@pytest.fixture(scope="module")
def distilled(numbers):
    x, _, model = numbers
    return KernelScoringExplainer(TabularExplainer(model, x[:30]), reference_rows=0)


@pytest.mark.parametrize("kind", KINDS)
def test_columns_in_another_order_are_found_by_name(numbers, distilled, kind):
    x, _, model = numbers
    reordered = x[["c", "b", "a"]]
    found = distilled.predict(KINDS[kind](reordered))
    np.testing.assert_array_equal(found, model.predict(x))
    values = distilled.explain_local(KINDS[kind](reordered[:5])).values
    np.testing.assert_array_equal(values, distilled.explain_local(x[:5]).values)


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_do_not_fit_are_an_error(numbers, distilled, kind):
    wrong = numbers[0].rename(columns={"b": "secret"})
    with pytest.raises(RowsError, match="column 'b': is missing; 1 columns are not in the schema"):
        distilled.predict(KINDS[kind](wrong))


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_takes_them(numbers, kind):
    x, y, model = numbers
    make, reordered = KINDS[kind], x[["b", "c", "a"]]
    for explainer, same in (
        (TabularExplainer(model, make(x[:30])), TabularExplainer(model, x[:30])),
        (
            MimicExplainer(model, make(x[:60]), LinearExplainableModel),
            MimicExplainer(model, x[:60], LinearExplainableModel),
        ),
    ):
        schema = explainer.predictor.schema
        assert schema == same.predictor.schema
        found = explainer.explain_global(make(reordered[:20]), show_progress=False)
        expected = same.explain_global(x[:20], show_progress=False)
        np.testing.assert_array_equal(
            found.global_importance_values, expected.global_importance_values
        )
    scoring = KernelScoringExplainer(
        TabularExplainer(model, make(x[:30])),
        validation=make(reordered[40:60]),
        baselines={"late": make(reordered[60:])},
        reference_rows=0,
    )
    np.testing.assert_array_equal(
        scoring.against("late").predict(make(reordered)), model.predict(x)
    )
    shuffled, of_pandas = (
        PFIExplainer(model, show_progress=False, n_repeats=1).explain_global(rows, y)
        for rows in (make(x), x)
    )
    np.testing.assert_array_equal(
        shuffled.global_importance_values, of_pandas.global_importance_values
    )


@pytest.mark.parametrize("make", [pl.from_pandas, pa.Table.from_pandas])
def test_transformations_take_them(make):
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"n": rng.normal(size=80), "t": rng.choice(["x", "y"], 80)})
    encoder = OneHotEncoder().fit(x[["t"]])
    scaler = StandardScaler().fit(x[["n"]])
    listed = [(["t"], encoder), (["n"], scaler)]
    columns = np.hstack([encoder.transform(x[["t"]]).toarray(), scaler.transform(x[["n"]])])
    model = LogisticRegression().fit(columns, (x["t"] == "x") ^ (x["n"] > 0.4))
    explainer = TabularExplainer(model, make(x), transformations=listed)
    outputs = explainer.explain_local(make(x[["t", "n"]])).outputs
    np.testing.assert_allclose(outputs, model.predict_proba(columns), atol=1e-12)


GAPS = np.arange(120) % 7 == 3
TEXTS = np.array(["u", "v", "w"])[np.arange(120) % 3].astype(object)
FLAGS = np.arange(120) % 4 < 2


def with_gaps(values):
    return [None if gap else value for value, gap in zip(values.tolist(), GAPS, strict=True)]


COLUMNS = {
    "int8": pl.Series(np.arange(120, dtype=np.int8) % 9),
    "float32": pl.Series((np.arange(120) % 9 / 7).astype(np.float32)),
    "integers with gaps": pl.Series(with_gaps(np.arange(120) % 9)),
    "booleans": pl.Series(FLAGS),
    "booleans with gaps": pl.Series(with_gaps(FLAGS), dtype=pl.Boolean),
    "texts with gaps": pl.Series(with_gaps(TEXTS)),
    "categorical with gaps": pl.Series(with_gaps(TEXTS), dtype=pl.Categorical),
    "enum": pl.Series(TEXTS.tolist(), dtype=pl.Enum(["w", "u", "none", "v"])),
}


def squared(frame):
    """A step that takes polars only."""
    return frame.with_columns((pl.col("n") ** 2).alias("n"))


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("first", [None, squared])
def test_a_model_fitted_on_polars_gets_what_it_takes(name, first, tmp_path):
    rng = np.random.default_rng(3)
    x = pl.DataFrame({"n": rng.normal(size=120), "c": COLUMNS[name]})
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["c"]), remainder="passthrough"
    )
    steps = [encoder, LogisticRegression()]
    model = make_pipeline(*([FunctionTransformer(first)] if first else []), *steps)
    model.fit(x, (np.arange(120) % 3 == 1) ^ (x["n"].to_numpy() > 0.5))
    scoring = KernelScoringExplainer(TabularExplainer(model, x[:50]), reference_rows=0)
    save(scoring, tmp_path / "artifact")
    loaded = load(tmp_path / "artifact", artifact_sha256(tmp_path / "artifact"))
    rows = x.select("c", "n")
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(x))
    outputs = loaded.explain_local(rows).outputs
    np.testing.assert_allclose(outputs, model.predict_proba(x), atol=1e-6)
    library = loaded.predictor.schema.library
    assert library == ("polars" if first else "pandas")  # which an artifact needs to be served


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_boosters_fitted_on_booleans_with_gaps(package):
    x = pl.DataFrame({"n": np.arange(120) % 11, "c": COLUMNS["booleans with gaps"]})
    module = pytest.importorskip(package, reason="an optional extra")
    kind, quiet = ("LGBM", {"verbose": -1}) if package == "lightgbm" else ("XGB", {})
    model = getattr(module, f"{kind}Classifier")(n_estimators=5, n_jobs=1, **quiet)
    model.fit(x, FLAGS ^ (np.arange(120) % 11 > 6))
    explainer = TabularExplainer(model, x)
    np.testing.assert_allclose(
        explainer.explain_local(x).outputs, model.predict_proba(x), atol=1e-6
    )


class Chooser:
    """A model that answers a polars frame and a pandas frame differently."""

    feature_names_in_ = np.array(["a"], dtype=object)
    n_features_in_ = 1

    def predict(self, rows):
        return np.full(len(rows), 1.0 if isinstance(rows, pa.Table) else 0.0)


def test_a_frame_that_a_model_answers_otherwise_than_every_other_is_refused():
    rows = pa.table({"a": [1.0, 2.0]})
    with pytest.raises(ParameterError, match="must be a pandas DataFrame for this model"):
        infer_for(Chooser(), rows)


def test_one_column_is_no_frame():
    with pytest.raises(ParameterError, match="must be a frame, not a single column"):
        FeatureSchema.infer(pl.Series([1.0, 2.0]))
    with pytest.raises(ParameterError, match="must be a frame, not a single column"):
        FeatureSchema.infer(pa.chunked_array([[1.0, 2.0]]))


def test_columns_of_one_name_are_named():
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"])
    with pytest.raises(ParameterError, match="columns of one name: a"):
        FeatureSchema.infer(twice)
    with pytest.raises(RowsError, match="column 'a': appears more than once"):
        FeatureSchema.infer(pd.DataFrame({"a": [1.0]})).encode(twice)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pl.Series([[1], [2]]), r"column 'c' must hold .* it holds list"),
        (pl.Series([1, 2]).cast(pl.Decimal(10, 2)), r"it holds Decimal.* to float64"),
        (pl.Series([1, 2]).cast(pl.Duration("us")), r"it holds timedelta.*total_seconds"),
    ],
)
def test_columns_of_another_kind_are_named_with_the_fix(values, said):
    with pytest.raises(ParameterError, match=said):
        FeatureSchema.infer(pl.DataFrame({"c": values}))


def test_arrays_and_lists_are_no_frames():
    assert column_names(np.ones((2, 2))) is None
    assert frame_of([[1.0]]) is None


def test_nothing_else_is_imported_for_polars(monkeypatch):
    frame = pl.DataFrame({"b": [2.0, None], "a": ["x", "y"]})
    schema = FeatureSchema.infer(frame)
    for library in ("pandas", "pyarrow"):
        monkeypatch.setitem(__import__("sys").modules, library, None)
    rows = schema.encode(frame.select("a", "b").head(1))
    assert rows.codes.tolist() == [[2.0, 0.0]]
