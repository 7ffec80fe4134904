"""What surrogates refuse, and what they must not lose, at the edges of what models answer."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn import linear_model

from scoring import (
    DecisionTreeExplainableModel,
    KernelScoringExplainer,
    LGBMExplainableModel,
    LinearExplainableModel,
    MimicExplainer,
    ParameterError,
    RowsError,
    SGDExplainableModel,
)
from scoring.surrogates import trees
from scoring.trees.forest import Forest
from tests import oracles

MODELS = [
    LGBMExplainableModel,
    LinearExplainableModel,
    SGDExplainableModel,
    DecisionTreeExplainableModel,
]
every_model = pytest.mark.parametrize("surrogate", MODELS, ids=lambda kind: kind.name)
every_tree = pytest.mark.parametrize(
    ("surrogate", "options"),
    [
        (DecisionTreeExplainableModel, {"min_samples_leaf": 1}),
        (LGBMExplainableModel, {"num_leaves": 400, "n_estimators": 1, "min_child_samples": 2}),
    ],
    ids=["decision tree", "lightgbm"],
)

X = np.random.default_rng(0).normal(size=(300, 4))


def says(explainer, rows):
    return explainer.surrogate.outputs(explainer.predictor.schema.encode(rows))


@every_model
@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_an_output_in_hundredths_is_not_lost_beside_one_in_billions(surrogate, offset):
    def model(rows):
        return np.column_stack([offset + 1e9 * rows[:, 0], 0.01 * rows[:, 1]])

    told = MimicExplainer(model, X, surrogate, is_function=True).fidelity["r2"]
    assert min(told.values()) > 0.8


@every_model
def test_numbers_that_only_the_model_takes_are_refused_for_both(surrogate):
    model = linear_model.LinearRegression().fit(X, X[:, 0])
    explainer = MimicExplainer(model, X, surrogate)
    scoring = KernelScoringExplainer(explainer)
    for feature in scoring.predictor.schema.features:
        for number in (feature.lowest, feature.limit):
            row = X[:1].copy()
            row[0, 1] = number
            assert np.isfinite(scoring.score(scoring.predictor.schema.encode(row)).predictions)
    if surrogate is DecisionTreeExplainableModel:  # it works in single precision
        row = np.full((1, 4), 1e39)
        with pytest.raises(RowsError, match="column 'feature_1': must lie between"):
            explainer.explain_local(row)


@every_model
def test_no_rows_have_no_values(surrogate):
    explainer = MimicExplainer(lambda rows: rows[:, 0], X, surrogate, is_function=True)
    assert explainer.explain_local(X[:0]).values.shape == (0, 4, 1)


@every_model
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_constant_is_met_and_nothing_explains_it(surrogate, value):
    explainer = MimicExplainer(
        lambda rows: np.full(len(rows), value), X, surrogate, is_function=True
    )
    found = explainer.explain_local(X[:3])
    assert (found.values == 0).all()
    np.testing.assert_allclose(found.additivity_gap, 0, atol=1e-12)
    assert explainer.fidelity["r2"] == {"value": 1.0}


@every_model
def test_one_row_teaches_nothing(surrogate):
    with pytest.raises(ParameterError, match="initialization_examples must hold at least two rows"):
        MimicExplainer(lambda rows: rows[:, 0], X[:1], surrogate, is_function=True)


@every_model
def test_gaps_and_an_empty_column_are_explained_as_the_definition_says(surrogate):
    x = X.copy()
    x[:, 2] = np.nan
    x[::3, 1] = np.nan

    def model(rows):
        return rows[:, 0] + np.nan_to_num(rows[:, 1], nan=5.0)

    explainer = MimicExplainer(model, x, surrogate, is_function=True)
    rows = np.concatenate([x[:2], X[:2]])  # the empty column is filled in some
    expected = oracles.shapley_rows(explainer._fitted.estimator.predict, rows, x)
    found = explainer.explain_local(rows).values
    np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max())


def decision_list(n_features=80, n=4000):
    """A model that asks one feature after the other: its trees are as deep as it is long."""
    x = np.random.default_rng(0).random((n, n_features))

    def model(rows):
        hit = rows > 0.96
        return np.where(hit.any(axis=1), hit.argmax(axis=1), n_features) ** 3.0

    return x, model


@every_tree
def test_paths_over_very_many_features_still_add_up(surrogate, options):
    x, model = decision_list()
    explainer = MimicExplainer(model, x, surrogate, options, is_function=True)
    found = explainer.explain_local(x[:4])
    told = found.base_values + found.values.sum(axis=1)
    np.testing.assert_allclose(told, says(explainer, x[:4]), atol=1e-12 * model(x).max())


@every_tree
def test_deeper_trees_than_can_be_explained_are_refused(surrogate, options):
    x, model = decision_list()
    deeper = options | {"max_depth": 200}
    explainer = MimicExplainer(model, x, surrogate, deeper, is_function=True)
    with pytest.raises(ParameterError, match="Leave out what changes that, and max_depth above 62"):
        explainer.explain_local(x[:4])


def test_trees_that_are_averaged_add_up_too():
    options = {"boosting_type": "rf", "subsample": 0.7, "subsample_freq": 1}
    explainer = MimicExplainer(
        lambda rows: rows[:, 0], X, LGBMExplainableModel, options, is_function=True
    )
    found = explainer.explain_local(X[:2])
    added = found.base_values + found.values.sum(axis=1)
    np.testing.assert_allclose(added, explainer.surrogate.outputs(explainer.initialization)[:2])


def test_leaves_are_held_against_few_rows_whatever_the_background(monkeypatch):
    seen = []
    kept = Forest.answers

    def counted(forest, rows):
        seen.append(len(rows))
        return kept(forest, rows)

    monkeypatch.setattr(Forest, "answers", counted)
    explainer = MimicExplainer(
        lambda rows: rows[:, 0], X, DecisionTreeExplainableModel, is_function=True
    )
    explainer.explain_local(X[:2])
    assert seen[0] == trees.COMPARED


@pytest.mark.parametrize(
    ("surrogate", "options", "library"),
    [
        (LGBMExplainableModel, {"objective": "poisson"}, "LGBMRegressor"),
        (LGBMExplainableModel, {"n_estimators": 0}, "LGBMRegressor"),
        (DecisionTreeExplainableModel, {"max_depth": -5}, "DecisionTreeRegressor"),
        (LinearExplainableModel, {"alpha": -1}, "Ridge"),
    ],
)
def test_what_a_library_refuses_is_named(surrogate, options, library):
    with pytest.raises(ParameterError, match=f"explainable_model_args must let {library} learn"):
        MimicExplainer(lambda rows: rows[:, 0], X, surrogate, options, is_function=True)


def test_lightgbm_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ParameterError, match=r"explainable_model needs .*shapserve\[lightgbm\]"):
        MimicExplainer(lambda rows: rows[:, 0], X, LGBMExplainableModel, is_function=True)
