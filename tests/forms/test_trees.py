"""Checks of index arrays, wherever they hang."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

from scoring.forms.estimators import check_estimator, sklearn_trees
from scoring.forms.refused import Unsound
from scoring.forms.trees import check_branches
from tests.forms.fitted import VALUES, X, Y
from tests.saved import scaled


def test_branches_end():
    good = np.array([1, 3]), np.array([2, 4])
    check_branches(5, np.array([0, 1]), good)
    check_branches(1, np.zeros(0, int), (np.zeros(0, int), np.zeros(0, int)))
    shared = np.array([1, 2]), np.array([2, 3])  # two ways to one node, and still an end
    check_branches(4, np.array([0, 1]), shared)
    for left, right in (([1, 0], [2, 4]), ([1, 1], [2, 4]), ([1, 9], [2, 4]), ([1, -1], [2, 4])):
        with pytest.raises(Unsound):
            check_branches(5, np.array([0, 1]), (np.array(left), np.array(right)))


def test_trees_too_deep_for_a_stack_are_refused():
    n = 20_001
    inner = np.arange(0, n - 2, 2)
    with pytest.raises(Unsound, match="deeper"):
        check_branches(n, inner, (inner + 1, inner + 2))


def test_trees_are_found_wherever_they_hang():
    from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier

    tree = DecisionTreeClassifier(max_depth=2)
    nests = [
        tree,
        make_pipeline(SplineTransformer(), tree),
        CalibratedClassifierCV(tree, cv=2),
        BaggingClassifier(tree, n_estimators=2),
        AdaBoostClassifier(tree, n_estimators=2),
        StackingClassifier([("a", scaled(tree))], cv=2),
        VotingClassifier([("a", tree), ("b", scaled(tree))]),
    ]
    for nest in map(clone, nests):
        nest.fit(X, Y)
        check_estimator(nest)
        tree_ = next(sklearn_trees(nest))
        state = tree_.__getstate__()
        state["nodes"]["left_child"][0] = 0
        tree_.__setstate__(state)
        with pytest.raises(Unsound):
            check_estimator(nest)


def test_an_ensembles_trees_may_not_test_features_that_it_lacks():
    forest = RandomForestRegressor(2).fit(X, VALUES)
    forest.n_features_in_ = 2
    with pytest.raises(Unsound, match="4 features where its model has 2"):
        check_estimator(forest)
    histogram = HistGradientBoostingRegressor(max_iter=2).fit(X, VALUES)
    check_estimator(histogram)
    histogram.n_features_in_ = 1
    with pytest.raises(Unsound):
        check_estimator(histogram)


def test_a_support_vector_machines_arrays_fit_each_other():
    for model in (SVC(), SVR()):
        model.fit(X, Y)
        check_estimator(model)
        model._dual_coef_ = model._dual_coef_[:, :-1]
        with pytest.raises(Unsound, match="support vector"):
            check_estimator(model)
