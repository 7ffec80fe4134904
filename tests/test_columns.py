"""pandas columns of every dtype: what the model takes goes through an artifact and comes back."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from scoring import (
    KernelScoringExplainer,
    ParameterError,
    RowsError,
    TabularExplainer,
    artifact_sha256,
    load,
    save,
)
from scoring.feature import Feature
from scoring.schema import FeatureSchema, infer_for
from scoring.table import to_frame
from service import codec

N = 120
GAPS = np.arange(N) % 7 == 3
NUMBERS = np.arange(N) % 4
TEXTS = np.array(["u", "v", "w"])[np.arange(N) % 3].astype(object)
FLAGS = np.arange(N) % 4 < 2
ARROW_TEXT, ARROW_LISTED = pa.string(), pa.dictionary(pa.int32(), pa.string())


def gappy(values, missing=None):
    return [missing if gap else value for value, gap in zip(values.tolist(), GAPS, strict=True)]


COLUMNS = {
    "sparse": pd.arrays.SparseArray(NUMBERS.astype(float), fill_value=0.0),
    "sparse with gaps": pd.arrays.SparseArray(np.where(GAPS, np.nan, NUMBERS)),
    "sparse integers": pd.arrays.SparseArray(NUMBERS),
    "sparse, filled with 1": pd.arrays.SparseArray(NUMBERS, fill_value=1),
    "sparse booleans": pd.arrays.SparseArray(FLAGS),
    "Int64": pd.array(gappy(NUMBERS), dtype="Int64"),
    "UInt8": pd.array(NUMBERS, dtype="UInt8"),
    "Float32": pd.array(gappy(NUMBERS / 4), dtype="Float32"),
    "float16": NUMBERS.astype("float16"),
    "boolean": pd.array(gappy(FLAGS), dtype="boolean"),
    "string": pd.array(TEXTS, dtype="string"),
    "str": pd.Series(gappy(TEXTS, np.nan)),
    "int64[pyarrow]": pd.array(gappy(NUMBERS), dtype="int64[pyarrow]"),
    "double[pyarrow]": pd.array(gappy(NUMBERS / 4), dtype="double[pyarrow]"),
    "bool[pyarrow]": pd.array(gappy(FLAGS), dtype="bool[pyarrow]"),
    "string[pyarrow]": pd.Series(TEXTS, dtype=pd.ArrowDtype(ARROW_TEXT)),
    "dictionary[pyarrow]": pd.Series(TEXTS, dtype=pd.ArrowDtype(ARROW_LISTED)),
    "objects that are booleans": pd.Series(FLAGS.tolist(), dtype=object),
    "booleans with None": pd.Series(gappy(FLAGS), dtype=object),
    "booleans with NaN": pd.Series(gappy(FLAGS, np.nan), dtype=object),
    "objects that are numbers": pd.Series(gappy(NUMBERS), dtype=object),
    "categories of booleans": pd.Categorical(FLAGS),
    "categories of booleans with gaps": pd.Categorical(gappy(FLAGS)),
    "categories of fractions": pd.Categorical(NUMBERS + 0.5),
    "categories of fractions with gaps": pd.Categorical(np.where(GAPS, np.nan, NUMBERS / 4)),
    "categories of Int64": pd.Series(gappy(NUMBERS), dtype="Int64").astype("category"),
    "categories of string": pd.Series(TEXTS, dtype="string").astype("category"),
}


def model_of(kind):
    if kind == "encoder":
        encoder = OneHotEncoder(handle_unknown="ignore")
        columns = make_column_transformer((encoder, ["c"]), remainder="passthrough")
        return make_pipeline(columns, LogisticRegression())
    return HistGradientBoostingClassifier(
        max_iter=4, min_samples_leaf=3, categorical_features="from_dtype"
    )


OF_CATEGORIES = [name for name in COLUMNS if name.startswith("categories")]


@pytest.mark.filterwarnings("ignore:pandas.DataFrame with sparse columns")
@pytest.mark.parametrize(
    ("kind", "name"),
    [("encoder", name) for name in COLUMNS] + [("trees", name) for name in OF_CATEGORIES],
)
def test_what_the_model_takes_comes_back_from_an_artifact(kind, name, tmp_path):
    x = pd.DataFrame({"a": np.linspace(-1, 1, N), "c": COLUMNS[name]})
    y = (np.arange(N) % 3 == 1) ^ (NUMBERS > 1) ^ (x["a"] > 0.6)
    model = model_of(kind).fit(x, y)
    explainer = TabularExplainer(model, x[:60])
    save(KernelScoringExplainer(explainer, reference_rows=0), tmp_path / "artifact")
    loaded = load(tmp_path / "artifact", artifact_sha256(tmp_path / "artifact"))
    scored = loaded.score(loaded.predictor.schema.encode(x))
    np.testing.assert_array_equal(scored.predictions, model.predict(x))
    assert scored.probabilities is not None
    np.testing.assert_allclose(scored.probabilities, model.predict_proba(x), atol=2e-6)
    assert scored.explanation.additivity_gap.max() < 1e-6
    body = x.to_json(orient="split", index=False, double_precision=15)
    table = codec.to_rows(body.encode(), loaded.predictor.schema, N).table
    np.testing.assert_array_equal(loaded.predict(table), model.predict(x))


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_keeps_its_dtype(name):
    x = pd.DataFrame({"c": COLUMNS[name]})
    schema = infer_for(None, x)
    back = to_frame(schema.encode(x), schema.features)
    same_text = name == "string[pyarrow]"  # which pandas reads as another dtype of that name
    pd.testing.assert_frame_equal(back, x, check_dtype=not same_text)


def test_numbers_with_none_stay_objects_in_an_array():
    rows = np.array([[1.5, True], [None, False], [2.0, None]], dtype=object)
    schema = infer_for(None, rows)
    back = schema.written(schema.encode(rows))
    assert [feature.kind for feature in schema.features] == ["number", "boolean"]
    assert back.tolist() == rows.tolist()


DATES = pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"]))


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pd.Series(pd.to_timedelta([1, 2], "D")), r"timedelta64\[\w+\].*total_seconds"),
        (pd.cut(pd.Series([1.0, 2.0]), [0, 1, 2]), r"category of interval.*labels"),
        (DATES.astype("category"), r"category of datetime64\[\w+\].*astype\(str\)"),
        (DATES.dt.to_period("D"), r"period\[D\].*Convert"),
        (pd.Series([1j, 2j]), "complex128.*real"),
        (pd.Series([1, 2]).astype(pd.ArrowDtype(pa.decimal128(25, 2))), "decimal128.*float64"),
        (pd.Series([1, "x"], dtype=object), "object and it holds int, str"),
        (pd.Series([[1], [2]], dtype=object), "object and it holds list"),
        (pd.Series([None, None], dtype=object), "object and it holds nothing"),
        (pd.Series(pd.Categorical(["x", 1])), "category of object.*one type"),
    ],
)
def test_a_column_of_another_kind_is_named_with_its_dtype_and_the_fix(column, said):
    with pytest.raises(ParameterError, match=f"column 'c' must hold .*{said}"):
        FeatureSchema.infer(pd.DataFrame({"c": column}))


HALVES = Feature(
    "c", "category", "category", categories=(0.5, 2.5), category_dtype="float64", allows_unseen=True
)
BOTH = Feature("c", "category", "category", categories=(False, True), category_dtype="bool")


@pytest.mark.parametrize(
    ("feature", "value", "code"),
    [(HALVES, 2.5, 1), (HALVES, 7, 2), (HALVES, 0.25, 2), (BOTH, True, 1), (BOTH, np.False_, 0)],
)
def test_values_of_categories_that_are_no_text(feature, value, code):
    table = FeatureSchema((feature,)).encode_columns({"c": [value]})
    assert table.codes.tolist() == [[code]]


@pytest.mark.parametrize(
    ("feature", "value", "rule"),
    [
        (HALVES, "2.5", "must be a number, not text"),
        (HALVES, True, "must be a number, not a boolean"),
        (BOTH, 1, "must be true or false, not a number"),
        (BOTH, "true", "must be true or false, not text"),
    ],
)
def test_categories_that_are_no_text_refuse_other_types(feature, value, rule):
    with pytest.raises(RowsError, match=rule):
        FeatureSchema((feature,)).encode_columns({"c": [value]})


def test_categories_that_are_no_text_are_described_as_what_they_are():
    schema = FeatureSchema((HALVES, Feature("d", "category", "category", categories=(False, True))))
    described = json.loads(json.dumps(codec.feature_documents(schema)))
    assert [each["categories"] for each in described] == [[0.5, 2.5], [False, True]]
