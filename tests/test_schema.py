"""Rows of any accepted form to one checked table, and back to what the model was trained on."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import ParameterError, RowsError
from scoring.feature import Feature
from scoring.schema import FeatureSchema, infer_for
from scoring.table import to_array, to_frame


def columns_of(frame):
    return {name: frame[name].tolist() for name in frame}


def test_a_frame_comes_back_with_its_names_dtypes_and_gaps(mixed):
    x, _, _ = mixed
    schema = infer_for(None, x)
    back = to_frame(schema.encode(x), schema.features)
    pd.testing.assert_frame_equal(back, x.reset_index(drop=True))


def test_plain_values_and_a_frame_are_the_same_rows(mixed):
    x, _, _ = mixed
    schema = infer_for(None, x)
    values = {
        name: [None if pd.isna(v) else v for v in column] for name, column in columns_of(x).items()
    }
    np.testing.assert_array_equal(schema.encode_columns(values).codes, schema.encode(x).codes)


def test_columns_of_a_frame_are_found_by_name(mixed):
    x, _, _ = mixed
    schema = infer_for(None, x)
    shuffled = x[x.columns[::-1]]
    np.testing.assert_array_equal(schema.encode(shuffled).codes, schema.encode(x).codes)


def test_arrays_are_numbers_and_keep_their_digits():
    rows = np.array([[1, 2], [3, 4]])
    schema = FeatureSchema.infer(rows, ["a", "b"])
    assert [f.kind for f in schema.features] == ["number", "number"]
    assert to_array(schema.encode(rows), schema.features).tolist() == rows.tolist()


def test_object_arrays_come_back_as_objects():
    rows = np.array([[1.5, "x"], [2.5, "y"]], dtype=object)
    schema = FeatureSchema.infer(rows)
    assert [f.kind for f in schema.features] == ["number", "category"]
    assert to_array(schema.encode(rows), schema.features).tolist() == rows.tolist()


NUMBER = Feature("a")
WHOLE = Feature("a", "integer")
FLAG = Feature("a", "boolean")
TEXT = Feature("a", "category", categories=("x", "y"))
CODE = Feature("a", "category", categories=(1, 2))


@pytest.mark.parametrize(
    ("feature", "value", "rule"),
    [
        (NUMBER, "3", "must be a number, not text"),
        (NUMBER, True, "must be a number, not a boolean"),
        (NUMBER, [1], "must be a number, not a list"),
        (NUMBER, None, "must not be missing"),
        (NUMBER, math.nan, "must not be missing"),
        (NUMBER, math.inf, "must be finite"),
        (NUMBER, -math.inf, "must be finite"),
        (NUMBER, 10**400, "must fit a 64-bit float"),
        (WHOLE, 1.5, "must be a whole number"),
        (FLAG, 2, "must be true or false"),
        (FLAG, "yes", "must be true or false"),
        (TEXT, 1, "must be text, not a number"),
        (TEXT, "z", "must be one of the categories that training saw"),
        (TEXT, None, "must not be missing"),
        (CODE, "1", "must be a whole number, not text"),
        (CODE, True, "must be a whole number, not a boolean"),
        (CODE, 3, "must be one of the categories that training saw"),
    ],
)
def test_each_broken_rule_is_named_with_row_and_column_and_without_the_value(feature, value, rule):
    good = feature.categories[0] if feature.categories else feature.kind == "boolean" or 1.0
    good = True if feature.kind == "boolean" else good
    with pytest.raises(RowsError) as caught:
        FeatureSchema((feature,)).encode_columns({"a": [good, value]})
    (violation,) = caught.value.violations
    assert (violation.row, violation.column, violation.rule) == (1, "a", rule)


def test_all_violations_are_counted_and_a_hundred_listed():
    with pytest.raises(RowsError) as caught:
        FeatureSchema((NUMBER,)).encode_columns({"a": ["no"] * 250})
    assert len(caught.value.violations) == 100
    assert caught.value.total == 250
    assert "and 150 more" in str(caught.value)


def test_an_unseen_category_gets_a_code_of_its_own_where_allowed():
    text = Feature("a", "category", categories=("x", "y"), allows_unseen=True)
    schema = FeatureSchema((text,))
    table = schema.encode_columns({"a": ["y", "new", "x", "newer", "new"]})
    assert table.codes[:, 0].tolist() == [1, 2, 0, 3, 2]
    assert table.categories == (("x", "y", "new", "newer"),)
    assert [note.row for note in table.notes] == [1, 3, 4]
    assert to_array(table, schema.features)[:, 0].tolist() == ["y", "new", "x", "newer", "new"]


@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**300), 10**300)
        ),
        min_size=1,
    )
)
def test_numbers_arrive_as_python_would_convert_them(values):
    table = FeatureSchema((NUMBER,)).encode_columns({"a": values})
    assert table.codes[:, 0].tolist() == [float(value) for value in values]


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        (np.ones((2, 3)), ["a", "b"], "features must name 3 columns, not 2"),
        (np.ones((2, 2)), ["a", "a"], "features must not repeat a name"),
        (np.ones(3), None, "x must be two-dimensional"),
        (np.array([[np.inf]]), None, "must not hold infinite values"),
        (pd.DataFrame({"a": [1]}), ["b"], "features must equal the DataFrame's columns"),
        (pd.DataFrame({"a": pd.to_timedelta(["1 day"])}), None, "dtype is timedelta64"),
    ],
)
def test_schemas_that_cannot_be_read(rows, names, message):
    with pytest.raises(ParameterError, match=message):
        FeatureSchema.infer(rows, names)


def test_missing_extra_and_repeated_frame_columns_are_named_all_at_once():
    schema = FeatureSchema.infer(pd.DataFrame({"a": [1.0], "b": [1.0], "c": [1.0]}))
    wrong = pd.DataFrame([[1.0, 1.0, 1.0]], columns=["b", "b", "secret"])
    with pytest.raises(RowsError) as caught:
        schema.encode(wrong)
    assert "secret" not in str(caught.value)
    assert {(v.column, v.rule) for v in caught.value.violations} == {
        ("a", "is missing"),
        ("b", "appears more than once"),
        ("c", "is missing"),
        (None, "1 columns are not in the schema"),
    }


def test_rows_of_another_width():
    with pytest.raises(RowsError, match="must have 2 values, not 3"):
        FeatureSchema.infer(np.ones((1, 2))).encode(np.ones((1, 3)))


@given(
    numbers=st.lists(
        st.sampled_from([0.0, -0.0, 1.0, 9.5, -9.5, 10.0, -10.0, 10.1, math.nan, math.inf]),
        min_size=4,
        max_size=4,
    )
)
def test_numbers_at_a_glance_keep_the_rules_that_they_keep_one_by_one(numbers):
    rows = np.reshape(numbers, (2, 2))
    schema = FeatureSchema(
        tuple(
            Feature(name, "number", "float64", limit=10.0, lowest=-9.5, allows_missing=missing)
            for name, missing in (("a", True), ("b", False))
        ),
        frame=False,
    )
    one_by_one = {name: rows[:, j].tolist() for j, name in enumerate("ab")}
    (found, refused), (expected, why) = (
        encoded(ask)
        for ask in (lambda: schema.encode(rows), lambda: schema.encode_columns(one_by_one))
    )
    assert refused == why
    if found is not None:
        np.testing.assert_array_equal(found, expected)
        assert not np.shares_memory(found, rows)


def encoded(ask):
    """The codes, or the rules that were broken."""
    try:
        return ask().codes, None
    except RowsError as error:
        return None, error.violations
