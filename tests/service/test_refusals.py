"""Rows that break the schema, over real HTTP: all of it told, in one shape, and nothing echoed."""

import json
from typing import Any

import pytest

from tests.service.fakes import ROWS, SCHEMA, in_columns, in_split
from tests.service.serving import SENTINEL, is_error, post, unexpected

NUMBER = 773155.25


def changed(column, value, row=1):
    """The good rows with one cell replaced."""
    return [r | {column: value} if i == row else r for i, r in enumerate(ROWS)]


def without(column, row=None):
    """The good rows with a column left out, everywhere or in one row."""
    return [
        {k: v for k, v in r.items() if k != column or row not in (None, i)}
        for i, r in enumerate(ROWS)
    ]


def rules(answer, total=None):
    error = is_error(answer, 422, "schema_violations")
    assert SENTINEL not in answer.text
    assert str(NUMBER) not in answer.text
    assert total is None or error["total_violations"] == total
    return [(v["row"], v["column"], v["rule"]) for v in error["violations"]]


CELLS = [
    ("age", None, "must not be missing"),
    ("age", float("nan"), "must not be missing"),
    ("age", float("inf"), "must be finite"),
    ("age", float("-inf"), "must be finite"),
    ("age", SENTINEL, "must be a number, not text"),
    ("age", str(NUMBER), "must be a number, not text"),
    ("age", True, "must be a number, not a boolean"),
    ("age", [NUMBER], "must be a number, not a list"),
    ("age", {SENTINEL: NUMBER}, "must be a number, not an object"),
    ("age", 10**400, "must fit a 64-bit float"),
    ("rooms", NUMBER, "must be a whole number"),
    ("owner", 2, "must be true or false"),
    ("owner", None, "must not be missing"),
    ("owner", "true", "must be true or false"),
    ("plan", SENTINEL, "must be one of the categories that training saw"),
    ("plan", 3, "must be text, not a number"),
    ("city", None, "must not be missing"),
    ("city", NUMBER, "must be text, not a number"),
    ("city", "\ud800" + SENTINEL, "must be valid Unicode text"),
]


@pytest.mark.parametrize("write", [list, in_columns, in_split], ids=["records", "columns", "split"])
@pytest.mark.parametrize(("column", "value", "rule"), CELLS, ids=range(len(CELLS)))
def test_a_wrong_cell_is_named_by_row_column_and_rule(small, write, column, value, rule):
    assert rules(post(small, write(changed(column, value)))) == [(1, column, rule)]


@pytest.mark.parametrize(
    "digits", ["1e999", "-1e999", "9" * 5000, "-" + "9" * 5000, "1" * 310], ids=range(5)
)
def test_numbers_too_large_for_a_float(small, digits):
    body = json.dumps(changed("age", "HERE")).replace('"HERE"', digits)
    [(row, column, rule)] = rules(post(small, body))
    assert (row, column) == (1, "age")
    assert rule in {"must be finite", "must fit a 64-bit float"}


STRUCTURES: dict[str, tuple[Any, list[Any]]] = {
    "nothing": (b"[]", [(None, None, "there must be at least one row")]),
    "no columns": (b"{}", [(None, name, "is missing") for name in SCHEMA.names]),
    "no rows": (
        {name: {} for name in SCHEMA.names},
        [(None, None, "there must be at least one row")],
    ),
    "no rows, split": (
        {"columns": list(SCHEMA.names), "data": []},
        [(None, None, "there must be at least one row")],
    ),
    "a scalar": (
        json.dumps(SENTINEL),
        [(None, None, "the body must be an object of columns or a list of records")],
    ),
    "a missing column": (in_columns(without("owner")), [(None, "owner", "is missing")]),
    "a missing key": (without("owner", row=2), [(2, "owner", "is missing")]),
    "a missing column, split": (in_split(without("owner")), [(None, "owner", "is missing")]),
    "an extra column": (
        in_columns(ROWS) | {SENTINEL: {"0": NUMBER}},
        [(None, None, "column 5 of the body (counted from 0) is not in the schema")],
    ),
    "an extra key": (
        changed(SENTINEL, NUMBER),
        [(1, None, "column 5 of the body (counted from 0) is not in the schema")],
    ),
    "a misspelt column": (
        [{("onwer" if k == "owner" else k): v for k, v in r.items()} for r in ROWS[:1]],
        [
            (0, "owner", "is missing"),
            (
                0,
                None,
                "column 2 of the body (counted from 0) is not in the schema; did you mean 'owner'?",
            ),
        ],
    ),
    "ragged columns": (
        in_columns(ROWS) | {"owner": {"0": True, "1": False}},
        [(None, "owner", "must have the same rows as the first column")],
    ),
    "other row labels": (
        in_columns(ROWS) | {"owner": {"0": True, "1": False, SENTINEL: True}},
        [(None, "owner", "must have the same rows as the first column")],
    ),
    "ragged lists": (
        {name: [row[name] for row in ROWS] for name in SCHEMA.names} | {"owner": [True]},
        [(None, "owner", "must have the same rows as the first column")],
    ),
    "a list among objects": (
        in_columns(ROWS) | {"owner": [True, False, True]},
        [(None, "owner", "must have the same rows as the first column")],
    ),
    "a column that is a scalar": (
        in_columns(ROWS) | {"owner": SENTINEL},
        [(None, "owner", "must be an object of row labels and values, or a list of values")],
    ),
    "a ragged row": (
        in_split(ROWS) | {"data": [list(ROWS[0].values()), [NUMBER]], "index": [0, 1]},
        [(1, None, "must be a list of 5 values, one for each column")],
    ),
    "a row that is no list": (
        in_split(ROWS) | {"data": [SENTINEL], "index": [0]},
        [(0, None, "must be a list of 5 values, one for each column")],
    ),
    "data that is no list": (
        in_split(ROWS) | {"data": SENTINEL},
        [(None, None, "data must be a list of rows")],
    ),
    "columns that are no names": (
        in_split(ROWS) | {"columns": [[SENTINEL], 1]},
        [(None, None, "columns must be a list of column names")],
    ),
    "a repeated column, split": (
        {"columns": [*SCHEMA.names, "age"], "data": [[*ROWS[0].values(), NUMBER]]},
        [(None, "age", "appears more than once")],
    ),
    "more than split": (
        in_split(ROWS) | {SENTINEL: 1},
        [(None, None, "split orientation has columns, index and data, each once")],
    ),
    "a short index": (
        in_split(ROWS) | {"index": [SENTINEL]},
        [(None, None, "index must be a list with one label for each row of data")],
    ),
    "labels that are lists": (
        in_split(ROWS) | {"index": [0, [SENTINEL], 2]},
        [
            (
                1,
                None,
                "the row's label must be text, a finite number of at most 64 bits, or a boolean",
            )
        ],
    ),
    "a record that is no object": (
        [ROWS[0], [NUMBER], SENTINEL],
        [(row, None, "must be an object of columns and values") for row in (1, 2)],
    ),
}


@pytest.mark.parametrize("case", STRUCTURES)
def test_a_wrong_structure_is_named(small, case):
    body, expected = STRUCTURES[case]
    assert sorted(rules(post(small, body)), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("label", [2**64, -(2**63) - 1, float("nan"), float("inf"), "\ud800"])
def test_a_label_that_cannot_go_back_is_refused(small, label):
    [(row, column, rule)] = rules(post(small, in_split(ROWS) | {"index": [0, label, 2]}))
    assert (row, column) == (1, None)
    assert "label" in rule


REPEATED = {
    "column": ('{"age": {"0": 1}, "age": {"0": 2}, ', None, "age", "appears more than once"),
    "row label": ('{"age": {"0": 1, "0": 2}, ', None, "age", "must not repeat a row label"),
    "key of a record": ('[{"age": 1, "age": 2, ', 0, "age", "appears more than once"),
}


@pytest.mark.parametrize("case", REPEATED)
def test_repeated_keys_are_refused(small, case):
    start, row, column, rule = REPEATED[case]
    rest = in_columns(ROWS[:1]) if start[0] == "{" else dict(ROWS[0])
    del rest["age"]
    body = start + json.dumps(rest)[1:] + ("]" if start[0] == "[" else "")
    assert rules(post(small, body)) == [(row, column, rule)]


def test_a_repeated_data_key_is_refused(small):
    body = json.dumps(in_split(ROWS))[:-1] + ', "data": []}'
    assert (None, None, "split orientation has columns, index and data, each once") in rules(
        post(small, body)
    )


def test_structure_and_cells_are_told_at_once(small):
    rows = [{k: v for k, v in row.items() if k != "owner"} for row in changed("age", SENTINEL)]
    assert rules(post(small, in_columns(rows))) == [
        (None, "owner", "is missing"),
        (1, "age", "must be a number, not text"),
    ]


def test_a_hundred_violations_are_listed_and_all_are_counted(client):
    rows = [ROWS[0] | {"age": SENTINEL, "plan": SENTINEL}] * 70
    listed = rules(post(client, rows), total=140)
    assert len(listed) == 100
    assert unexpected(client) == 0


BROKEN = {
    "empty": b"",
    "cut off": json.dumps(ROWS).encode()[:-1],
    "two documents": b"{}{}",
    "single quotes": b"{'age': 1}",
    "not UTF-8": json.dumps(changed("city", "Li\xe8ge"), ensure_ascii=False).encode("latin-1"),
    "UTF-16": json.dumps(ROWS).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf[]",
    "a control character": b'[{"age": "\x01"}]',
    "deep lists": b"[" * 15_000,
    "deep and closed": b"[" * 9_000 + b"]" * 9_000,
    "deep objects": b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_json(small, case):
    answer = post(small, BROKEN[case])
    assert is_error(answer, 400, "broken_json")["total_violations"] == 0


@pytest.mark.parametrize("depth", [5, 100, 300])
def test_nesting_that_json_allows_is_a_wrong_cell(small, depth):
    body = json.dumps(changed("age", "HERE")).replace('"HERE"', "[" * depth + "]" * depth)
    assert rules(post(small, body)) == [(1, "age", "must be a number, not a list")]
