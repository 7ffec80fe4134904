"""The full explainer and the scoring explainer against the definition, and their results."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from sklearn import ensemble, linear_model, svm, tree
from sklearn.calibration import CalibratedClassifierCV

from scoring import (
    FidelityError,
    KernelScoringExplainer,
    ParameterError,
    RowsError,
    TabularExplainer,
)
from scoring.distillation import measure
from tests import oracles


def six_features(task="binary", n=120):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, 6))
    score = x[:, 0] + x[:, 1] * x[:, 2] - 0.5 * x[:, 3]
    if task == "value":
        return x, score
    if task == "binary":
        return x, (score > 0).astype(int)
    return x, np.array(["low", "mid", "high"])[np.digitize(score, [-0.7, 0.7])]


@pytest.fixture(autouse=True)
def _quick_reports(monkeypatch):
    """Measure fidelity on as few rows as there may be: most tests here are about other things."""
    monkeypatch.setattr(measure, "MEASURED_CALLS", 20_000)


SPACES = {
    "probability": lambda m: m.predict_proba,
    "margin": lambda m: m.decision_function,
    "value": lambda m: m.predict,
}
MODELS = [
    (ensemble.RandomForestClassifier(20, random_state=0), "binary", "probability", "exact tree"),
    (ensemble.ExtraTreesClassifier(20, random_state=0), "three", "probability", "exact tree"),
    (tree.DecisionTreeRegressor(max_depth=4, random_state=0), "value", "value", "exact tree"),
    (
        ensemble.GradientBoostingClassifier(n_estimators=20),
        "binary",
        "probability",
        "exact enumeration",
    ),
    (ensemble.GradientBoostingClassifier(n_estimators=20), "binary", "margin", "exact tree"),
    (
        ensemble.GradientBoostingClassifier(n_estimators=10),
        "three",
        "probability",
        "exact enumeration",
    ),
    (ensemble.HistGradientBoostingClassifier(max_iter=20), "binary", "margin", "exact tree"),
    (ensemble.HistGradientBoostingRegressor(max_iter=20), "value", "value", "exact tree"),
    (linear_model.LinearRegression(), "value", "value", "exact linear"),
    (linear_model.LogisticRegression(), "binary", "margin", "exact linear"),
    (linear_model.LogisticRegression(), "binary", "probability", "exact link"),
    (linear_model.LogisticRegression(), "three", "probability", "exact enumeration"),
    (svm.SVC(), "binary", "margin", "exact rbf"),
    (svm.SVR(), "value", "value", "exact rbf"),
    (
        CalibratedClassifierCV(svm.SVC(), ensemble=False),
        "binary",
        "probability",
        "exact enumeration",
    ),
]


@pytest.mark.parametrize(("model", "task", "space", "path"), MODELS)
@pytest.mark.parametrize("n_rows", [30, 120])
def test_full_and_scoring_explainers_match_the_definition(model, task, space, path, n_rows):
    x, y = six_features(task)
    model = model.fit(x, y)
    explainer = TabularExplainer(model, x[:n_rows], output_space=space)
    assert explainer.method == path
    rows = x[-3:]

    def f(rows):
        outputs = SPACES[space](model)(rows)
        return outputs.reshape(len(rows), -1)

    full = explainer.explain_local(rows)
    summary = explainer.background
    expected = oracles.shapley_rows(f, rows, summary.table.codes, summary.weights)
    np.testing.assert_allclose(full.values, expected, atol=1e-9 * np.abs(f(x)).max())
    assert full.output_space == space
    assert (full.additivity_gap < 1e-9 * np.abs(f(x)).max()).all()

    served = explainer.view.served
    for scoring, background, by in (
        (
            KernelScoringExplainer(explainer),
            explainer.summary if served is None else served.background,
            path,
        ),
        (
            KernelScoringExplainer(explainer, method="kernel"),
            explainer.summary,
            "exact enumeration",
        ),
    ):
        found = scoring.explain_local(rows)
        assert found.method == by
        expected = oracles.shapley_rows(f, rows, background.table.codes, background.weights)
        np.testing.assert_allclose(found.values, expected, atol=1e-9 * np.abs(f(x)).max())


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_boosting_libraries(package):
    module = pytest.importorskip(package, reason="an optional extra")
    x, y = six_features()
    if package == "lightgbm":
        model = module.LGBMClassifier(n_estimators=20, verbose=-1).fit(x, y)
        margin = model.predict(x[-3:], raw_score=True)
    else:
        model = module.XGBClassifier(n_estimators=20).fit(x, y)
        margin = model.predict(x[-3:], output_margin=True)
    for space in ("probability", "margin"):
        explainer = TabularExplainer(model, x, output_space=space)
        found = explainer.explain_local(x[-3:])
        assert (
            explainer.method == {"margin": "exact tree", "probability": "exact enumeration"}[space]
        )
        assert found.additivity_gap.max() < 1e-4
        if space == "margin":
            np.testing.assert_allclose(found.outputs[:, 0], margin)
        scoring = KernelScoringExplainer(explainer).explain_local(x[-3:])
        single = package == "xgboost" and space == "margin"  # it adds its leaves in float32
        assert scoring.additivity_gap.max() < (1e-5 if single else 1e-9)


def test_the_guides_example_picks_the_kernel_and_probability(breast_cancer):
    x_train, x_test, y_train, _, names, classes = breast_cancer
    model = svm.SVC(gamma=0.001, C=100.0, probability=True).fit(x_train, y_train)
    explainer = TabularExplainer(model, x_train, features=names, classes=classes, n_background=5)
    scoring = KernelScoringExplainer(explainer, n_coalitions=200)
    values = scoring.explain(x_test[:2])
    assert np.shape(values) == (2, 2, 30)
    assert scoring.explain_local(x_test[:2]).output_space == "probability"
    json.dumps(values, allow_nan=False)
    assert scoring.classes == ("malignant", "benign")
    assert (scoring.predict(x_test) == model.predict(x_test)).all()


def test_layouts_of_every_task():
    x, y = six_features("binary")
    model = linear_model.LogisticRegression().fit(x, y)
    layouts = {}
    for space in ("probability", "margin"):
        explainer = KernelScoringExplainer(TabularExplainer(model, x, output_space=space))
        layouts[space] = np.shape(explainer.explain(x[:4]))
    x, y = six_features("value")
    one = linear_model.Ridge().fit(x, y)
    two = linear_model.Ridge().fit(x, np.column_stack([y, -y]))
    layouts["one"] = np.shape(KernelScoringExplainer(TabularExplainer(one, x)).explain(x[:4]))
    layouts["two"] = np.shape(KernelScoringExplainer(TabularExplainer(two, x)).explain(x[:4]))
    assert layouts == {
        "probability": (2, 4, 6),
        "margin": (1, 4, 6),
        "one": (4, 6),
        "two": (2, 4, 6),
    }


def test_a_mixed_pipeline_matches_the_definition_over_raw_rows(mixed):
    x, _, model = mixed
    explainer = TabularExplainer(model, x.iloc[:8])
    rows = x.iloc[[20, 21]].reset_index(drop=True)
    raw = x.iloc[:8].to_numpy(dtype=object)

    def f(masked):
        import pandas as pd

        frame = pd.DataFrame(masked, columns=x.columns)
        return model.predict_proba(frame.astype(x.dtypes.to_dict()))

    expected = oracles.shapley_rows(f, rows.to_numpy(dtype=object), raw)
    for found in (explainer, KernelScoringExplainer(explainer)):
        np.testing.assert_allclose(found.explain_local(rows).values, expected, atol=1e-10)


def test_allowances_are_what_the_pipeline_takes(mixed):
    x, _, model = mixed
    features = {f.name: f for f in TabularExplainer(model, x).predictor.schema.features}
    assert features["balance"].allows_missing
    assert features["plan"].allows_missing
    assert features["plan"].allows_unseen
    assert not features["age"].allows_unseen


def test_transformations_and_one_pipeline_are_the_same(mixed):
    x, _, model = mixed
    parts = TabularExplainer(model.steps[-1][1], x[:30], transformations=model.steps[0][1])
    whole = TabularExplainer(model, x[:30])
    found, expected = (e.explain_local(x[40:43]).values for e in (parts, whole))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_from_a_ready_shap_kernel_explainer():
    import shap

    x, y = six_features()
    model = svm.SVC(probability=True, random_state=0).fit(x, y)
    ready = shap.KernelExplainer(model.predict_proba, shap.kmeans(x, 5))
    scoring = KernelScoringExplainer(ready)
    found = scoring.explain_local(x[:2])
    expected = oracles.shapley_rows(
        model.predict_proba, x[:2], ready.data.data, ready.data.weights / ready.data.weights.sum()
    )
    np.testing.assert_allclose(found.values, expected, atol=1e-10)
    np.testing.assert_allclose(scoring.base_values, ready.expected_value, atol=1e-12)
    assert (scoring.predict(x) == model.predict(x)).all()
    with pytest.raises(ParameterError, match="link='identity'"):
        KernelScoringExplainer(shap.KernelExplainer(model.predict_proba, x[:5], link="logit"))


def test_a_callable_is_explained_in_the_space_its_caller_names():
    x, _ = six_features()

    def f(rows):
        return np.column_stack([rows[:, 0], rows.sum(axis=1)])

    explainer = TabularExplainer(f, x[:10], classes=["first", "second"])
    found = explainer.explain_local(x[:2])
    assert found.output_space == "value"
    assert found.output_names == ("first", "second")
    np.testing.assert_allclose(found.values, oracles.shapley_rows(f, x[:2], x[:10]), atol=1e-10)


def test_two_explainers_of_the_same_model_agree_to_the_digit(breast_cancer):
    x_train, x_test, y_train, *_ = breast_cancer
    model = linear_model.LogisticRegression(max_iter=5000).fit(x_train, y_train)
    one, two = (
        KernelScoringExplainer(TabularExplainer(model, x_train, n_coalitions=300, n_background=5))
        for _ in range(2)
    )
    assert (one.explain_local(x_test[:3]).values == two.explain_local(x_test[:3]).values).all()
    state = str(np.random.get_state())  # noqa: NPY002 to see that nobody touches it
    one.explain(x_test[:3])
    assert str(np.random.get_state()) == state  # noqa: NPY002 as above


def test_tolerance_picks_the_smallest_design_that_keeps_to_it(breast_cancer):
    x_train, x_test, y_train, *_ = breast_cancer
    model = ensemble.RandomForestClassifier(10, max_depth=3, random_state=0).fit(x_train, y_train)
    explainer = TabularExplainer(model, x_train, n_background=5, method="kernel")
    scoring = KernelScoringExplainer(explainer, validation=x_test, tolerance=0.1)
    tried = scoring.report["tried"]
    assert scoring.report["within_tolerance"]
    assert scoring.report["relative_rms_error"] <= 0.1
    assert all(t["relative_rms_error"] > 0.1 for t in tried[:-1])
    assert scoring.design is not None
    assert scoring.design.n_coalitions == tried[-1]["n_coalitions"]
    with pytest.raises(FidelityError, match="above the tolerance of 1e-06"):
        KernelScoringExplainer(explainer, n_coalitions=60, tolerance=1e-6)
    missed = KernelScoringExplainer(explainer, n_coalitions=60, tolerance=1e-6, strict=False)
    assert missed.report["within_tolerance"] is False


def test_the_report_says_where_its_rows_come_from(breast_cancer):
    x_train, x_test, y_train, *_ = breast_cancer
    model = linear_model.LogisticRegression(max_iter=5000).fit(x_train, y_train)
    explainer = TabularExplainer(model, x_train, n_background=5, n_coalitions=200)
    assert KernelScoringExplainer(explainer).report["rows"]["from"] == "mixed features"
    held_out = KernelScoringExplainer(explainer, validation=x_test).report
    assert held_out["rows"]["from"] == "validation"
    assert held_out["background_error"]["relative_rms"] > 0
    json.dumps(held_out, allow_nan=False)


def test_ranked_views(breast_cancer):
    x, y = six_features()
    model = linear_model.LogisticRegression().fit(x, y)
    explainer = TabularExplainer(model, x[:50], features=list("abcdef"), classes=["no", "yes"])
    local = explainer.explain_local(x[:3])
    values, names = local.get_ranked_local_values(), local.get_ranked_local_names()
    assert np.shape(values) == np.shape(names) == (2, 3, 6)
    assert (np.diff(values, axis=-1) <= 0).all()
    rank = local.get_local_importance_rank()
    assert names[1][2] == ["abcdef"[j] for j in rank[1][2]]
    assert np.shape(local.get_ranked_local_names(2)) == (2, 3, 2)

    everything = explainer.explain_global(x)
    expected = np.abs(explainer.explain_local(x).values).mean(axis=0).T
    np.testing.assert_allclose(everything.per_output, expected, atol=1e-12)
    assert list(everything.get_feature_importance_dict(2)) == everything.get_ranked_global_names(2)
    assert everything.get_ranked_global_values() == sorted(
        everything.global_importance_values, reverse=True
    )
    assert len(everything.get_ranked_per_class_names()) == 2


def wrong_arguments():
    x, y = six_features()
    fitted = linear_model.LogisticRegression().fit(x, y)
    named = linear_model.LogisticRegression().fit(x, np.where(y, "yes", "no"))
    return {
        "must be fitted": (linear_model.LogisticRegression(), {}),
        "must be a fitted estimator": (3, {}),
        "features must name 6": (fitted, {"features": ["a"]}),
        "classes must name 2": (fitted, {"classes": ["a", "b", "c"]}),
        "classes must keep the order": (named, {"classes": ["yes", "no"]}),
        "other names for them by position": (named, {"classes": ["no", "maybe"]}),
        "output_space must be one the model has": (fitted, {"output_space": "value"}),
        "output_space must be one of": (fitted, {"output_space": "odds"}),
        "method must be one of auto": (fitted, {"method": "best"}),
        "method must fit the model": (fitted, {"method": "tree"}),
        "n_background must be": (fitted, {"n_background": 0}),
        "transformations must be": (fitted, {"transformations": object()}),
        "answer numbers": (fitted.predict, {}),
    }


@pytest.mark.parametrize("message", wrong_arguments())
def test_wrong_arguments_are_named_with_rule_and_fix(message):
    model, arguments = wrong_arguments()[message]
    x, _ = six_features()
    with pytest.raises(ParameterError, match=message):
        TabularExplainer(model, x, **arguments)


def test_wrong_arguments_of_the_scoring_explainer():
    x, y = six_features()
    explainer = TabularExplainer(linear_model.LogisticRegression().fit(x, y), x)
    with pytest.raises(ParameterError, match="explainer must be"):
        KernelScoringExplainer(3)
    with pytest.raises(ParameterError, match="tolerance must be above 0"):
        KernelScoringExplainer(explainer, tolerance=0)
    with pytest.raises(ParameterError, match="n_coalitions must be at least 12"):
        KernelScoringExplainer(explainer, n_coalitions=3)
    with pytest.raises(RowsError, match="must have 6 values"):
        KernelScoringExplainer(explainer).explain(np.ones((1, 5)))


def in_place(rows):
    rows -= 1
    return rows.sum(axis=1) * rows[:, 0]


def test_models_that_work_in_place_change_nothing_of_ours():
    x, _ = six_features()
    explainer = TabularExplainer(in_place, x[:10])
    expected = oracles.shapley_rows(lambda r: in_place(r.copy()), x[-3:], x[:10])
    for found in (explainer, KernelScoringExplainer(explainer)):
        values = found.explain_local(x[-3:]).values[..., 0]
        np.testing.assert_allclose(values, expected, atol=1e-10)


def test_a_constant_model_has_no_error():
    x = np.random.default_rng(0).normal(size=(20, 14))
    scoring = KernelScoringExplainer(
        TabularExplainer(lambda rows: np.full(len(rows), 0.3), x), tolerance=0.05
    )
    assert scoring.report["relative_rms_error"] == 0
    assert np.abs(scoring.explain(x)).max() < 1e-12


def test_no_rows_are_explained_by_no_values():
    x, y = six_features()
    scoring = KernelScoringExplainer(TabularExplainer(svm.SVC().fit(x, y), x[:10]))
    assert scoring.explain_local(x[:0]).values.shape == (0, 6, 1)


def test_boolean_arrays_are_numbers():
    x, y = six_features()
    explainer = TabularExplainer(linear_model.LogisticRegression().fit(x > 0, y), x[:10] > 0)
    assert explainer.explain_local(x[:2] > 0).values.shape == (2, 6, 2)


def test_outlier_detectors_are_explained_by_their_decision_and_clusterers_refused():
    from sklearn.cluster import KMeans
    from sklearn.neighbors import LocalOutlierFactor

    x, _ = six_features()
    for model in (LocalOutlierFactor(novelty=True), ensemble.IsolationForest(n_estimators=5)):
        explainer = TabularExplainer(model.fit(x), x[:10])
        found = explainer.explain_local(x[:2])
        assert found.output_space == "margin"
        np.testing.assert_allclose(found.outputs[:, 0], model.decision_function(x[:2]))
    with pytest.raises(ParameterError, match="not a clusterer"):
        TabularExplainer(KMeans(2, n_init=1).fit(x), x)


def test_numbers_that_the_model_does_not_take_are_refused_with_the_rule():
    x, y = six_features()
    scoring = KernelScoringExplainer(
        TabularExplainer(ensemble.RandomForestClassifier(5).fit(x, y), x[:10])
    )
    limit = scoring.predictor.schema.features[0].limit
    assert np.float32(limit) == np.finfo(np.float32).max
    rows = x[:2].copy()
    rows[1, 0] = 1e39
    with pytest.raises(RowsError, match="must lie between") as caught:
        scoring.explain(rows)
    assert caught.value.violations[0].row == 1
    rows[1, 0] = -limit
    assert np.isfinite(scoring.explain(rows)).all()


def test_names_of_features_in_another_order_than_the_models():
    import pandas as pd

    x, y = six_features()
    model = linear_model.LogisticRegression().fit(pd.DataFrame(x, columns=list("abcdef")), y)
    with pytest.raises(ParameterError, match="order of the model's feature_names_in_"):
        TabularExplainer(model, x, features=list("fedcba"))
    with pytest.raises(ParameterError, match="it lacks f"):
        TabularExplainer(model, pd.DataFrame(x[:, :5], columns=list("abcde")))


def test_a_callable_with_classes_predicts_the_likeliest():
    x, y = six_features()
    model = linear_model.LogisticRegression().fit(x, y)
    explainer = TabularExplainer(
        partial(type(model).predict_proba, model),  # a function that does not tell its model
        x[:10],
        classes=np.array(["no", "yes"]),
        output_space="probability",
    )
    scoring = KernelScoringExplainer(explainer)
    expected = np.array(["no", "yes"])[model.predict(x)]
    assert (scoring.predict(x) == expected).all()
    assert scoring.explain_local(x[:2]).axes == ("class", "row", "feature")
