"""Raw features as players: a real pipeline against the definition, groups, subsets, sparse rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import ensemble, linear_model, svm
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from scoring import (
    KernelScoringExplainer,
    ModelError,
    ParameterError,
    RowsError,
    TabularExplainer,
    load,
    save,
)
from scoring.explainers import ModelTask
from scoring.games.choose import game_of
from scoring.games.columns import ColumnsGame
from scoring.games.masked import MaskedGame
from scoring.games.twin import TwinGame
from tests import oracles
from tests.tables import raw_values, small


def wide(n=150):
    """Eleven raw features, six of them text, and a pipeline over them."""
    rng = np.random.default_rng(1)
    numbers = {f"n{j}": rng.normal(size=n).round(2) for j in range(5)}
    texts = {f"t{j}": rng.choice([*"abcd"][: 2 + j % 3], n).astype(object) for j in range(6)}
    x = pd.DataFrame(numbers | texts)
    x.loc[rng.random(n) < 0.1, "n1"] = np.nan
    x.loc[rng.random(n) < 0.1, "t1"] = np.nan
    y = (x["n0"] + (x["t0"] == "a") - (x["t2"] == "b") + 0.5 * rng.normal(size=n) > 0.3).astype(int)
    fill = SimpleImputer(strategy="constant", fill_value="none")
    head = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(numbers)),
            ("texts", make_pipeline(fill, OneHotEncoder(handle_unknown="ignore")), list(texts)),
        ]
    )
    return x, y.to_numpy(), head


@pytest.mark.parametrize(("loss", "game"), [("log_loss", TwinGame), ("exponential", ColumnsGame)])
def test_eleven_raw_features_against_all_coalitions_of_masked_raw_rows(loss, game):
    x, y, head = wide()
    boosted = ensemble.GradientBoostingClassifier(n_estimators=20, loss=loss)
    model = make_pipeline(head, boosted).fit(x, y)
    background, rows = x[:3], x[60:61]
    expected = raw_values(model, rows, background)
    largest = np.abs(model.predict_proba(x)).max()
    explainer = TabularExplainer(model, background)
    assert isinstance(explainer.view.kernel.game, game)
    for each in (explainer, KernelScoringExplainer(explainer)):
        found = each.explain_local(rows)
        np.testing.assert_allclose(found.values, expected, atol=1e-9 * largest)
        assert found.features == tuple(x.columns)


def test_the_cut_pipeline_answers_what_the_whole_one_answers():
    x, y, head = wide()
    model = make_pipeline(head, svm.SVC(probability=True, random_state=0)).fit(x, y)
    view = TabularExplainer(model, x[:10]).view
    assert view.twin is not None
    assert isinstance(view.game(view.summary), TwinGame)
    cut = game_of(view.predictor, view.summary, 2**28, None, view.engineering)
    assert isinstance(cut, ColumnsGame)
    whole = MaskedGame(view.predictor, view.summary, 2**28)
    rng = np.random.default_rng(0)
    masks = rng.random((40, x.shape[1])) < 0.5
    rows = view.predictor.schema.encode(x[50:53])
    for game in (cut, view.game(view.summary)):
        np.testing.assert_allclose(game.values(rows, masks), whole.values(rows, masks), atol=1e-9)
        assert game.values(rows.take(slice(0, 0)), masks).shape == (0, 40, 2)


def test_a_pipeline_whose_columns_depend_on_several_features_is_run_whole():
    from sklearn.decomposition import PCA

    x, y = small()
    numbers = x[["age", "income"]]
    model = make_pipeline(PCA(2), linear_model.LogisticRegression()).fit(numbers, y)
    explainer = TabularExplainer(model, numbers[:5])
    assert isinstance(explainer.view.kernel.game, MaskedGame)
    expected = raw_values(model, numbers[60:62], numbers[:5])
    np.testing.assert_allclose(explainer.explain_local(numbers[60:62]).values, expected, atol=1e-10)


def test_a_category_that_only_the_encoder_knows_belongs_to_its_feature():
    x, y, head = wide()
    model = make_pipeline(head, linear_model.LogisticRegression()).fit(x, y)
    few = x[x["t5"] != "d"][:12]
    made = TabularExplainer(model, few).view.engineering
    assert made is not None  # for the type checker
    assert made.exclusive
    columns = [c for c, name in enumerate(made.columns.names) if "t5" in name]
    assert len(columns) == 4
    assert made.feature_map[x.columns.get_loc("t5"), columns].tolist() == [1] * 4


def test_a_category_that_only_a_strict_encoder_knows_is_taken_and_no_other():
    x, y = small()
    strict = ColumnTransformer([("t", OneHotEncoder(), ["region", "plan"])], remainder="drop")
    model = make_pipeline(strict, linear_model.LogisticRegression()).fit(x, y)
    few = x[(x["plan"] != "pro") & (x["region"] != "west")][:10]
    explainer = TabularExplainer(model, few)
    rows = x[(x["plan"] == "pro")][:2]
    expected = raw_values(model, rows, few)
    np.testing.assert_allclose(explainer.explain_local(rows).values, expected, atol=1e-10)
    plan = explainer.predictor.schema.features[4]
    assert set(plan.categories) == {"basic", "plus", "pro"}
    with pytest.raises(RowsError, match="must be one of the categories"):
        explainer.explain_local(rows.assign(plan="gold"))


@pytest.mark.parametrize("n_background", [1, 2])
def test_one_row_of_background_is_no_proof_that_values_add_up(n_background):
    x = np.random.default_rng(0).normal(size=(60, 3))
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int)
    for model in (linear_model.LogisticRegression(), CLASSIFIERS[0]):
        model.fit(x, y)
        found = TabularExplainer(model, x[:n_background]).explain_local(x[-3:])
        expected = oracles.shapley_rows(model.predict_proba, x[-3:], x[:n_background])
        np.testing.assert_allclose(found.values, expected, atol=1e-10)


def grouped_oracle(f, row, background, groups):
    """The game whose players are lists of columns."""

    def v(s):
        masked = background.copy()
        for player in s:
            masked[:, groups[player]] = row[groups[player]]
        return f(masked).mean(axis=0)

    return oracles.shapley(v, len(groups))


@pytest.mark.parametrize("size", [6, 16])
def test_groups_are_players_in_the_full_and_the_scoring_explainer(size, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, size))
    y = (x[:, 0] * x[:, 1] + x[:, 2] + x[:, -1] > 0).astype(int)
    model = ensemble.RandomForestClassifier(10, random_state=0).fit(x, y)
    names = [f"c{j}" for j in range(size)]
    groups = {"first": names[:2], "last": names[3:]}
    players = [[0, 1], [2], [*range(3, size)]]
    explainer = TabularExplainer(model, x[:9], features=names, groups=groups)
    assert explainer.features == ("first", "c2", "last")
    scoring = KernelScoringExplainer(explainer)
    save(scoring, tmp_path / "artifact")
    expected = np.array([grouped_oracle(model.predict_proba, r, x[:9], players) for r in x[-3:]])
    for each in (explainer, scoring, load(tmp_path / "artifact")):
        found = each.explain_local(x[-3:])
        np.testing.assert_allclose(found.values, expected, atol=1e-7)  # loaded: in float32
        assert found.features == ("first", "c2", "last")
        assert (found.n_coalitions, found.method) == (0, "exact tree")
    sampled = KernelScoringExplainer(explainer, method="kernel").explain_local(x[-3:])
    np.testing.assert_allclose(sampled.values, expected, atol=1e-12)
    assert (sampled.n_coalitions, sampled.method) == (6, "exact enumeration")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"g": ["c0", "height"]}, "'height' is no feature"),
        ({"g": ["c0"], "h": ["c0", "c1"]}, "'c0' is in a group twice"),
        ({"g": []}, "group 'g' is empty"),
        ({"c2": ["c0", "c1"]}, "'c2' is a feature's name as well"),
        ({"g": "c0"}, "a list of features"),
        (["c0"], "must be names with lists"),
    ],
)
def test_wrong_groups_are_named(groups, message):
    x = np.random.default_rng(0).normal(size=(30, 4))
    model = linear_model.LinearRegression().fit(x, x[:, 0])
    with pytest.raises(ParameterError, match=message):
        TabularExplainer(model, x, features=["c0", "c1", "c2", "c3"], groups=groups)


def test_groups_of_an_exact_method_get_what_their_features_get():
    x = np.random.default_rng(0).normal(size=(30, 4))
    model = linear_model.LinearRegression().fit(x, x[:, 0] - 2 * x[:, 3])
    groups = {"g": ["feature_0", "feature_1"]}
    apart, together = (
        TabularExplainer(model, x, groups=g, method="linear").explain_local(x[:3]).values
        for g in (None, groups)
    )
    np.testing.assert_allclose(together[:, 0], apart[:, :2].sum(axis=1), atol=1e-12)
    with pytest.raises(ParameterError, match="must fit the model: it has no tree explanation"):
        TabularExplainer(model, x, groups=groups, method="tree")


@pytest.mark.parametrize(
    "model",
    [
        ensemble.RandomForestClassifier(10, random_state=0),  # where the original crashes
        linear_model.LogisticRegression(),
        svm.SVC(probability=True, random_state=0),
    ],
)
def test_a_subset_has_the_values_it_has_among_all(model):
    x, y = np.random.default_rng(0).normal(size=(80, 5)), np.arange(80) % 2
    model.fit(x, y)
    whole = TabularExplainer(model, x[:30]).explain_local(x[-4:])
    for subset in ([3, 0], ["feature_3", "feature_0"], np.array([3, 0])):
        part = TabularExplainer(model, x[:30], explain_subset=subset).explain_local(x[-4:])
        np.testing.assert_array_equal(part.values, whole.values[:, [3, 0]])
        assert part.additivity_gap.max() < 1e-6
    told = TabularExplainer(model, x[:30], explain_subset=[3]).explain_global(x)
    assert told.features == ("feature_3",)


@pytest.mark.parametrize("subset", [[], [5], [-1], ["height"], [0, 0], "feature_0", [True, False]])
def test_wrong_subsets_are_named(subset):
    x = np.random.default_rng(0).normal(size=(30, 5))
    model = linear_model.LinearRegression().fit(x, x[:, 0])
    with pytest.raises(ParameterError, match="explain_subset must"):
        TabularExplainer(model, x, explain_subset=subset)


def test_the_task_of_a_function_and_of_a_model():
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    model = linear_model.LogisticRegression().fit(x, y)

    def function(rows):
        return model.predict_proba(rows)

    class TheirTask:
        value = "classification"

    for task in ("classification", ModelTask.Classification, TheirTask()):
        explainer = TabularExplainer(function, x, model_task=task, classes=["a", "b"])
        found = explainer.explain_local(x[:2])
        assert (found.output_space, found.output_names) == ("probability", ("a", "b"))
    assert TabularExplainer(function, x).explain_local(x[:2]).output_space == "value"
    numbers = TabularExplainer(model, x, model_task="regression").explain_local(x[:2])
    assert numbers.output_space == "value"
    assert numbers.outputs[:, 0].tolist() == model.predict(x[:2]).tolist()
    with pytest.raises(ParameterError, match="model_task must be one of classification"):
        TabularExplainer(model, x, model_task="ranking")


CLASSIFIERS = [
    ensemble.GradientBoostingClassifier(n_estimators=5),
    ensemble.HistGradientBoostingClassifier(max_iter=5),
    svm.SVC(),
    ensemble.RandomForestClassifier(5),
]


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: type(m).__name__)
def test_class_names_do_not_crash_any_classifier(model):
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    found = TabularExplainer(model.fit(x, y), x, classes=["no", "yes"]).explain_local(x[:2])
    assert found.output_names in {("no", "yes"), ("yes",)}
    assert found.additivity_gap.max() < 1e-6


def test_class_names_never_swap():
    x = np.random.default_rng(0).normal(size=(60, 3))
    model = linear_model.LogisticRegression().fit(x, np.array(["b", "a", "c"])[np.arange(60) % 3])
    assert TabularExplainer(model, x).classes == ("a", "b", "c")
    assert TabularExplainer(model, x, classes=["a", "b", "c"]).classes == ("a", "b", "c")
    shown = TabularExplainer(model, x, classes=["x", "y", "z"])
    assert shown.classes == ("x", "y", "z")
    own = TabularExplainer(model, x)
    one, two = (each.explain_local(x[:3]).values for each in (shown, own))
    np.testing.assert_array_equal(one, two)
    for wrong in (["b", "a", "c"], ["a", "b", "z"], ["c", "x", "y"]):
        with pytest.raises(ParameterError, match=r"keep the order .* order is a, b, c"):
            TabularExplainer(model, x, classes=wrong)
    with pytest.raises(ParameterError, match="classes must name 3 classes, not 2"):
        TabularExplainer(model, x, classes=["x", "y"])


def test_class_names_of_an_outlier_detector_and_of_a_regression():
    x = np.random.default_rng(0).normal(size=(60, 3))
    forest = ensemble.IsolationForest(n_estimators=10, random_state=0).fit(x)
    found = TabularExplainer(forest, x, classes=["outlier", "inlier"]).explain_local(x[:2])
    assert found.output_names == ("inlier",)
    assert found.output_space == "margin"
    with pytest.raises(ParameterError, match="classes must name 2 classes, not 3"):
        TabularExplainer(forest, x, classes=["a", "b", "c"])
    ridge = linear_model.Ridge().fit(x, x[:, 0])
    with pytest.raises(ParameterError, match="classes must not be given for a regression"):
        TabularExplainer(ridge, x, classes=["a", "b"])


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array])
def test_sparse_rows_are_explained_as_dense_ones(form):
    rng = np.random.default_rng(0)
    x = np.where(rng.random((80, 6)) < 0.6, 0, rng.normal(size=(80, 6)))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    for model in (linear_model.LogisticRegression(), svm.SVC(), ensemble.RandomForestClassifier(5)):
        model.fit(form(x), y)
        explainer = TabularExplainer(model, form(x))
        found = explainer.explain_local(form(x[:3]))
        np.testing.assert_array_equal(found.values, explainer.explain_local(x[:3]).values)
        outputs = getattr(model, "predict_proba", getattr(model, "decision_function", None))
        assert outputs is not None  # for the type checker
        np.testing.assert_allclose(found.outputs, outputs(form(x[:3])).reshape(3, -1), atol=1e-12)
        assert explainer.explain_global(form(x), show_progress=False).n_rows == 80


def test_a_booster_that_takes_absent_entries_for_missing_is_not_asked_about_zeros():
    xgboost = pytest.importorskip("xgboost", reason="an optional extra")
    rng = np.random.default_rng(0)
    x = np.where(rng.random((200, 4)) < 0.6, 0, rng.normal(size=(200, 4)))
    y = ((x[:, 0] == 0) & (x[:, 1] > -0.5)).astype(int)
    model = xgboost.XGBClassifier(n_estimators=20).fit(sparse.csr_matrix(x), y)
    with pytest.raises(ParameterError, match="initialization_examples must be dense"):
        TabularExplainer(model, sparse.csr_matrix(x))
    gaps = np.where(x == 0, np.nan, x)
    found = TabularExplainer(model, gaps).explain_local(gaps[:3])
    np.testing.assert_allclose(found.outputs, model.predict_proba(sparse.csr_matrix(x[:3])))


def test_the_full_explainer_says_what_its_summary_costs(breast_cancer):
    x, x_test, y, *_ = breast_cancer
    model = make_pipeline(StandardScaler(), linear_model.LogisticRegression()).fit(x, y)
    few, many = (
        TabularExplainer(
            model, x, n_background=n, n_coalitions=120, method="kernel"
        ).background_error(x_test)
        for n in (2, 60)
    )
    assert few["relative_rms"] > 2 * many["relative_rms"] > 0
    assert "coalitions against both" in few["measured_by"]
    forest = TabularExplainer(ensemble.RandomForestClassifier(3).fit(x, y), x)
    assert forest.background_error()["relative_rms"] == 0
    assert TabularExplainer(model, x[:50], n_coalitions=60).background_error()["relative_rms"] == 0


def test_columns_are_not_there_for_a_model_that_is_no_pipeline():
    x = np.random.default_rng(0).normal(size=(30, 3))
    explainer = TabularExplainer(linear_model.LinearRegression().fit(x, x[:, 0]), x)
    with pytest.raises(ModelError, match="no engineered columns"):
        explainer.explain_local(x, get_raw=False)


def wrong_rows():
    x, _ = small()
    numbers = x[["age", "income"]]
    return {
        r"x must not have columns of one name: age": pd.concat([numbers, numbers[["age"]]], axis=1),
        r"it lacks income and has height besides": numbers.rename(columns={"income": "height"}),
        r"it has balance besides": x[["age", "income", "balance"]],
        r"x must be two-dimensional": x["age"].to_numpy(),
        r"initialization_examples must hold at least one row": numbers[:0],
        r"x must have at least one column": numbers[[]],
        r"column 'age' must not hold infinite": numbers.assign(age=np.inf),
    }


@pytest.mark.parametrize("message", wrong_rows())
def test_wrong_examples_are_named_with_rule_and_fix(message):
    x, y = small()
    model = linear_model.LogisticRegression().fit(x[["age", "income"]], y)
    with pytest.raises(ParameterError, match=message):
        TabularExplainer(model, wrong_rows()[message])


def test_names_of_another_number_and_rows_of_another_width():
    x, y = small()
    numbers = x[["age", "income"]].to_numpy()
    model = linear_model.LogisticRegression().fit(numbers, y)
    with pytest.raises(ParameterError, match="features must be a list of names"):
        TabularExplainer(model, numbers, features="ab")
    with pytest.raises(ParameterError, match="classes must be a list of names"):
        TabularExplainer(model, numbers, classes="ab")
    with pytest.raises(ParameterError, match="features must name 2 columns, not 3"):
        TabularExplainer(model, numbers, features=["a", "b", "c"])
    with pytest.raises(RowsError, match="rows must have 2 values, not 1"):
        TabularExplainer(model, numbers).explain_local(numbers[:, :1])
