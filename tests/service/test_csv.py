"""CSV as spreadsheets, pandas and R write it, over real HTTP."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest

from scoring import RowsError
from service import codec
from service.errors import Refusal
from tests.service.fakes import ROWS, SCHEMA
from tests.service.serving import SENTINEL, is_error, post, unexpected

CSV = {"content-type": "text/csv"}
HEADER = "age,rooms,owner,city,plan\n"
GOOD = HEADER + "31.5,4,true,Ghent,plus\n54,,false,Lille,\n27.25,2,True,Lille,basic\n"


def good(client, text):
    answer = post(client, text, CSV)
    assert answer.status_code == 200, answer.text
    return answer.json()


def violations(client, text):
    answer = post(client, text, CSV)
    assert SENTINEL not in answer.text
    error = is_error(answer, 422, "schema_violations")
    return [(v["row"], v["column"], v["rule"]) for v in error["violations"]]


@pytest.fixture(scope="module")
def expected(client):
    return post(client, ROWS).json()


def test_csv_gives_the_answer_that_json_gives(client, expected):
    assert good(client, GOOD) == expected


def test_what_is_missing_is_missing_and_no_zero():
    read = codec.to_rows(GOOD.encode(), SCHEMA, 9, codec.CSV).table
    as_json = codec.to_rows(json.dumps(ROWS).encode(), SCHEMA, 9).table
    assert np.isnan(read.codes).sum() == 2
    np.testing.assert_array_equal(read.codes, as_json.codes)


def test_what_pandas_writes_is_read(client, expected):
    frame = pd.DataFrame(ROWS)[list(reversed(SCHEMA.names))]
    text = frame.to_csv(index=False, lineterminator="\r\n")
    assert "4.0" in text  # a gap makes whole numbers floats
    assert good(client, text) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("age", "\ufeffage"),
        ("31.5", '"31.5"'),
        ("true", "TRUE"),
        ("false", "0"),
        ("\n54", "\n\n54"),
        ("4,true", "4.0,true"),
        ("31.5", " 31.50 "),
        ("54,,", "54,NaN,"),
        ("54,,", "54, ,"),
    ],
    ids=range(9),
)
def test_other_ways_to_write_the_same(client, expected, old, new):
    assert good(client, GOOD.replace(old, new, 1)) == expected


def test_quoted_text_may_hold_what_else_divides(client):
    answer = good(client, HEADER + '1,1,true,"Bruges, ""B""\nwest",plus\n')
    assert [(w["row"], w["column"]) for w in answer["warnings"]] == [(0, "city")]


@pytest.mark.parametrize(
    ("line", "column", "rule"),
    [
        (f"{SENTINEL},1,true,Ghent,plus", "age", "must be a number, not text"),
        ("1_000,1,true,Ghent,plus", "age", "must be a number, not text"),
        ("inf,1,true,Ghent,plus", "age", "must be finite"),
        ("1e999,1,true,Ghent,plus", "age", "must be finite"),
        (",1,true,Ghent,plus", "age", "must not be missing"),
        ("1,1.5,true,Ghent,plus", "rooms", "must be a whole number"),
        ("1,1,yes,Ghent,plus", "owner", "must be true or false"),
        ("1,1,,Ghent,plus", "owner", "must not be missing"),
        ("1,1,true,,plus", "city", "must not be missing"),
        (
            f"1,1,true,Ghent,{SENTINEL}",
            "plan",
            "must be one of the categories that training saw",
        ),
        ("1,1,true,Ghent", None, "must have 5 cells, as the header has, not 4"),
        (f"1,1,true,Ghent,plus,{SENTINEL}", None, "must have 5 cells, as the header has, not 6"),
    ],
    ids=range(12),
)
def test_a_wrong_line_is_named_by_row_column_and_rule(client, line, column, rule):
    text = GOOD.replace("54,,false,Lille,", line)
    assert violations(client, text) == [(1, column, rule)]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("", {"is missing", "there must be at least one row"}),
        (HEADER, {"there must be at least one row"}),
        (GOOD.replace("owner", "age", 1), {"is missing", "appears more than once"}),
        (GOOD.replace("owner", "ownr", 1), {"is missing", "column 2 of the body"}),
    ],
    ids=range(4),
)
def test_a_wrong_header_is_named(client, text, rules):
    told = violations(client, text)
    assert all(any(rule.startswith(each) for _, _, rule in told) for each in rules)


def test_integer_categories_are_whole_numbers():
    from scoring.feature import Feature
    from scoring.schema import FeatureSchema

    feature = Feature("code", "category", "category", categories=(7, 8), allows_missing=True)
    schema = FeatureSchema((feature, Feature("x")))
    rows = codec.to_rows(b"code,x\n7,1\n8.0,1\n,1\n", schema, 9, codec.CSV)
    assert rows.table.codes[:2, 0].tolist() == [0.0, 1.0]
    assert rows.table.codes[2, 0] != rows.table.codes[2, 0]


BROKEN = {
    "not UTF-8": GOOD.replace("Lille", "Li\xe8ge").encode("latin-1"),
    "an open quote": (HEADER + '1,1,true,"Ghent,plus\n').encode(),
    "text after a quote": (HEADER + '1,1,true,"Ghent" west,plus\n').encode(),
    "a cell without end": (HEADER + "1,1,true," + "x" * 200_000 + ",plus").encode(),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_csv_is_refused(client, case):
    is_error(post(client, BROKEN[case], CSV), 400, "unreadable_body")
    assert unexpected(client) == 0


@pytest.mark.parametrize("kind", ["text/csv; charset=utf-16", "text/csv; header=absent"])
def test_csv_that_is_not_read_here(client, kind):
    is_error(post(client, GOOD, {"content-type": kind}), 415, "unsupported_media_type")


def test_too_many_lines(small):
    lines = io.StringIO(GOOD).readlines()
    is_error(post(small, "".join(lines + lines[1:]), CSV), 413, "too_many_rows")


@pytest.mark.parametrize("path", ["/score", "/invocations"])
@pytest.mark.parametrize("cell", ["aa,", 'a",', '"a",', '"a"",",'])
def test_more_cells_than_the_rows_can_have_are_refused_before_they_are_read(client, path, cell):
    body = HEADER + cell * 100_000
    answer = client.post(path, content=body, headers=CSV)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_many_values")


def test_commas_in_quotes_are_no_cells(client, expected):
    city = 'Ghent, "the city"' + "," * 100_000
    told = good(client, f'{HEADER}31.5,4,true,"{city.replace(chr(34), chr(34) * 2)}",plus\n')
    assert told["predictions"] == expected["predictions"][:1]
    assert len(told["warnings"]) == 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize("cell", [',"', '"",', ',"""', ',"a"', '"\n'])
def test_quotes_of_every_kind_are_looked_at_in_bounded_time(cell):
    with pytest.raises((Refusal, RowsError)):
        codec.to_rows(cell.encode() * 3_000_000, SCHEMA, 10_000, codec.CSV)
