"""Permutation importance: who matters, in which direction, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import linear_model, metrics
from sklearn.inspection import permutation_importance

from scoring.errors import ModelError, ParameterError
from scoring.explainers import PFIExplainer
from scoring.scoring_explainers import KernelScoringExplainer


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
    with pytest.raises(ParameterError, match="n_repeats must be at least 1"):
        quiet(model, n_repeats=0)
