"""Arrow streams in and out, with pyarrow as the other end, over real HTTP."""

from __future__ import annotations

import json
import tracemalloc
from random import Random

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scoring import LocalExplanation, RowsError
from scoring.explanation import Scored
from scoring.table import Table
from service import codec
from service.codec.arrow_answer import BATCH_ROWS
from service.errors import Refusal
from service.settings import Settings
from tests.service.arrow import CAST, SEEDS, TABLE, spoilt, with_column, written
from tests.service.fakes import NOT_A_NUMBER, ROWS, SCHEMA, fake_scorer
from tests.service.serving import SENTINEL, is_error, post, unexpected

ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
BOTH = {**ARROW, "accept": "application/vnd.apache.arrow.stream"}


def good(client, body):
    answer = post(client, body, ARROW)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def expected(client):
    return post(client, ROWS).json()


@pytest.mark.parametrize("chunk", [None, 1, 2])
@pytest.mark.parametrize("case", CAST)
def test_streams_give_the_answer_that_json_gives(client, expected, case, chunk):
    assert good(client, written(CAST[case], chunk)) == expected


@pytest.mark.parametrize("case", CAST)
def test_what_is_missing_is_missing_and_no_zero(case):
    read = codec.to_rows(written(CAST[case], 2), SCHEMA, 9, codec.ARROW).table
    as_json = codec.to_rows(json.dumps(ROWS).encode(), SCHEMA, 9).table
    assert np.isnan(read.codes).sum() == 2
    np.testing.assert_array_equal(read.codes, as_json.codes)


def test_long_texts_and_views_into_several_buffers(client):
    cities = ["a city of more than twelve letters, é", "Ghent", "another one of many letters"]
    body = written(with_column("city", pa.array(cities, pa.string_view())))
    answer = good(client, body)
    assert (
        answer == post(client, [r | {"city": c} for r, c in zip(ROWS, cities, strict=True)]).json()
    )
    assert [w["row"] for w in answer["warnings"]] == [0, 2]


def test_a_slice_of_a_table_with_offsets(client, expected):
    doubled = pa.concat_tables([TABLE, TABLE]).combine_chunks().slice(3)
    assert good(client, written(doubled)) == expected


def test_an_index_of_pandas_comes_back(client):
    frame = pd.DataFrame(ROWS, index=["a", "b", "c"])
    body = written(pa.Table.from_pandas(frame))
    assert good(client, body)["index"] == ["a", "b", "c"]


def test_a_category_of_pandas_is_read(client, expected):
    frame = pd.DataFrame(ROWS).astype({"city": "category", "plan": "category"})
    assert good(client, written(pa.Table.from_pandas(frame))) == expected


VIOLATIONS = {
    "text for a number": (
        with_column("age", pa.array([SENTINEL] * 3)),
        (0, "age", "must be a number, not text"),
    ),
    "a gap": (
        with_column("age", pa.array([1.0, None, 2.0])),
        (1, "age", "must not be missing"),
    ),
    "infinite": (with_column("age", pa.array([1.0, 2.0, np.inf])), (2, "age", "must be finite")),
    "a boolean for a number": (
        with_column("age", pa.array([True, False, True])),
        (0, "age", "must be a number, not a boolean"),
    ),
    "no flag": (with_column("owner", pa.array([1, 2, 0])), (1, "owner", "must be true or false")),
    "an empty column": (with_column("age", pa.nulls(3)), (0, "age", "must not be missing")),
    "a list": (
        with_column("age", pa.array([[1.0], [2.0], [3.0]])),
        (None, "age", "must be of numbers, booleans or text, or a dictionary of these"),
    ),
    "no rows": (TABLE.slice(0, 0), (None, None, "there must be at least one row")),
    "a missing column": (TABLE.drop(["owner"]), (None, "owner", "is missing")),
    "twice": (
        pa.table([*TABLE.columns, TABLE["age"]], names=[*TABLE.column_names, "age"]),
        (None, "age", "appears more than once"),
    ),
}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_what_does_not_fit_is_named(client, case):
    table, expected = VIOLATIONS[case]
    answer = post(client, written(table), ARROW)
    assert SENTINEL not in answer.text
    error = is_error(answer, 422, "schema_violations")
    assert expected in [(v["row"], v["column"], v["rule"]) for v in error["violations"]]
    assert unexpected(client) == 0


@pytest.mark.parametrize("codec_name", ["lz4", "zstd"])
def test_compressed_buffers_are_refused_for_what_they_may_grow_to(client, codec_name):
    zeros = pa.table({name: np.zeros(10_000) for name in SCHEMA.names})
    answer = post(client, written(zeros, compression=codec_name), ARROW)
    assert "uncompressed" in is_error(answer, 415, "unsupported_media_type")["message"]


def test_too_many_rows_are_found_before_they_are_read(small):
    is_error(post(small, written(pa.concat_tables([TABLE] * 2)), ARROW), 413, "too_many_rows")


def answered(client, body, **params):
    answer = client.post("/score", content=body, headers=BOTH, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ARROW["content-type"]
    table = pa.ipc.open_stream(answer.content).read_all()
    return table, json.loads(table.schema.metadata[b"shapserve"])


def test_a_stream_comes_back_with_everything_that_json_has(client, expected):
    table, shared = answered(client, written(TABLE))
    for name in ("features", "classes", "output_space", "base_values", "model", "errors"):
        assert shared[name] == expected[name]
    assert table["prediction"].to_pylist() == expected["predictions"]
    assert table["index"].to_pylist() == expected["index"]
    for k, output in enumerate(expected["classes"]):
        chances = table[f"probability:{output}"].to_pylist()
        assert chances == [row[k] for row in expected["probabilities"]]
        told = [table[f"importance:{output}:{name}"].to_pylist() for name in SCHEMA.names]
        assert np.transpose(told).tolist() == expected["local_importance_values"][k]
    assert table["additivity_gap"].to_pylist() == expected["additivity_gap"]


def test_json_is_answered_unless_arrow_is_asked_for(client, expected):
    for accept in ("*/*", "application/json", "application/vnd.apache.arrow.stream;q=0"):
        answer = client.post("/score", content=written(TABLE), headers={**ARROW, "accept": accept})
        assert answer.json() == expected
    mixed = "application/json;q=0.5, application/vnd.apache.arrow.stream"
    answer = client.post("/score", json=ROWS, headers={"accept": mixed})
    assert pa.ipc.open_stream(answer.content).read_all().num_rows == 3


def test_options_shape_the_stream(client):
    body = written(TABLE)
    whole, _ = answered(client, body)
    table, shared = answered(client, body, outputs="predicted", top_k=2)
    assert "base_values" not in shared
    assert table["explained_class"].to_pylist() == ["moves"] * 3
    parts = [table[f"importance:predicted:{name}"].to_pylist() for name in SCHEMA.names]
    listed = np.array(parts, dtype=float)
    assert (np.isfinite(listed).sum(axis=0) == 2).all()
    total = np.nansum(listed, axis=0) + table["base_value"].to_numpy()
    total += table["remainder:predicted"].to_numpy()
    np.testing.assert_allclose(total, whole["probability:moves"].to_numpy(), atol=1e-12)


def test_rows_that_are_not_explained_are_null(client):
    explain = json.dumps({"class": "moves", "above": 0.54})
    table, _ = answered(client, written(TABLE), explain=explain)
    assert table["explained"].to_pylist() == [False, True, False]
    told = table["importance:moves:age"].to_pylist()
    assert [value is None for value in told] == [True, False, True]


def test_what_is_not_finite_is_null(client):
    ages = pa.array([31.5, NOT_A_NUMBER, 27.25])
    table, shared = answered(client, written(with_column("age", ages)))
    assert [row["row"] for row in shared["errors"]] == [1]
    assert table["probability:moves"].null_count == 1
    assert table["importance:moves:age"].null_count == 1


def test_interactions_are_not_for_streams(client):
    answer = client.post("/score?interactions=true", content=written(TABLE), headers=BOTH)
    is_error(answer, 422, "invalid_option")


def many_rows(n_rows):
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "age": rng.uniform(18, 90, n_rows),
            "rooms": rng.integers(1, 9, n_rows),
            "owner": rng.random(n_rows) < 0.5,
            "city": ["Ghent", "Lille"] * (n_rows // 2),
            "plan": ["plus", None] * (n_rows // 2),
        }
    )


def test_ten_thousand_rows_come_in_batches(serve):
    client, rows = serve(Settings(max_rows=10_000)), many_rows(10_000)
    with client.stream("POST", "/score", content=written(rows), headers=BOTH) as answer:
        assert "content-length" not in answer.headers
        reader = pa.ipc.open_stream(b"".join(answer.iter_bytes()))
        batches = list(reader)
    assert [batch.num_rows for batch in batches[:2]] == [BATCH_ROWS, BATCH_ROWS]
    table = pa.Table.from_batches(batches)
    assert table.num_rows == 10_000
    weight = np.array(table["importance:moves:age"]) / np.array(rows["age"])
    np.testing.assert_allclose(weight, 1e-3)


def test_writing_takes_memory_for_a_batch_and_not_for_the_request():
    names, model = tuple(f"f{j}" for j in range(50)), fake_scorer().model

    def peak(n_rows):
        values = np.ones((n_rows, 50, 2))
        outputs, two = np.full((n_rows, 2), 50.0), ("no", "yes")
        explained = LocalExplanation(
            values, np.zeros(2), outputs, names, two, "probability", True, "fake"
        )
        scored = Scored(np.ones(n_rows), outputs, explained)
        rows = codec.Rows(Table(np.empty((n_rows, 0)), ()), range(n_rows))
        next(codec.arrow_answer(scored, rows, model))  # imports, and what is made once
        tracemalloc.start()
        size = sum(map(len, codec.arrow_answer(scored, rows, model)))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found, size

    (few, small), (many, large) = peak(2 * BATCH_ROWS), peak(20 * BATCH_ROWS)
    assert large > 8 * small
    # What grows with the rows is their predictions and gaps, not their hundred values.
    assert many - few < (large - small) / 6


def read(body):
    """Read a body; anything but a table or a refusal is a bug."""
    try:
        return codec.to_rows(bytes(body), SCHEMA, 20, codec.ARROW)
    except (Refusal, RowsError):
        return None


@pytest.mark.parametrize("seed", range(4))
def test_a_spoilt_stream_is_read_or_refused(seed):
    rng, outcomes = Random(seed), set()  # noqa: S311 bytes to spoil, no secrets
    for _ in range(1500):
        outcomes.add(read(spoilt(rng, rng.choice(SEEDS))) is None)
    assert outcomes == {True, False}


def test_streams_that_lie_about_sizes_take_no_memory():
    rng = Random(9)  # noqa: S311 the same
    tracemalloc.start()
    for _ in range(300):
        read(spoilt(rng, rng.choice(SEEDS)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20


def test_text_that_views_share_does_not_unfold_without_bound():
    text = "x" * 1_000_000
    views = pa.array([text] * 100, pa.string_view())
    shared = views.buffers()[2]
    one = pa.Array.from_buffers(
        pa.string_view(), 100, [None, pa.py_buffer(bytes(views.buffers()[1])), shared]
    )
    table = pa.table(dict.fromkeys(SCHEMA.names, one))
    with pytest.raises(Refusal, match="unfold"):
        codec.to_rows(written(table), SCHEMA, 1000, codec.ARROW)


def test_more_columns_than_are_worth_a_look_are_refused(client):
    body = written(pa.table({f"f{j}": [0] for j in range(1000)}))
    error = is_error(post(client, body, ARROW), 400, "unreadable_body")
    assert "110 columns" in error["message"]


def growing_stream(n_deltas):
    """A dictionary of many values to which one comes with each batch of one row."""
    kind = pa.dictionary(pa.int32(), pa.int8())
    schema = pa.schema([(name, kind if name == "age" else pa.null()) for name in SCHEMA.names])
    sink, values = pa.BufferOutputStream(), np.zeros(900_000, np.int8)
    ends = []
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, schema, options=options) as out:
        for size in (899_998, 899_999, 900_000):
            column = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), values[:size])
            others = [pa.nulls(1)] * (len(SCHEMA.names) - 1)
            out.write_batch(pa.record_batch([column, *others], schema=schema))
            ends.append(sink.tell())
    body = sink.getvalue().to_pybytes()
    return body[: ends[1]] + body[ends[1] : ends[2]] * n_deltas + body[ends[2] :]


@pytest.mark.timeout(20)
def test_a_dictionary_that_grows_value_by_value_is_read_in_bounded_time():
    with pytest.raises(RowsError) as caught:  # the other columns are empty
        codec.to_rows(growing_stream(9_000), SCHEMA, 10_000, codec.ARROW)
    assert not any(violation.column == "age" for violation in caught.value.violations)


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xff\xff\xff\0\0\0\0", b"ARROW1\0\0", b"[]", b"\xff" * 40]
)
def test_what_is_no_stream(client, body):
    is_error(post(client, body, ARROW), 400, "unreadable_body")
