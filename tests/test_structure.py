"""Models whose structure is known are explained exactly; all others by coalitions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, linear_model, svm
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from scoring import (
    KernelScoringExplainer,
    LinearScoringExplainer,
    ModelError,
    ParameterError,
    TabularExplainer,
    TreeScoringExplainer,
    load,
    save,
)
from scoring.artifact import read_manifest
from scoring.encoding import encoding_of
from scoring.predictor import OutputSpace
from tests import oracles


def mixed(n=240):
    """Numbers with gaps, texts with gaps, whole numbers, flags; and two classes."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "income": rng.normal(size=n).round(3),
            "town": rng.choice(["Ghent", "Mons", "Bruges"], n),
            "own": rng.random(n) < 0.5,
            "plan": rng.choice(["a", "b", "c", "d"], n),
        }
    )
    x.loc[rng.random(n) < 0.1, "income"] = np.nan
    x.loc[rng.random(n) < 0.1, "plan"] = np.nan
    y = (x["age"] / 50 + x["income"].fillna(0) + (x["town"] == "Mons") + x["own"] > 1.7).astype(int)
    return x, y.to_numpy()


def head(scaler=None):
    """Fill and scale numbers, flag categories, pass the rest through."""
    fill = SimpleImputer(strategy="constant", fill_value="none")
    return make_column_transformer(
        (make_pipeline(SimpleImputer(), scaler or StandardScaler()), ["age", "income"]),
        (OneHotEncoder(handle_unknown="ignore"), ["town"]),
        (make_pipeline(fill, OneHotEncoder(handle_unknown="ignore")), ["plan"]),
        remainder="passthrough",
    )


def raw_oracle(ask, row, background, weights):
    """Mask raw rows, run the whole model."""

    def worth(players):
        masked = background.copy()
        for j in players:
            masked[masked.columns[j]] = row.iloc[0, j]
        return weights @ ask(masked.astype(background.dtypes.to_dict()))

    return oracles.shapley(worth, background.shape[1])


TAILS: dict[str, tuple[Any, OutputSpace]] = {
    "exact link": (linear_model.LogisticRegression(), "probability"),
    "exact linear": (linear_model.LogisticRegression(), "margin"),
    "exact tree": (ensemble.RandomForestClassifier(10, random_state=0), "probability"),
    "exact rbf": (svm.SVC(gamma=0.2), "margin"),
}
SCALERS = [StandardScaler(), MinMaxScaler(), RobustScaler(), StandardScaler(with_mean=False)]


@pytest.mark.parametrize("method", TAILS)
@pytest.mark.parametrize("scaler", SCALERS)
def test_a_pipeline_over_raw_features_is_exact_and_travels_as_arrays(method, scaler, tmp_path):
    x, y = mixed()
    tail, space = TAILS[method]
    model = make_pipeline(head(clone(scaler)), clone(tail)).fit(x, y)
    explainer = TabularExplainer(model, x[:40], output_space=space)
    assert explainer.method == method
    asked = model.predict_proba if space == "probability" else model.decision_function

    def ask(rows):
        return np.asarray(asked(rows)).reshape(len(rows), -1)

    weights = explainer.background.weights
    expected = raw_oracle(ask, x[60:61], x[:40], weights)
    scoring = KernelScoringExplainer(explainer, validation=x[100:140])
    save(scoring, tmp_path / "artifact")
    assert read_manifest(tmp_path / "artifact")["model"]["form"] == "arrays"
    loaded = load(tmp_path / "artifact")
    for each in (explainer, scoring, loaded):
        found = each.explain_local(x[60:61])
        np.testing.assert_allclose(found.values[0], expected, atol=1e-9 * np.abs(ask(x)).max())
        assert (found.n_coalitions, found.method) == (0, method)
        assert found.background == "all rows (40)"
    strange = x[60:70].assign(town="Antwerp", income=np.nan)
    np.testing.assert_allclose(loaded.explain_local(strange).outputs, ask(strange), atol=1e-12)
    assert (loaded.predict(strange) == model.predict(strange)).all()
    report = scoring.report
    assert report["additivity_gap"] < 1e-9
    assert report["background_error"]["relative_rms"] == 0
    assert set(report["milliseconds_per_row"]) == {"1", "40"}


def test_groups_are_players_of_an_exact_game():
    x, y = mixed()
    model = make_pipeline(head(), linear_model.LogisticRegression()).fit(x, y)
    groups = {"person": ["age", "town"], "money": ["income", "plan"]}
    explainer = TabularExplainer(model, x[:30], groups=groups)
    assert (explainer.method, explainer.features) == ("exact link", ("person", "money", "own"))
    sampled = TabularExplainer(model, x[:30], groups=groups, method="kernel")
    exact, enumerated = (each.explain_local(x[50:55]).values for each in (explainer, sampled))
    np.testing.assert_allclose(exact, enumerated, atol=1e-10)


def test_a_rotation_before_a_linear_model_is_linear_in_raw_features():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 5)) @ rng.normal(size=(5, 5))
    y = (x[:, 0] > 0).astype(int)
    model = make_pipeline(StandardScaler(), PCA(3), linear_model.LogisticRegression()).fit(x, y)
    explainer = TabularExplainer(model, x[:20])
    assert explainer.method == "exact link"
    expected = oracles.shapley_rows(model.predict_proba, x[-2:], x[:20])
    np.testing.assert_allclose(explainer.explain_local(x[-2:]).values, expected, atol=1e-9)


def test_columns_of_several_features_take_the_generic_path():
    x, y = mixed()
    x = x[["age", "income", "own"]].fillna(0.0).astype(float)
    steps = [StandardScaler(), PolynomialFeatures(), linear_model.LogisticRegression()]
    model = make_pipeline(*steps).fit(x, y)
    assert TabularExplainer(model, x[:20]).method == "exact enumeration"
    steps = [PCA(2), ensemble.RandomForestClassifier(3, random_state=0)]
    assert TabularExplainer(make_pipeline(*steps).fit(x, y), x[:20]).method == "exact enumeration"


def test_what_is_no_scaling_is_transformed_by_the_pipeline_itself(tmp_path):
    """Bins have no encoding of ours: the pipeline travels whole, and its first half is run."""
    x, y = mixed()
    bins = KBinsDiscretizer(4, encode="onehot-dense", quantile_method="averaged_inverted_cdf")
    model = make_pipeline(
        make_column_transformer((bins, ["age"]), ("passthrough", ["own"])),
        ensemble.RandomForestClassifier(5, random_state=0),
    ).fit(x[["age", "own"]], y)
    explainer = TabularExplainer(model, x[["age", "own"]][:30])
    assert explainer.method == "exact tree"
    assert explainer.view.engineering is not None
    assert encoding_of(explainer.view.engineering, explainer.view.initialization) is None
    scoring = KernelScoringExplainer(explainer)
    save(scoring, tmp_path / "artifact")
    loaded = load(tmp_path / "artifact")
    assert read_manifest(tmp_path / "artifact")["model"]["form"] == "skops"
    rows = x[["age", "own"]][60:64]
    expected = raw_oracle(
        model.predict_proba, rows[:1], x[["age", "own"]][:30], np.full(30, 1 / 30)
    )
    for each in (explainer, scoring, loaded):
        np.testing.assert_allclose(each.explain_local(rows).values[0], expected, atol=1e-12)
        assert each.explain_local(rows[:0]).values.shape == (0, 2, 2)


@pytest.mark.parametrize("package", ["lightgbm", "sklearn"])
def test_categories_that_a_library_encodes_itself(package, tmp_path):
    x, y = mixed()
    x[["town", "plan"]] = x[["town", "plan"]].astype("category")
    if package == "lightgbm":
        module = pytest.importorskip("lightgbm", reason="an optional extra")
        model = module.LGBMClassifier(n_estimators=20, min_data_per_group=5, verbosity=-1)
    else:
        model = ensemble.HistGradientBoostingClassifier(
            max_iter=20, categorical_features="from_dtype"
        )
    model.fit(x, y)
    explainer = TabularExplainer(model, x[:30], output_space="margin")
    assert explainer.method == "exact tree"

    def ask(rows):
        raw = {"raw_score": True}
        told = (
            model.predict(rows, **raw) if package == "lightgbm" else model.decision_function(rows)
        )
        return np.asarray(told).reshape(len(rows), -1)

    expected = raw_oracle(ask, x[60:61], x[:30], np.full(30, 1 / 30))
    save(KernelScoringExplainer(explainer), tmp_path / "artifact")
    loaded = load(tmp_path / "artifact")
    assert read_manifest(tmp_path / "artifact")["model"]["form"] == "arrays"
    for each in (explainer, loaded):
        np.testing.assert_allclose(each.explain_local(x[60:61]).values[0], expected, atol=1e-9)
    assert (loaded.predict(x) == model.predict(x)).all()


class Rounded(linear_model.LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    """Looks like its parent and answers otherwise."""

    def predict_proba(self, x):
        return super().predict_proba(x).round(2)


def test_a_model_that_answers_otherwise_than_its_type_takes_the_generic_path():
    x = np.random.default_rng(0).normal(size=(80, 4))
    y = (x[:, 0] > 0).astype(int)
    changed = linear_model.LogisticRegression().fit(x, y)
    changed.predict_proba = lambda rows: np.tile([0.25, 0.75], (len(rows), 1))
    machine = svm.SVC().fit(x, y)
    machine.dual_coef_ = 2 * machine.dual_coef_  # libsvm goes on with its private copy
    for model in (Rounded().fit(x, y), changed, machine):
        assert TabularExplainer(model, x[:20]).method == "exact enumeration"


def test_four_classes_have_a_margin_for_each_pair(tmp_path):
    x = np.random.default_rng(0).normal(size=(150, 4))
    y = np.array(["a", "b", "c", "d"])[np.digitize(x[:, 0], [-0.7, 0, 0.7])]
    model = svm.SVC(gamma=0.3, decision_function_shape="ovo").fit(x, y)
    explainer = TabularExplainer(model, x[:20], output_space="margin")
    assert explainer.method == "exact rbf"
    expected = oracles.shapley_rows(model.decision_function, x[-2:], x[:20])
    save(KernelScoringExplainer(explainer), tmp_path / "artifact")
    for each in (explainer, load(tmp_path / "artifact")):
        found = each.explain_local(x[-2:])
        assert found.output_names[:4] == ("a vs b", "a vs c", "a vs d", "b vs c")
        np.testing.assert_allclose(found.values, expected, atol=1e-10)
    votes = TabularExplainer(svm.SVC().fit(x, y), x[:20], output_space="margin")
    assert votes.method == "exact enumeration"
    assert votes.explain_local(x[:1]).output_names == ("a", "b", "c", "d")


def numeric(n_columns=4):
    x = np.random.default_rng(0).normal(size=(150, n_columns))
    return x, (x[:, 0] + x[:, 1] > 0).astype(int)


def test_the_guides_names_for_two_of_them():
    x, y = numeric()
    forest = TabularExplainer(ensemble.RandomForestClassifier(5).fit(x, y), x)
    line = TabularExplainer(linear_model.LogisticRegression().fit(x, y), x)
    assert TreeScoringExplainer(forest).method == "exact tree"
    assert LinearScoringExplainer(line).method == "exact link"
    with pytest.raises(ParameterError, match="explainer must explain trees"):
        TreeScoringExplainer(line)
    with pytest.raises(ParameterError, match="explainer must explain a linear model"):
        LinearScoringExplainer(forest)


@pytest.mark.parametrize("kind", [TreeScoringExplainer, LinearScoringExplainer])
def test_they_come_back_as_what_they_were(kind, tmp_path):
    x, y = numeric()
    model = {
        TreeScoringExplainer: ensemble.RandomForestClassifier(5, random_state=0),
        LinearScoringExplainer: linear_model.LogisticRegression(),
    }[kind]
    save(kind(TabularExplainer(model.fit(x, y), x)), tmp_path / "artifact")
    assert type(load(tmp_path / "artifact")) is kind


def test_interactions_are_served_where_they_were_asked_for(tmp_path):
    x, y = numeric()
    forest = TabularExplainer(ensemble.RandomForestClassifier(5, random_state=0).fit(x, y), x[:20])
    save(KernelScoringExplainer(forest, interactions=True), tmp_path / "artifact")
    loaded = load(tmp_path / "artifact")
    pairs, values = loaded.explain_interactions(x[-3:]), loaded.explain_local(x[-3:]).values
    np.testing.assert_allclose(pairs.sum(axis=2), values, atol=1e-12)
    with pytest.raises(ModelError, match="interactions=True"):
        KernelScoringExplainer(forest).explain_interactions(x[-3:])
    with pytest.raises(ModelError, match="asks about coalitions"):
        KernelScoringExplainer(forest, method="kernel").explain_interactions(x[-3:])


def test_no_training_row_travels_where_tables_are_enough(tmp_path):
    x, y = numeric()
    model = ensemble.RandomForestClassifier(5, random_state=0).fit(x, y)
    scoring = KernelScoringExplainer(TabularExplainer(model, x, n_background=3))
    save(scoring, tmp_path / "artifact")
    assert scoring.explain_local(x[:1]).background == "all rows (150)"
    held = [p.name for p in (tmp_path / "artifact" / "arrays").iterdir()]
    shapes = {name: np.load(tmp_path / "artifact" / "arrays" / name).shape for name in held}
    assert shapes["exact.game.background.npy"] == (0, 4)
    assert shapes["background.table.codes.npy"] == (3, 4)


def test_the_background_of_what_grows_with_it_is_the_summary_when_served():
    x, y = numeric()
    explainer = TabularExplainer(linear_model.LogisticRegression().fit(x, y), x, n_background=10)
    assert explainer.explain_local(x[:1]).background == "all rows (150)"
    scoring = KernelScoringExplainer(explainer)
    assert (
        scoring.explain_local(x[:1]).background
        == "10 rows weighted by the model's answers for 150 rows"
    )
    error = scoring.report["background_error"]
    assert 0 < error["relative_rms"] < 0.5
    assert error["measured_by"] == "exact values against all rows (150)"


def odd_models():
    x, y = numeric()
    still = x.copy()
    still[:, 2] = 1.0
    one = np.random.default_rng(0).normal(size=(60, 1))
    return {
        "constant feature": (linear_model.LogisticRegression().fit(still, y), still),
        "constant model": (linear_model.LinearRegression().fit(x, np.full(150, 3.0)), x),
        "constant forest": (ensemble.RandomForestRegressor(3).fit(x, np.full(150, 3.0)), x),
        "one feature": (linear_model.LogisticRegression().fit(one, one[:, 0] > 0), one),
        "one class": (ensemble.RandomForestClassifier(3).fit(x, np.zeros(150)), x),
    }


@pytest.mark.parametrize("name", odd_models())
@pytest.mark.parametrize("n_rows", [1, 40])
def test_odd_models_and_one_background_row(name, n_rows, tmp_path):
    model, x = odd_models()[name]
    explainer = TabularExplainer(model, x[:n_rows])
    assert explainer.method.startswith("exact ")
    save(KernelScoringExplainer(explainer), tmp_path / "artifact")
    for each in (explainer, load(tmp_path / "artifact")):
        found = each.explain_local(x[-3:])
        assert found.additivity_gap.max() < 1e-9
        assert np.isfinite(found.values).all()


def test_five_hundred_features(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 500))
    y = (x[:, :20].sum(axis=1) > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = (
            linear_model.LogisticRegression(C=0.001).fit(x, y),
            ensemble.RandomForestClassifier(10, random_state=0).fit(x, y),
        )
    for model in models:
        scoring = KernelScoringExplainer(TabularExplainer(model, x[:20]))
        found = scoring.explain_local(x[-2:])
        assert found.method.startswith("exact ")
        assert found.additivity_gap.max() < 1e-9


def test_an_indicator_of_gaps_is_encoded_without_a_word():
    x = np.random.default_rng(0).normal(size=(60, 3))
    x[::7, 1] = np.nan
    y = np.nan_to_num(x).sum(axis=1) > 0
    head = SimpleImputer(add_indicator=True)
    model = make_pipeline(head, linear_model.LogisticRegression()).fit(x, y)
    explainer = TabularExplainer(model, x[:9])
    assert explainer.method == "exact link"
    assert explainer.explain_local(x[-3:]).additivity_gap.max() < 1e-9


def test_a_pipeline_hands_the_margin_of_a_booster_on():
    xgboost = pytest.importorskip("xgboost")
    x = np.random.default_rng(0).normal(size=(80, 3))
    model = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=4))
    model.fit(x, (x[:, 0] > 0).astype(int))
    explainer = TabularExplainer(model, x[:9], output_space="margin")
    assert explainer.method == "exact tree"
    expected = oracles.shapley_rows(
        lambda rows: model.predict(rows, output_margin=True)[:, np.newaxis], x[-2:], x[:9]
    )
    found = explainer.explain_local(x[-2:]).values
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_report_says_how_the_background_of_a_link_was_chosen():
    x = np.random.default_rng(0).normal(size=(300, 3))
    model = linear_model.LogisticRegression().fit(x, x[:, 0] > 0)
    report = KernelScoringExplainer(TabularExplainer(model, x)).report
    assert report["background_choice"]["tried"][-1]["n_background"] <= 100
    margins = TabularExplainer(model, x, output_space="margin")
    assert KernelScoringExplainer(margins).report["background_choice"] is None
