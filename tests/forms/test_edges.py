"""The rows that a copy is held against: where a wrong copy looks right everywhere else."""

import numpy as np
import pytest
from sklearn.ensemble import (
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from scoring.forms import edges, onnx_export, order
from scoring.forms.estimators import sklearn_trees
from scoring.forms.parity import Parity
from scoring.forms.refused import FormRefused
from tests.forms.altered import Altered
from tests.forms.fitted import VALUES, fitted


def test_edge_rows_reach_every_edge(mixed):
    x, y, model = mixed
    predictor, background = fitted(model, y, x=x)
    schema, table = predictor.schema, edges.edge_rows(predictor.schema, background)
    for j, feature in enumerate(schema.features):
        column = table.codes[:, j]
        if feature.is_category:
            wanted = set(range(len(feature.categories) + feature.allows_unseen))
            assert wanted <= set(column)
            assert (len(table.categories[j]) > len(feature.categories)) or not feature.allows_unseen
        elif feature.kind == "boolean":
            assert {0.0, 1.0} <= set(column)
        else:
            assert {feature.minimum, feature.maximum} <= set(column)
            assert np.nanmin(column) < feature.minimum
            assert np.nanmax(column) > feature.maximum
        assert np.isnan(column).any() or not feature.allows_missing
        if feature.kind == "integer":
            assert (column[~np.isnan(column)] % 1 == 0).all()
    assert {f.name for f in schema.features if f.allows_missing} == {"age", "balance", "income",
                                                                    "region", "plan", "channel"} - {
        f.name for f in schema.features if f.kind == "integer"}  # fmt: skip


def test_threshold_rows_stand_on_both_sides_of_every_split():
    predictor, background = fitted(RandomForestRegressor(5, random_state=0), VALUES)
    estimator = predictor.model.estimator
    table = edges.threshold_rows(estimator, predictor.schema, background)
    assert table is not None  # narrows the type; what it holds is checked below
    trees = list(sklearn_trees(estimator))
    assert len(trees) == 5
    for tree in trees:
        for j, threshold in zip(tree.feature, tree.threshold, strict=True):
            if j >= 0:
                near = set(table.codes[:, j])
                single = np.float32(threshold)
                wanted = {threshold, np.nextafter(threshold, np.inf), np.nextafter(threshold, -9e9)}
                wanted |= {float(np.nextafter(single, np.float32(far))) for far in (-9e9, 9e9)}
                assert wanted <= near


def test_a_copy_is_held_against_the_thresholds_too():
    predictor, background = fitted(DecisionTreeRegressor(random_state=0), VALUES)
    sample = background.table.codes[0]
    facts = order.carry(predictor, background, sample).facts
    edge_rows = edges.edge_rows(predictor.schema, background)
    thresholds = edges.threshold_rows(predictor.model.estimator, predictor.schema, background)
    assert thresholds is not None  # narrows the type; its rows are counted below
    assert facts["parity"]["edge_rows"] == edge_rows.n_rows + thresholds.n_rows


def test_threshold_rows_tell_a_double_from_a_single_comparison():
    """What scikit-learn compares in single precision, a copy must too."""
    predictor, background = fitted(RandomForestRegressor(5, random_state=0), VALUES)
    table = edges.threshold_rows(predictor.model.estimator, predictor.schema, background)
    assert table is not None  # narrows the type; what it holds is checked below
    parity = Parity.of(predictor.model, ["value"], table)
    reasons = {}
    for name, candidate in _all_candidates(predictor.model, "value"):
        try:
            parity.check(candidate)
        except FormRefused as error:
            reasons[name] = str(error)
        else:
            reasons[name] = ""
    assert reasons["float matrix"] == ""

    def in_double(_, asked):
        trees = predictor.model.estimator.estimators_
        return np.mean([_walk(tree.tree_, asked.codes) for tree in trees], axis=0)[:, np.newaxis]

    with pytest.raises(FormRefused):
        parity.check(Altered(predictor.model, in_double))


def _all_candidates(model, space):
    try:
        yield from onnx_export.candidates(model, space)
    except FormRefused:
        return


def _walk(tree, x):
    """Predictions of a tree that compares in double precision."""
    node = np.zeros(len(x), dtype=int)
    for _ in range(tree.max_depth):
        left = x[np.arange(len(x)), np.maximum(tree.feature[node], 0)] <= tree.threshold[node]
        child = np.where(left, tree.children_left[node], tree.children_right[node])
        node = np.where(tree.feature[node] >= 0, child, node)
    return tree.value[node, 0, 0]


def test_held_out_rows_are_mixed_and_always_the_same():
    _, background = fitted(LinearRegression(), VALUES)
    one = edges.held_out_rows(background, background.table.codes[0])
    two = edges.held_out_rows(background, background.table.codes[0])
    np.testing.assert_array_equal(one.codes, two.codes)
    known = {tuple(row) for row in background.table.codes}
    assert sum(tuple(row) not in known for row in one.codes) > 900
    for j in range(4):
        assert set(one.codes[:, j]) <= set(background.table.codes[:, j])
