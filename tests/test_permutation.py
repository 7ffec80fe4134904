"""Permutation importance: who matters, in which direction, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import linear_model, metrics
from sklearn.inspection import permutation_importance

from scoring import KernelScoringExplainer, ModelError, ParameterError, PFIExplainer


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4))
    y = 3 * x[:, 0] - x[:, 1] + 0.1 * rng.normal(size=400)
    return linear_model.LinearRegression().fit(x, y), x, y


@pytest.fixture(scope="module")
def classes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4))
    y = np.where(2 * x[:, 2] + x[:, 0] > 0, "yes", "no")
    return linear_model.LogisticRegression().fit(x, y), x, y


def quiet(model, **arguments):
    return PFIExplainer(model, show_progress=False, **arguments)


@pytest.mark.parametrize(
    ("metric", "is_error"),
    [
        (None, False),
        ("mean_squared_error", False),
        ("r2_score", False),
        (metrics.r2_score, False),
        (metrics.mean_squared_error, True),
    ],
)
def test_the_most_important_feature_of_a_regression_is_first(regression, metric, is_error):
    model, x, y = regression
    found = quiet(model, metric=metric, is_error_metric=is_error).explain_global(x, y)
    assert found.get_ranked_global_names(2) == ["feature_0", "feature_1"]
    assert found.global_importance_values[0] > 0


def test_importance_is_what_the_closed_form_says(regression):
    """Shuffling x_j of a linear model adds 2 w_j^2 var(x_j) to the squared error, on average."""
    model, x, y = regression
    found = quiet(model, metric="mean_squared_error", n_repeats=200).explain_global(x, y)
    expected = 2 * model.coef_**2 * x.var(axis=0)
    np.testing.assert_allclose(found.global_importance_values[:2], expected[:2], rtol=0.05)
    assert (np.abs(found.global_importance_values[2:]) < 0.01).all()


def test_it_agrees_with_scikit_learn_within_the_spread_of_the_repeats(classes):
    model, x, y = classes
    ours = quiet(model, metric="accuracy_score", n_repeats=30).explain_global(x, y)
    theirs = permutation_importance(model, x, y, n_repeats=30, random_state=1)
    assert ours.standard_deviations is not None  # narrows the type; used in the next line
    spread = np.hypot(ours.standard_deviations, theirs.importances_std) + 1e-3
    assert (np.abs(ours.values - theirs.importances_mean) < spread).all()


@pytest.mark.parametrize(
    ("arguments", "metric"),
    [
        ({}, "f1_score"),
        ({"metric": "precision_score", "metric_args": {"pos_label": "yes"}}, "precision_score"),
        ({"metric": "roc_auc_score", "for_classifier_use_predict_proba": True}, "roc_auc_score"),
    ],
)
def test_classifiers(classes, arguments, metric):
    model, x, y = classes
    found = quiet(model, classes=["no", "yes"], **arguments).explain_global(x, y)
    assert found.output_space == metric
    assert found.get_ranked_global_names(1) == ["feature_2"]


def test_seeds_jobs_and_subsets(classes):
    model, x, y = classes
    one, same, threads, other = (
        quiet(model, seed=seed, n_jobs=jobs).explain_global(x, y).values
        for seed, jobs in ((1, None), (1, None), (1, 2), (2, None))
    )
    assert (one == same).all()
    assert (one == threads).all()
    assert (one != other).any()
    some = quiet(model, seed=1, explain_subset=[2, 0]).explain_global(x, y)
    assert some.features == ("feature_2", "feature_0")
    assert some.values.tolist() == [one[2], one[0]]


def test_raw_features_of_a_pipeline(mixed):
    x, y, model = mixed
    whole = quiet(model).explain_global(x, y)
    parts = quiet(model.steps[1][1], transformations=model.steps[0][1]).explain_global(x, y)
    assert whole.features == tuple(x.columns)
    assert whole.get_ranked_global_names(3)[0] in {"age", "plan"}
    np.testing.assert_allclose(whole.values, parts.values)


def test_a_function(regression):
    _, x, y = regression
    found = quiet(lambda rows: 3 * rows[:, 0] - rows[:, 1], is_function=True).explain_global(x, y)
    assert found.get_ranked_global_names(2) == ["feature_0", "feature_1"]


LABELS = [
    "accuracy_score", "average_precision_score", "balanced_accuracy_score", "brier_score_loss",
    "f1_score", "log_loss", "precision_score", "recall_score", "roc_auc_score",
]  # fmt: skip
NUMBERS = [
    "explained_variance_score", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_error", "median_absolute_error", "r2_score", "root_mean_squared_error",
]  # fmt: skip


@pytest.mark.parametrize("metric", [*LABELS, *NUMBERS])
def test_every_metric_by_its_name(classes, regression, metric):
    # Any name crashes the original, and text as labels needs to be told which one is positive.
    model, x, y = classes if metric in LABELS else regression
    found = quiet(model, metric=metric).explain_global(x, y)
    best = "feature_2" if metric in LABELS else "feature_0"
    assert found.get_ranked_global_names(1) == [best]
    assert found.values.max() > 0


def test_it_is_what_a_loop_over_features_and_repeats_answers(classes):
    model, x, y = classes
    found = quiet(model, metric="accuracy_score", n_repeats=3, seed=4).explain_global(x, y)
    for j in range(4):
        order = np.random.default_rng((4, j)).permuted(np.tile(np.arange(400), (3, 1)), axis=1)
        cost = []
        for repeat in range(3):
            shuffled = x.copy()
            shuffled[:, j] = x[order[repeat], j]
            cost.append(model.score(x, y) - model.score(shuffled, y))
        assert found.values[j] == pytest.approx(np.mean(cost))
        assert found.standard_deviations is not None  # for the type checker
        assert found.standard_deviations[j] == pytest.approx(np.std(cost))


def test_labels_as_people_have_them(classes):
    import pandas as pd
    from scipy import sparse

    model, x, y = classes
    expected = quiet(model).explain_global(x, y).values
    for labels in (list(y), pd.Series(y), y[:, np.newaxis], pd.DataFrame({"y": y})):
        np.testing.assert_array_equal(quiet(model).explain_global(x, labels).values, expected)
    found = quiet(model, model_task="classification").explain_global(sparse.csr_matrix(x), y)
    np.testing.assert_array_equal(found.values, expected)
    named = quiet(model, explain_subset=["feature_2"], allow_all_transformations=True)
    assert named.explain_global(x, y).values.tolist() == [expected[2]]


def test_there_is_no_local_explanation_and_no_scoring_explainer(classes):
    model, x, _ = classes
    with pytest.raises(ModelError, match="Use TabularExplainer"):
        quiet(model).explain_local(x)
    with pytest.raises(ParameterError, match="PFIExplainer has no local"):
        KernelScoringExplainer(quiet(model))


def test_wrong_arguments_are_named(classes):
    model, x, y = classes
    with pytest.raises(ParameterError, match="true_labels must have one entry for each of 400"):
        quiet(model).explain_global(x, y[:3])
    with pytest.raises(ParameterError, match="metric must be one of"):
        quiet(model, metric="goodness").explain_global(x, y)
    with pytest.raises(ParameterError, match="explain_subset must hold indices from 0 to 3"):
        quiet(model, explain_subset=[4]).explain_global(x, y)
    with pytest.raises(ParameterError, match=r"3 of them are none of these\. .* no, yes"):
        quiet(model).explain_global(x, [*y[:397], "1", "2", "3"])
    with pytest.raises(ParameterError, match="true_labels must not hold missing"):
        quiet(linear_model.LinearRegression().fit(x, x[:, 0])).explain_global(x, [np.nan] * 400)
    with pytest.raises(ParameterError, match="which has no weight"):
        quiet(model, metric="f1_score", metric_args={"weight": 2}).explain_global(x, y)
    with pytest.raises(ParameterError, match=r"model must answer numbers .* texts"):
        quiet(model, model_task="regression").explain_global(x, y)
    with pytest.raises(ParameterError, match="n_repeats must be at least 1"):
        quiet(model, n_repeats=0)
