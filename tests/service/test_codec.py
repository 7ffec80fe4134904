"""The codec on its own: every body is read, or refused for a reason; nothing else."""

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings

from scoring import RowsError
from scoring.errors import Violation
from scoring.feature import Feature
from scoring.schema import FeatureSchema
from service import codec
from service.codec.answer import NOT_FINITE, TOO_FAR, errors
from service.codec.json_text import RepeatedKeys, parse
from service.errors import BrokenBody, TooManyRows
from tests.service import bodies
from tests.service.fakes import ROWS, SCHEMA, fake_scorer, in_columns

MAX_ROWS = 20


def read(body):
    return codec.to_rows(json.dumps(body).encode(), SCHEMA, MAX_ROWS)


def check_any_body(body: bytes) -> str:
    """Read a body; anything but a table or one of the refusals is a bug."""
    try:
        rows = codec.to_rows(body, SCHEMA, MAX_ROWS)
    except BrokenBody:
        return "broken"
    except TooManyRows:
        return "too many"
    except RowsError as exc:
        check_violations(exc.violations, exc.total)
        return "violations"
    codes = rows.table.codes
    assert len(rows.index) == len(codes) > 0
    assert not np.isinf(codes).any()
    may_miss = [feature.allows_missing for feature in SCHEMA.features]
    assert not np.isnan(codes[:, ~np.array(may_miss)]).any()
    scorer = fake_scorer()
    answer = orjson.loads(codec.to_response(scorer.score(rows.table), rows, scorer.model))
    assert len(answer["index"]) == len(codes)
    return "read"


def check_violations(violations: Sequence[Violation], total: int) -> None:
    assert len(violations) == min(total, 100)
    for violation in violations:
        assert bodies.MARK not in violation.rule
        assert violation.column is None or violation.column in SCHEMA.names


@settings(max_examples=400, deadline=None, derandomize=True)
@given(bodies.any_body)
def test_any_body_is_read_or_refused(body):
    check_any_body(body)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(bodies.good_rows)
def test_good_rows_are_read_alike_in_every_orientation(rows):
    expected = read(rows).table
    for write in bodies.ORIENTATIONS:
        table = read(write(rows)).table
        np.testing.assert_array_equal(table.codes, expected.codes)
        assert table.categories == expected.categories


def test_the_fuzz_reaches_every_outcome():
    """Else it would pass for the wrong reason."""
    seen = set()

    @example(b"{")  # what is drawn depends on the constants of the modules that happen to be loaded
    @settings(max_examples=400, deadline=None, derandomize=True, database=None)
    @given(bodies.any_body)
    def collect(body):
        seen.add(check_any_body(body))

    collect()
    assert seen >= {"broken", "violations", "read"}


def test_repeated_keys_are_kept_apart_from_others():
    assert type(parse(b'{"a": 1, "b": 2}')) is dict
    twice = parse(b'{"a": 1, "b": 2, "a": 3}')
    assert isinstance(twice, RepeatedKeys)
    assert twice.repeated == ("a",)


def test_a_single_feature():
    schema = FeatureSchema((Feature("only"),))
    for body in (b'{"only": {"x": 1, "y": 2}}', b'{"only": [1, 2]}', b'[{"only": 1}, {"only": 2}]'):
        np.testing.assert_array_equal(codec.to_rows(body, schema, 9).table.codes, [[1], [2]])


def test_a_suggestion_is_the_schemas_own_word():
    rows = in_columns([{k.replace("city", "cty"): v for k, v in ROWS[0].items()}])
    with pytest.raises(RowsError) as caught:
        read(rows)
    assert "did you mean 'city'?" in caught.value.violations[-1].rule


@pytest.mark.timeout(20)
@pytest.mark.parametrize("width", [1, 400])
def test_names_that_all_nearly_fit_are_refused_in_bounded_time(width):
    """Comparing texts is quadratic; a body of near misses must not become a burden."""
    schema = FeatureSchema(tuple(Feature(f"{'x' * 90}{j:04d}") for j in range(400)))
    record = {f"{'x' * 89}{'y' * width}{j:04d}": 1 for j in range(400)}
    with pytest.raises(RowsError) as caught:
        codec.to_rows(json.dumps([record] * 20).encode(), schema, MAX_ROWS)
    assert caught.value.total == 20 * 800


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i4", "u1", "?", "O", "<U3"])
def test_arrays_of_any_order_and_dtype_are_written(order, dtype):
    array = np.array([[0, 1, 1], [1, 0, 0]]).astype(dtype, order=order)
    assert orjson.loads(codec.to_json({"x": array, "y": array[:, ::2]})) == {
        "x": array.tolist(),
        "y": array[:, ::2].tolist(),
    }


def test_what_is_not_finite_becomes_null_in_any_order():
    array = np.asfortranarray([[1.0, np.nan], [np.inf, -np.inf]])
    for written in (array, np.ascontiguousarray(array)):
        assert codec.to_json(written) == b"[[1.0,null],[null,null]]"


@pytest.mark.parametrize(
    ("codes", "values"),
    [
        ([18.5, 2.0, 0.0, 1.0, 0.0], [18.5, 2, False, "Lille", "basic"]),
        ([18.0, np.nan, 1.0, 0.0, np.nan], [18.0, None, True, "Ghent", None]),
    ],
)
def test_a_sample_is_written_as_clients_write_it(codes, values):
    sample = codec.sample_body(SCHEMA, np.array(codes))
    written = [column["0"] for column in sample.values()]
    assert [(type(x), x) for x in written] == [(type(x), x) for x in values]
    np.testing.assert_array_equal(read(sample).table.codes, [codes])


def test_a_row_in_error_says_whether_the_model_or_what_explains_it_has_no_number():
    outputs = np.array([[0.5], [np.nan], [0.5]])
    values = np.array([[[1.0]], [[np.nan]], [[np.inf]]])
    explanation = SimpleNamespace(outputs=outputs, values=values, remainder=None)
    scored: Any = SimpleNamespace(
        explanation=explanation, predictions=np.array([1, 0, 1]), probabilities=None, explained=None
    )
    assert errors(scored) == [{"row": 1, "rule": NOT_FINITE}, {"row": 2, "rule": TOO_FAR}]
