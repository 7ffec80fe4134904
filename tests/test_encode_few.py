"""A few rows at once are encoded as they are column by column, or not at all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import RowsError
from scoring import schema as schema_module
from scoring.feature import Feature
from scoring.flat_columns import FlatColumns
from scoring.schema import FeatureSchema

FEATURES = (
    Feature("x", lowest=-5.0, limit=1e6),
    Feature("gap", allows_missing=True),
    Feature("n", "integer", "int64", allows_missing=True),
    Feature("flag", "boolean", "bool"),
    Feature("city", "category", "object", categories=("a", "b"), allows_missing=True),
    Feature("code", "category", "category", categories=(1, 2)),
    Feature("open", "category", "object", categories=("u",), allows_unseen=True),
)

values = st.one_of(
    st.sampled_from([None, True, False, 0, 1, 2, 3, -6, 2.0, 2.5, "a", "b", "u", "zq", math.nan]),
    st.sampled_from([math.inf, 10**400, 2**64, [1], np.float64(1.0), np.int64(2), -0.0]),
)
good = {
    "x": st.floats(-5, 1e6) | st.integers(-5, 10),
    "gap": st.none() | st.floats(allow_nan=True, allow_infinity=False),
    "n": st.none() | st.integers(-3, 3) | st.just(2.0),
    "flag": st.booleans(),
    "city": st.sampled_from(["a", "b", None]),
    "code": st.sampled_from([1, 2]),
    "open": st.just("u"),
}


@st.composite
def tables(draw):
    """Features, and columns of them with here and there something else."""
    features = draw(st.lists(st.sampled_from(FEATURES), min_size=1, max_size=7, unique=True))
    n_rows = draw(st.integers(1, 3))
    columns = {
        f.name: draw(st.lists(good[f.name], min_size=n_rows, max_size=n_rows)) for f in features
    }
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        column = columns[draw(st.sampled_from(features)).name]
        column[draw(st.integers(0, n_rows - 1))] = draw(values)
    return FeatureSchema(tuple(features)), columns


def encoded(schema, columns):
    try:
        table = schema.encode_columns(columns)
    except RowsError as exc:
        return exc.violations, exc.total
    codes = np.where(np.isnan(table.codes), np.nan, table.codes)  # NaN comes in many bits
    return codes.tobytes(), table.categories, table.notes, table.codes.flags.c_contiguous


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(tables())
def test_the_two_ways_agree(drawn):
    schema, columns = drawn
    fast = encoded(schema, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema_module, "FEW", 0)
        assert fast == encoded(schema, columns)


def test_good_rows_are_encoded_at_once(monkeypatch):
    schema = FeatureSchema(FEATURES)
    monkeypatch.setattr(schema_module, "encode_numbers", None)
    monkeypatch.setattr(schema_module, "encode_categories", None)
    row = {"x": 1, "gap": None, "n": 2, "flag": True, "city": "b", "code": 2, "open": "u"}
    table = schema.encode_columns({name: [value] for name, value in row.items()})
    np.testing.assert_array_equal(table.codes, [[1, np.nan, 2, 1, 1, 1, 0]])


def test_columns_that_lie_one_after_the_other_are_a_mapping_of_them():
    columns = FlatColumns(("a", "b"), [1.0, 2.0, 3.0, 4.0])
    assert dict(columns) == {"a": [1.0, 2.0], "b": [3.0, 4.0]}
    assert len(columns) == 2
    with pytest.raises(KeyError):
        columns["c"]


def test_columns_in_another_order_are_found_by_name():
    x = np.arange(6.0).reshape(2, 3)
    schema = FeatureSchema.infer(x, names=["a", "b", "c"])
    told = FlatColumns(("c", "a", "b"), [2.0, 5.0, 0.0, 3.0, 1.0, 4.0])
    np.testing.assert_array_equal(schema.encode_columns(told).codes, x)
