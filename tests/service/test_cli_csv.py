"""CSV files on the command line: one reader with the service, and every column of its type."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, TargetEncoder

from scoring import KernelScoringExplainer, TabularExplainer, artifact_sha256, load, save
from scoring.feature import Feature
from scoring.schema import FeatureSchema
from service import codec
from service.cli import run
from service.cli.csv_frame import ColumnTypes, typed
from service.cli.learnt_types import learnt_types

N = 90
COUNTRY = np.array(["NA", "DE", "None"])[np.arange(N) % 3].astype(object)
ZIP = np.array(["01234", "10115", "04109"])[np.arange(N) % 3].astype(object)
A = np.linspace(-1, 1, N)


def encoded(column, encoder):
    return make_pipeline(
        make_column_transformer((encoder, [column]), remainder="passthrough"), LogisticRegression()
    )


def test_score_reads_a_text_na_as_the_text_that_it_is(tmp_path):
    x = pd.DataFrame({"country": COUNTRY, "a": A})
    model = encoded("country", OneHotEncoder(handle_unknown="ignore"))
    model.fit(x, (x["country"] == "NA") ^ (x["a"] > 0.5))
    save(KernelScoringExplainer(TabularExplainer(model, x), reference_rows=0), tmp_path / "art")
    x.to_csv(tmp_path / "rows.csv", index=False)
    arguments = ["score", str(tmp_path / "rows.csv"), "--artifact", str(tmp_path / "art")]
    assert run([*arguments, "--output", str(tmp_path / "out.json")]) == 0
    told = json.loads((tmp_path / "out.json").read_text())
    np.testing.assert_allclose(told["probabilities"], model.predict_proba(x), atol=1e-9)
    assert told["warnings"] == []


READ = FeatureSchema(
    (
        Feature("text", "category", categories=("", "01234", "NA")),
        Feature("gappy", "category", categories=("NA", "x"), allows_missing=True),
        Feature("number", allows_missing=True),
        Feature("flag", "boolean", allows_missing=True),
        Feature("both", "category", "category", categories=(False, True), allows_missing=True),
        Feature("half", "category", "category", categories=(0.5, 1.0), allows_missing=True),
    )
)


def test_the_schema_says_what_a_cell_is():
    body = (
        "text,gappy,number,flag,both,half\n"
        "01234,NA,1e3,TRUE,True,0.5\n"
        "NA,,NA,1,0,1\n"
        ',"x",null,false,FALSE,1.0\n'
        '"NA",x,<NA>,None,,nan\n'
        "NA,NA,n/a,0.0,1.0,.5\n"
    )
    table = codec.to_rows(body.encode(), READ, 9, codec.CSV).table
    expected = [
        [1, 0, 1000, 1, 1, 0],
        [2, np.nan, np.nan, 1, 0, 1],
        [0, 1, np.nan, 0, 0, 1],
        [2, 1, np.nan, np.nan, np.nan, np.nan],
        [2, 0, np.nan, 0, 1, 0],
    ]
    np.testing.assert_array_equal(table.codes, expected)


def test_columns_to_leave_out_may_have_no_name(files, tmp_path):
    rows = pd.read_parquet(files / "rows.parquet").reset_index(drop=True)
    rows.assign(more="x").to_csv(tmp_path / "rows.csv")
    arguments = ["score", str(tmp_path / "rows.csv"), "--artifact", str(files / "artifact")]
    output = ["--output", str(tmp_path / "out.json")]
    assert run([*arguments, *output, "--drop", "more"]) == 1
    assert run([*arguments, *output, "--drop", "more,Unnamed: 0"]) == 0
    same = ["score", str(files / "rows.csv"), "--artifact", str(files / "artifact")]
    assert run([*same, "--output", str(tmp_path / "same.json")]) == 0
    assert (tmp_path / "out.json").read_text() == (tmp_path / "same.json").read_text()


def squared(x):
    return x


def fit_on(x, model):
    return model.fit(x, (np.arange(len(x)) % 3 == 1) ^ (A > 0.4))


MODELS = {
    "one-hot": encoded("zip", OneHotEncoder()),
    "ordinal": encoded("zip", OrdinalEncoder()),
    "target": encoded("zip", TargetEncoder(cv=2)),
    "behind an imputer": encoded(
        "zip", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    ),
    "behind a function": make_pipeline(
        FunctionTransformer(squared), encoded("zip", OneHotEncoder())
    ),
    "in a union": make_column_transformer((make_union(OneHotEncoder()), ["zip"])),
    "words": make_pipeline(
        make_column_transformer((TfidfVectorizer(), "zip"), remainder="passthrough"),
        LogisticRegression(),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_a_step_learnt_as_text_is_text(name):
    x = pd.DataFrame({"zip": ZIP, "a": A})
    types = learnt_types(fit_on(x, MODELS[name]), x.columns.tolist())
    assert {column: each.dtype for column, each in types.items()} == {"zip": "str"}


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.arange(N) % 3, "int64"),
        (np.arange(N) % 3 + 0.5, "float64"),
        (np.arange(N) % 2 == 0, "bool"),
        (np.array(["1", np.nan, "2"], dtype=object)[np.arange(N) % 3], "str"),
    ],
)
def test_what_a_step_learnt_as_something_else_is_that(values, dtype):
    x = pd.DataFrame({"c": values, "a": A})
    types = learnt_types(fit_on(x, encoded("c", OneHotEncoder())), x.columns.tolist())
    assert types["c"].dtype == dtype
    assert types["c"].by == "OneHotEncoder"


@pytest.mark.parametrize("package", ["lightgbm", "xgboost", "sklearn", "catboost"])
@pytest.mark.parametrize("codes", [ZIP, np.arange(N) % 3 + 5], ids=["texts", "numbers"])
def test_boosters_say_what_their_categories_are(package, codes, tmp_path):
    pytest.importorskip(package, reason="an optional extra")
    x = pd.DataFrame({"a": A, "zip": pd.Series(codes).astype("category")})
    if package == "lightgbm":
        from lightgbm import LGBMClassifier

        model = LGBMClassifier(n_estimators=3, min_child_samples=2, verbose=-1)
    elif package == "xgboost":
        from xgboost import XGBClassifier

        model = XGBClassifier(n_estimators=3, enable_categorical=True)
    elif package == "catboost":
        from catboost import CatBoostClassifier

        x["zip"] = pd.Series(codes).astype(str)
        quiet = {"verbose": 0, "allow_writing_files": False, "cat_features": ["zip"]}
        model = CatBoostClassifier(iterations=3, **quiet)
    else:
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype")
    model = fit_on(x, model)
    types = ColumnTypes(learnt=learnt_types(model, x.columns.tolist()))
    cells = {"a": [str(value) for value in A], "zip": [str(code) for code in codes]}
    frame = typed(tmp_path / "rows.csv", cells, types)
    np.testing.assert_array_equal(model.predict_proba(frame), model.predict_proba(x))
    assert "zip" in types.learnt


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "-2", "+3"], "int64"),
        (["1", "", "NA"], "float64"),
        (["1.5", "NaN", "1e3"], "float64"),
        (["", "NA", "null"], "float64"),
        (["true", "False", "TRUE"], "bool"),
        (["true", "", "False"], "object"),
        (["01234", "10115"], "text"),
        (["0", "0.5", "-0.25"], "float64"),
        (["1_000", "2"], "text"),
        (["NA", "x", ""], "text"),
    ],
)
def test_what_nobody_says_is_read_off_the_cells(cells, dtype, tmp_path):
    column = typed(tmp_path / "rows.csv", {"c": cells}, ColumnTypes())["c"]
    if dtype == "text":
        assert [None if value != value else value for value in column] == [c or None for c in cells]  # noqa: PLR0124 NaN
    else:
        assert str(column.dtype) == dtype


def test_a_word_for_a_gap_is_one_where_a_gap_was_learnt_and_the_word_was_not():
    cells = {"c": ["NA", "x", ""]}
    learnt = pd.DataFrame({"c": ["x", np.nan]}), pd.DataFrame({"c": ["x", "NA", np.nan]})
    for frame, n_missing in zip(learnt, (2, 1), strict=True):
        encoder = OneHotEncoder().fit(frame)
        types = ColumnTypes(learnt=learnt_types(encoder, ["c"]))
        assert typed(Path("rows.csv"), cells, types)["c"].isna().sum() == n_missing


@pytest.fixture
def postcodes(tmp_path):
    x = pd.DataFrame({"zip": ZIP, "a": A})
    joblib.dump(fit_on(x, encoded("zip", OneHotEncoder())), tmp_path / "model.joblib")
    x.assign(y=1).to_csv(tmp_path / "rows.csv", index=False)
    x.to_parquet(tmp_path / "rows.parquet")
    return tmp_path


def distil(directory, *more, data="rows.csv"):
    arguments = ["distil", "--model", str(directory / "model.joblib"), "--no-progress"]
    arguments += ["--data", str(directory / data), "--output", str(directory / "artifact")]
    return run([*arguments, *more])


def test_distil_keeps_postcodes_text_and_says_why(postcodes, capsys):
    validation = ["--validation", str(postcodes / "rows.parquet")]
    baseline = ["--baseline", f"all={postcodes / 'rows.csv'}"]
    assert distil(postcodes, "--target", "y", *validation, *baseline) == 0
    assert "from the model: zip=str (OneHotEncoder); as rows.csv reads: a=float64" in (
        capsys.readouterr().err
    )
    loaded = load(postcodes / "artifact", artifact_sha256(postcodes / "artifact"))
    model, rows = (
        joblib.load(postcodes / "model.joblib"),
        pd.read_parquet(postcodes / "rows.parquet"),
    )
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))
    assert loaded.predictor.schema.features[0].categories == ("01234", "04109", "10115")


@pytest.mark.parametrize("as_file", [False, True])
def test_distil_takes_types_from_the_command(postcodes, as_file, capsys):
    model = LogisticRegression().fit(np.column_stack([A, A]), A > 0)
    joblib.dump(model, postcodes / "model.joblib")
    pd.DataFrame({"n": np.arange(N), "m": A}).to_csv(postcodes / "rows.csv", index=False)
    given = "n=float32"
    if as_file:
        given = str(postcodes / "types.json")
        (postcodes / "types.json").write_text('{"n": "float32"}')
    assert distil(postcodes, "--dtypes", given) == 0
    assert "from --dtypes: n=float32; as rows.csv reads: m=float64" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("dtypes", "said"),
    [
        ("zip=int64", "Column types from --dtypes: zip=int64"),
        ("a=int64", "column 'a': row 1 is no whole number"),
        ("a=bool", "column 'a': row 0 is neither true nor false"),
        ("a=nonsense", "column 'a':"),
        ("b=str", "has no column 'b'"),
        ("a", "--dtypes a must be NAME=DTYPE"),
    ],
)
def test_types_that_do_not_fit_are_one_line(postcodes, dtypes, said, capsys):
    assert distil(postcodes, "--target", "y", "--dtypes", dtypes) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zip,a\n01234\n", "row 0 has 1 cells"),
        ("a,a\n1,2\n", "two columns 'a'"),
        ('zip,a\n"01234,1\n', "stops being so"),
    ],
)
def test_files_that_are_no_csv_are_one_line(postcodes, text, said, capsys):
    (postcodes / "rows.csv").write_text(text)
    assert distil(postcodes) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
