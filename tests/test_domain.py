"""What a column may hold is the model's, whatever the rows at hand hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC
from xgboost import XGBRegressor

from scoring import (
    FidelityError,
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
from scoring.artifact import read_manifest
from tests.oracles import shapley

RNG = np.random.default_rng(0)
X = pd.DataFrame({"a": RNG.normal(size=200), "s": RNG.choice(list("uvwxyz"), 200)})
EFFECT = {"u": 2.0, "v": -2.0, "w": 1.0, "x": -1.0, "y": 3.0, "z": -3.0}
Y = (X["a"] + X["s"].map(EFFECT) > 0).astype(int)
SAMPLE = X[X["s"] != "z"][:60]
UNSEEN = X[X["s"] == "z"][:6]

ENCODERS = {
    "one-hot, others ignored": OneHotEncoder(handle_unknown="ignore"),
    "one-hot, strict": OneHotEncoder(),
    "one-hot, infrequent": OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30),
    "ordinal": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    "target": TargetEncoder(),
    "imputed, one-hot": make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    ),
}
ESTIMATORS = {
    "logistic": LogisticRegression(),
    "forest": RandomForestClassifier(5, max_depth=4, random_state=0),
    "boosted": LGBMClassifier(n_estimators=5, verbose=-1),
    "machine": SVC(),
}


def pipeline(encoder, estimator):
    encode = make_column_transformer((encoder, ["s"]), remainder="passthrough")
    encode.set_output(transform="pandas" if encoder is ENCODERS["ordinal"] else "default")
    return make_pipeline(encode, estimator).fit(X, Y)


def loaded(model, sample, directory, **options):
    scoring = KernelScoringExplainer(TabularExplainer(model, sample), reference_rows=0, **options)
    save(scoring, directory)
    return load(directory, artifact_sha256(directory))


def outputs_of(model, space):
    return model.predict_proba if space == "probability" else model.decision_function


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_categories_that_the_sample_lacks_are_the_encoders(encoder, estimator, tmp_path):
    model = pipeline(ENCODERS[encoder], ESTIMATORS[estimator])
    explainer = loaded(model, SAMPLE, tmp_path / "a")
    rows = UNSEEN.assign(a=np.linspace(-2, 2, len(UNSEEN)))
    if encoder != "one-hot, strict":
        rows = pd.concat([rows, rows[:1].assign(s="a stranger")])
    np.testing.assert_array_equal(explainer.predict(rows), model.predict(rows))
    local = explainer.explain_local(rows)
    expected = np.asarray(outputs_of(model, explainer.predictor.space)(rows))
    np.testing.assert_allclose(local.outputs, expected.reshape(len(rows), -1), atol=1e-6)
    sums = local.base_values + local.values.sum(axis=1)
    np.testing.assert_allclose(sums, local.outputs, atol=1e-6)
    notes = explainer.predictor.schema.encode(rows).notes
    assert [note.row for note in notes] == list(range(len(UNSEEN), len(rows)))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_values_of_a_category_that_the_sample_lacks_are_those_of_the_definition(
    estimator, tmp_path
):
    model = pipeline(ENCODERS["one-hot, others ignored"], ESTIMATORS[estimator])
    explainer = loaded(model, SAMPLE, tmp_path / "a")
    ask = outputs_of(model, explainer.predictor.space)

    def game(row, background):
        def value(present):
            rows = background.copy()
            for name in np.asarray(rows.columns)[list(present)]:
                rows[name] = row[name]
            return np.atleast_1d(np.mean(np.asarray(ask(rows)).reshape(len(rows), -1), axis=0))

        return value

    local = explainer.explain_local(UNSEEN[:2])
    for k in range(2):
        expected = shapley(game(UNSEEN.iloc[k], SAMPLE), 2)
        np.testing.assert_allclose(local.values[k], expected, atol=1e-6)


def text_length(frame):
    return frame["s"].str.len().to_frame()


@pytest.mark.parametrize(
    "reads_text",
    [(FunctionTransformer(text_length), ["s"]), (TfidfVectorizer(analyzer="char"), "s")],
    ids=["a function", "TF-IDF"],
)
def test_a_function_of_open_text_is_run(reads_text, tmp_path):
    words = X.assign(s=X["s"] * 2)
    encode = make_column_transformer(reads_text, remainder="passthrough")
    model = make_pipeline(encode, LogisticRegression()).fit(words, Y)
    explainer = loaded(model, words[:50], tmp_path / "a")
    rows = pd.DataFrame({"a": [0.0, 0.1, 2.0], "s": ["zz", "never seen: uvz", ""]})
    np.testing.assert_array_equal(explainer.predict(rows), model.predict(rows))
    local = explainer.explain_local(rows)
    np.testing.assert_allclose(local.outputs, model.predict_proba(rows), atol=1e-9)
    assert local.additivity_gap.max() < 1e-9
    assert not explainer.predictor.schema.encode(rows).notes  # of text nobody keeps a list
    said = read_manifest(tmp_path / "a")
    assert said["model"]["form"] in {"skops", "pickle"}
    assert said["fidelity"]["open_text"] == ["s"]


def test_unused_categories_of_a_dtype_are_refused_where_the_encoder_is_strict(tmp_path):
    x = X.assign(s=pd.Categorical(X["s"], categories=[*"uvwxyz", "unused"]))
    encode = make_column_transformer((OneHotEncoder(), ["s"]), remainder="passthrough")
    model = make_pipeline(encode, RandomForestClassifier(5, random_state=0)).fit(x, Y)
    explainer = loaded(model, x[:50], tmp_path / "a")
    np.testing.assert_array_equal(explainer.predict(x), model.predict(x))
    unused = x[:1].assign(s=pd.Categorical(["unused"], categories=x["s"].cat.categories))
    with pytest.raises(RowsError, match="column 's': must be one of the categories"):
        explainer.predict(unused)


@pytest.mark.parametrize("explainer", ["tabular", "mimic", "permutation"])
def test_one_encoder_of_columns_of_which_one_has_all_categories_of_the_other(explainer):
    x = pd.DataFrame({
        "phone": RNG.choice(["no", "yes"], 80),
        "internet": RNG.choice(["no", "yes", "unknown"], 80),
        "age": RNG.normal(40, 9, 80),
    })  # fmt: skip
    y = (x["age"] + 9 * (x["phone"] == "yes") > 44).astype(int)
    encode = make_column_transformer(
        (OneHotEncoder(), ["phone", "internet"]), remainder="passthrough"
    )
    model = make_pipeline(encode, LogisticRegression(max_iter=1000)).fit(x, y)
    if explainer == "tabular":
        found = TabularExplainer(model, x)
        assert found.method == "exact link"
        categories = [feature.categories for feature in found.predictor.schema.features]
        assert categories == [("no", "yes"), ("no", "unknown", "yes"), ()]
    elif explainer == "mimic":
        assert MimicExplainer(model, x, LinearExplainableModel).features == tuple(x)
    else:
        assert PFIExplainer(model, show_progress=False).explain_global(x, y).features == tuple(x)


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint32", "int64", "uint64", "float32"]
)
def test_numbers_are_limited_by_their_dtype_and_not_by_the_sample(dtype, tmp_path):
    x = pd.DataFrame({"a": RNG.integers(0, 7, 80).astype(dtype), "b": RNG.normal(size=80)})
    y = (x["a"] + x["b"] > 3).astype(int)
    model = RandomForestClassifier(5, random_state=0).fit(x, y)
    explainer = loaded(model, x[:40], tmp_path / "a")
    ends = np.finfo(dtype) if dtype == "float32" else np.iinfo(dtype)
    feature = explainer.predictor.schema.features[0]
    assert feature.lowest <= float(ends.min)
    assert feature.limit >= float(ends.max)
    extremes = np.array([8, ends.min, ends.max], dtype)
    rows = pd.DataFrame({"a": extremes, "b": [0.0, 1.0, -1.0]})
    np.testing.assert_array_equal(explainer.predict(rows), model.predict(rows))
    np.testing.assert_allclose(
        explainer.explain_local(rows).outputs, model.predict_proba(rows), atol=1e-9
    )


def test_a_number_that_the_model_takes_is_not_refused_for_what_the_first_row_holds(tmp_path):
    x = pd.DataFrame({"a": RNG.uniform(5, 9, 80), "b": RNG.normal(size=80)})
    head = make_column_transformer((FunctionTransformer(np.log1p), ["a"]), remainder="passthrough")
    model = make_pipeline(head, StandardScaler(), LogisticRegression()).fit(x, x["b"] > 0)
    explainer = loaded(model, x[:40], tmp_path / "a")
    rows = pd.DataFrame({"a": [-0.5, 0.0, 1e300], "b": [0.0, 0.1, 0.2]})
    np.testing.assert_array_equal(explainer.predict(rows), model.predict(rows))
    with pytest.raises(RowsError, match="row 1: the model does not answer this row"):
        explainer.predict(rows.assign(a=[1.0, -7.0, 3.0]))


def test_numbers_that_a_strict_encoder_does_not_know_are_refused_by_column(tmp_path):
    x = pd.DataFrame({"doors": RNG.integers(2, 6, 120), "a": RNG.normal(size=120)})
    encode = make_column_transformer((OneHotEncoder(), ["doors"]), remainder="passthrough")
    model = make_pipeline(encode, RandomForestClassifier(5, random_state=0))
    model.fit(x, (x["a"] + x["doors"] > 3.5).astype(int))
    explainer = loaded(model, x[x["doors"] != 5][:40], tmp_path / "a")
    np.testing.assert_array_equal(explainer.predict(x), model.predict(x))
    for rows in (x[:2].assign(doors=[2, 9]), np.array([[2, 0.0], [9, 0.0]])):
        with pytest.raises(RowsError, match="row 1, column 'doors': must be one of the numbers"):
            explainer.predict(rows)


def test_native_categories_are_the_boosters(tmp_path):
    x = X.assign(s=X["s"].astype("category"))
    sample = x[x["s"] != "z"][:60].assign(s=lambda f: f["s"].cat.remove_unused_categories())
    for number, model in enumerate(
        [
            LGBMClassifier(n_estimators=5, min_child_samples=5, verbose=-1),
            HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype"),
        ]
    ):
        model.fit(x, Y)
        explainer = loaded(model, sample, tmp_path / f"{number}")
        np.testing.assert_array_equal(explainer.predict(x), model.predict(x))
        local = explainer.explain_local(UNSEEN.assign(s=UNSEEN["s"].astype("category")))
        assert local.additivity_gap.max() < 1e-6
        rows = x[x["s"] == "z"][:6]
        np.testing.assert_allclose(local.outputs, model.predict_proba(rows), atol=1e-6)


def test_a_tolerance_judges_the_additivity_gap_too():
    x = np.random.default_rng(0).normal(size=(200, 3))
    model = XGBRegressor(n_estimators=20, n_jobs=1).fit(x, 1e3 + x[:, 0])  # adds up in float32
    explainer = TabularExplainer(model, x[:50])
    with pytest.raises(FidelityError, match="above the tolerance"):
        KernelScoringExplainer(explainer, tolerance=1e-12, reference_rows=0)
    loose = KernelScoringExplainer(explainer, tolerance=1e-12, strict=False, reference_rows=0)
    assert loose.report["within_tolerance"] is False
    kept = KernelScoringExplainer(explainer, tolerance=1e-5, reference_rows=0)
    assert kept.report["within_tolerance"] is True


def gappy(values, gap):
    column = [gap if k % 7 == 0 else values[k % len(values)] for k in range(140)]
    return pd.DataFrame({"s": pd.Series(column, dtype=object), "a": np.linspace(-1, 1, 140)})


@pytest.mark.parametrize("gap", [None, np.nan], ids=["None", "NaN"])
@pytest.mark.parametrize(
    "values", [["u", "v"], [True, False], [1, 2, 3]], ids=["text", "flags", "numbers"]
)
def test_gaps_are_written_as_the_encoder_learnt_them(values, gap, tmp_path):
    x = gappy(values, gap)
    y = x["s"].isna().astype(int)
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["s"]), remainder="passthrough"
    )
    model = make_pipeline(encode, LogisticRegression()).fit(x, y)
    explainer = loaded(model, x[x["s"].notna()][:30], tmp_path / "a")
    np.testing.assert_array_equal(explainer.predict(x), model.predict(x))
    assert (model.predict(x) == y).all()


def test_an_encoder_that_learnt_both_gaps_is_refused():
    x = gappy(["u", "v"], None)
    x.loc[x.index % 11 == 5, "s"] = np.nan
    encode = make_column_transformer((OneHotEncoder(), ["s"]), remainder="passthrough")
    model = make_pipeline(encode, LogisticRegression()).fit(x, x["a"] > 0)
    with pytest.raises(ParameterError, match="column 's' must write missing values in one way"):
        TabularExplainer(model, x[x["s"].notna()][:30])


def as_text(frame):
    return frame.astype(str)


def test_whole_numbers_among_objects_reach_the_model_as_they_are(tmp_path):
    x = pd.DataFrame({"s": pd.Series([1, 2, 3] * 40, dtype=object), "a": np.linspace(-1, 1, 120)})
    read = make_pipeline(FunctionTransformer(as_text), OneHotEncoder(handle_unknown="ignore"))
    encode = make_column_transformer((read, ["s"]), remainder="passthrough")
    model = make_pipeline(encode, LogisticRegression()).fit(x, x["s"].astype(int) == 2)
    explainer = loaded(model, x[:30], tmp_path / "a")
    np.testing.assert_array_equal(explainer.predict(x), model.predict(x))
    assert explainer.explain_local(x[:9]).additivity_gap.max() < 1e-9


def test_whole_numbers_that_no_double_holds_are_refused_where_they_are_read_exactly(tmp_path):
    x = pd.DataFrame({"id": [2**53 + k % 3 for k in range(60)], "a": np.linspace(-1, 1, 60)})
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["id"]), remainder="passthrough"
    )
    model = make_pipeline(encode, LogisticRegression()).fit(x, x["id"] % 3 == 0)
    with pytest.raises(ParameterError, match="column 'id' must hold whole numbers up to 2"):
        TabularExplainer(model, x)
    few = x.assign(id=x["id"] % 7)
    explainer = loaded(model, few, tmp_path / "a")
    with pytest.raises(RowsError, match="column 'id': must lie within 2"):
        explainer.predict(x.assign(id=2**53 + 2))


def test_catboost_gets_the_frame_that_it_was_fitted_to(tmp_path):
    x = pd.DataFrame({"c": [1, 2, 3] * 40, "a": np.linspace(-1, 1, 120)})
    model = CatBoostClassifier(
        iterations=5, cat_features=["c"], verbose=0, allow_writing_files=False
    ).fit(x, (x["c"] == 2).astype(int))
    explainer = loaded(model, x[:30], tmp_path / "a")
    np.testing.assert_array_equal(explainer.predict(x), model.predict(x))
