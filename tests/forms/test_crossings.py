"""Rows on both sides of splits that a pipeline's first half stands before."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from scoring import TabularExplainer
from scoring.features import engineering_of
from scoring.forms import order
from scoring.forms.crossings import crossing_rows, thresholds_of
from tests.tables import small

TAILS = [
    GradientBoostingRegressor(n_estimators=5, max_depth=2, random_state=0),
    RandomForestRegressor(3, max_depth=3, random_state=0),
    HistGradientBoostingRegressor(max_iter=4, max_leaf_nodes=6),
]


def piped(tail, scale=None):
    x, _ = small()
    head = make_column_transformer(
        (make_pipeline(SimpleImputer(), scale or StandardScaler()), ["age", "income", "balance"]),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["region"]),
    )
    y = x["age"] * 0.1 + np.log(x["income"]) + (x["region"] == "west")
    explainer = TabularExplainer(make_pipeline(head, tail).fit(x, y), x[:30])
    return explainer.predictor, explainer.summary


@pytest.mark.parametrize("tail", TAILS, ids=lambda tail: type(tail).__name__)
def test_both_sides_of_every_split_are_there_in_engineered_columns(tail):
    predictor, background = piped(tail)
    rows = crossing_rows(predictor, background)
    cut = engineering_of(predictor, background.table)
    assert rows is not None  # narrows the types, as the next line does
    assert cut is not None
    columns, thresholds = thresholds_of(cut.tail, cut.columns.n_features)
    engineered, n_numbers = cut.table(rows).codes, 0
    for column, threshold in zip(columns, thresholds, strict=True):
        if cut.raw.features[cut.owners[column]].is_category:
            continue
        n_numbers += 1
        values = engineered[:, column]
        below, above = values[values <= threshold].max(), values[values > threshold].min()
        # One raw step apart: no raw value lies between, so neither does an engineered one.
        assert above - below <= 4 * np.spacing(max(abs(above), abs(below), 1.0)), threshold
    assert n_numbers > 3


def test_a_curve_is_crossed_as_well():
    predictor, background = piped(TAILS[0], FunctionTransformer(np.arcsinh))
    rows = crossing_rows(predictor, background)
    assert rows is not None  # narrows the type
    assert rows.n_rows > 20


def test_a_copy_is_held_against_them():
    predictor, background = piped(TAILS[1])
    with_rows = order.carry(predictor, background, background.table.codes[0]).facts["parity"]
    rows = crossing_rows(predictor, background)
    assert rows is not None  # narrows the type
    assert with_rows["edge_rows"] > rows.n_rows


def test_a_model_without_trees_or_pipeline_has_none():
    from sklearn.linear_model import LinearRegression

    predictor, background = piped(LinearRegression())
    assert crossing_rows(predictor, background) is None
    x = np.random.default_rng(0).normal(size=(40, 3))
    bare = TabularExplainer(RandomForestRegressor(3).fit(x, x[:, 0]), x)
    assert crossing_rows(bare.predictor, bare.summary) is None


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_whole_numbers_are_crossed_between_neighbours(dtype):
    x, _ = small()
    x = x[["age", "income"]].assign(age=(x["age"] > 50 if dtype == "bool" else x["age"]))
    x = x.astype({"age": dtype})
    head = make_column_transformer((SimpleImputer(), ["income"]), (StandardScaler(), ["age"]))
    model = make_pipeline(head, TAILS[0]).fit(x, x["age"] * 10.0)
    explainer = TabularExplainer(model, x[:30])
    rows = crossing_rows(explainer.predictor, explainer.summary)
    assert rows is not None  # narrows the type
    cut = engineering_of(explainer.predictor, explainer.summary.table)
    assert cut is not None  # the same
    columns, thresholds = thresholds_of(cut.tail, 2)
    engineered, step = cut.table(rows).codes[:, 1], 1 / x["age"].std(ddof=0)
    for threshold in thresholds[columns == 1]:
        below, above = engineered[engineered <= threshold], engineered[engineered > threshold]
        np.testing.assert_allclose(above.min() - below.max(), step)
