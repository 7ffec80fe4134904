"""All protocols together: the same rows get the same answers, and no body breaks a reader."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import RowsError
from service.codec.kserve_v1 import read_instances
from service.codec.mlflow import read_invocation
from service.codec.open_inference import labels_of, read_infer, to_infer
from service.codec.tensors import DATATYPES
from service.errors import Refusal, TooManyRows
from service.protocols.options import options_from, tensor_options
from service.settings import Settings
from tests.service import bodies
from tests.service.dialects import (
    OUTPUTS,
    asked_for,
    in_bytes,
    in_invocations,
    in_lists,
    in_tensors,
    tensors_of,
)
from tests.service.fakes import ROWS, SCHEMA, fake_scorer
from tests.service.test_codec import MAX_ROWS, check_violations

SCORER = fake_scorer()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows=bodies.good_rows)
def test_every_protocol_answers_what_score_answers(client, rows):
    rows = json.loads(json.dumps(rows).replace("NaN", "null"))
    scored = client.post("/score", json=rows).json()
    assert "error" not in scored
    predictions = {"predictions": scored["predictions"]}
    for body in in_invocations(rows):
        assert client.post("/invocations", json=body).json() == predictions
        explained = client.post("/invocations", json=body | {"params": {"explain": True}})
        assert explained.json() | {"index": scored["index"]} == scored
    for instances in (rows, in_lists(rows)):
        predicted = client.post("/v1/models/houses:predict", json={"instances": instances})
        assert predicted.json() == predictions
        explained = client.post("/v1/models/houses:explain", json={"instances": instances})
        assert explained.json() == {"explanations": scored}
    body = in_tensors(rows)
    tensors = tensors_of(client.post("/v2/models/houses/infer", json=body | asked_for(*OUTPUTS)))
    assert tensors["predict"].tolist() == scored["predictions"]
    assert tensors["probabilities"].tolist() == scored["probabilities"]
    values = tensors["local_importance_values"].transpose(2, 0, 1)
    assert values.tolist() == scored["local_importance_values"]
    assert tensors["base_values"].tolist() == scored["base_values"]


def test_predictions_alone_are_not_explained(serve):
    """An explanation costs nothing where it is not asked for."""
    scorer, asked = fake_scorer(), []
    really_score = scorer.explainer.score

    def noted(rows, deadline_ms=None, **more):
        asked.append(more.get("explain", True))
        return really_score(rows, deadline_ms, **more)

    object.__setattr__(scorer.explainer, "score", noted)
    client = serve(scorers={"houses": scorer})
    rows = [{"age": 31.5, "rooms": 4, "owner": True, "city": "Ghent", "plan": "plus"}]
    tensors = in_tensors(rows)
    for path, body, explained in (
        ("/invocations", {"instances": rows}, False),
        ("/invocations", {"instances": rows, "params": {"explain": True}}, True),
        ("/v1/models/houses:predict", {"instances": rows}, False),
        ("/v1/models/houses:explain", {"instances": rows}, True),
        ("/v2/models/houses/infer", tensors, False),
        ("/v2/models/houses/infer", tensors | asked_for("predict", "probabilities"), False),
        ("/v2/models/houses/infer", tensors | asked_for("predict", "base_values"), True),
    ):
        asked.clear()
        assert client.post(path, json=body).status_code == 200
        assert asked == [explained], path


invocations = st.one_of(
    bodies.good_rows.flatmap(lambda rows: st.sampled_from(in_invocations(rows))),
    st.fixed_dictionaries(
        {},
        optional={
            "dataframe_split": bodies.values | bodies.nearly_good_bodies(),
            "dataframe_records": bodies.values | bodies.nearly_good_bodies(),
            "instances": bodies.values | bodies.nearly_good_bodies(),
            "inputs": bodies.values | bodies.nearly_good_bodies(),
            "params": bodies.values,
        },
    ),
    st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs"]).flatmap(
        lambda key: st.fixed_dictionaries(
            {key: bodies.nearly_good_bodies()},
            optional={
                "params": st.fixed_dictionaries(
                    {},
                    optional=dict.fromkeys(
                        ("explain", "output_space", "deadline_ms"), bodies.values
                    ),
                )
            },
        )
    ),
)

shapes = st.lists(st.integers(-1, 4) | bodies.scalars, max_size=3) | bodies.values


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, Any]:
    """A body of `infer`: good tensors, of which a few may be spoilt."""
    body = in_tensors(json.loads(json.dumps(draw(bodies.good_rows))))
    for tensor in body["inputs"]:
        match draw(st.integers(0, 14)):
            case 0:
                tensor["data"] = draw(bodies.values)
            case 1:
                tensor["shape"] = draw(shapes)
            case 2:
                tensor["datatype"] = draw(st.sampled_from(DATATYPES) | bodies.values)
            case 3:
                tensor["name"] = draw(bodies.names | bodies.values)
            case 4:
                tensor.pop(draw(st.sampled_from(list(tensor))))
            case 5:
                tensor["parameters"] = draw(
                    st.fixed_dictionaries({"binary_data_size": bodies.values}) | bodies.values
                )
    asked = st.fixed_dictionaries({"name": st.sampled_from(OUTPUTS)}) | bodies.values
    if draw(st.booleans()):
        body["outputs"] = draw(st.lists(asked, max_size=3, unique_by=str) | bodies.values)
    if draw(st.integers(0, 4)) == 0:
        body["parameters"] = draw(bodies.values | st.just({"binary_data_output": True}))
    if draw(st.integers(0, 4)) == 0:
        body["id"] = draw(bodies.values)
    return body


@st.composite
def binaries(draw: st.DrawFn) -> tuple[bytes, str | None]:
    """Binary tensors of nearly the right size, and a header that is nearly right."""
    n_rows = draw(st.integers(0, 3))
    sizes = {"FP64": 8, "INT64": 8, "INT8": 1, "BOOL": 1, "BYTES": 9, "FP16": 2}
    inputs = []
    for name in SCHEMA.names:
        datatype = draw(st.sampled_from(sorted(sizes)))
        size = n_rows * sizes[datatype] + draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
        raw = draw(st.binary(min_size=max(size, 0), max_size=max(size, 0)))
        if datatype == "BYTES":
            raw = b"\x05\x00\x00\x00Ghent" * n_rows if draw(st.booleans()) else raw
        inputs.append((name, datatype, [n_rows], raw))
    body, headers = in_bytes(inputs, **asked_for(*OUTPUTS, binary_data=True))
    length = headers["inference-header-content-length"]
    return body, draw(st.sampled_from([length] * 8 + [str(int(length) - 1), None, "x", "0"]))


def check_infer(body: bytes, length: str | None) -> str:
    """Read a body and answer it; anything but an answer or a refusal is a bug."""
    try:
        request = read_infer(body, length, SCHEMA, MAX_ROWS)
        params = tensor_options((), request.parameters)
        options = options_from((), params, SCORER.choices, explain=request.explain)
        scored = SCORER.score(request.rows.table, options)
        answer = to_infer(scored, request, SCORER.model, labels_of(SCORER.outputs))
    except (Refusal, RowsError) as exc:
        return check_refusal(exc)
    orjson.loads(answer.content[: answer.header_length])
    return "read"


def check_refusal(exc: Refusal | RowsError) -> str:
    if isinstance(exc, RowsError):
        check_violations(exc.violations, exc.total)
        return "violations"
    assert bodies.MARK not in exc.message
    assert 400 <= exc.status < 500
    return exc.code


def check_invocation(body: bytes) -> str:
    try:
        rows, params = read_invocation(body, SCHEMA, MAX_ROWS)
        options = options_from((), params, SCORER.choices, explain=False)
        SCORER.score(rows.table, options)
    except (Refusal, RowsError) as exc:
        return check_refusal(exc)
    return "read"


def check_instances(body: bytes) -> str:
    try:
        SCORER.score(read_instances(body, SCHEMA, MAX_ROWS).table)
    except (Refusal, RowsError) as exc:
        return check_refusal(exc)
    return "read"


json_bodies = bodies.texts(invocations) | bodies.any_body
tensor_bodies = st.one_of(
    st.tuples(bodies.texts(tensors()), st.none()),
    st.tuples(bodies.texts(tensors()), st.none()),
    binaries(),
    st.tuples(bodies.any_body, st.none() | st.integers(0, 40).map(str)),
)

# What is drawn depends on the constants of the modules that happen to be loaded: a body for each
# outcome is always among the examples.
ALWAYS = [b"{", json.dumps({"instances": ROWS}).encode(), b'{"instances": []}']
ALWAYS_TENSORS = [b"{", json.dumps(in_tensors(ROWS)).encode(), b'{"inputs": []}']
FUZZ: dict[str, tuple[st.SearchStrategy[Any], Callable[..., str], list[tuple[Any, ...]]]] = {
    "mlflow": (st.tuples(json_bodies), check_invocation, [(body,) for body in ALWAYS]),
    "kserve v1": (st.tuples(json_bodies), check_instances, [(body,) for body in ALWAYS]),
    "open inference": (tensor_bodies, check_infer, [(body, None) for body in ALWAYS_TENSORS]),
}


@pytest.mark.slow
@pytest.mark.parametrize("protocol", FUZZ)
def test_any_body_is_read_or_refused(protocol):
    """And each kind of outcome is reached, else it would pass for the wrong reason."""
    strategy, check, always = FUZZ[protocol]
    seen = {check(*arguments) for arguments in always}

    @settings(max_examples=600, deadline=None, derandomize=True, database=None)
    @given(strategy)
    def fuzz(arguments):
        seen.add(check(*arguments))

    fuzz()
    assert seen >= {"read", "violations", "broken_json"}


@pytest.mark.timeout(60)
def test_many_tensors_are_refused_in_bounded_time():
    many = [
        {"name": f"{'x' * 90}{i}", "shape": [1], "datatype": "FP64", "data": [1.0]}
        for i in range(12_000)
    ]
    with pytest.raises(RowsError) as caught:
        read_infer(json.dumps({"inputs": many}).encode(), None, SCHEMA, 10_000)
    assert caught.value.total < 10


MANY = b"[" + b"[]," * 30_000 + b"[]]"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/invocations", b'{"instances": %b}' % MANY),
        ("/v1/models/houses:predict", b'{"instances": %b}' % MANY),
        ("/v2/models/houses/infer", b'{"inputs": [{"data": %b}]}' % MANY),
    ],
)
def test_a_body_of_many_tiny_values_is_refused_before_it_is_parsed(serve, path, body):
    """Millions of them take seconds, in which nobody else is answered, and very much memory."""
    client = serve(Settings(max_rows=5))
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    problem = answer.json().get("details") or answer.json()["error"]
    assert problem["code"] == "too_many_values"


def test_large_tensors_may_have_a_list_for_each_value(client):
    rows = ROWS * 2_000
    body = in_tensors(rows)
    for tensor in body["inputs"]:
        tensor["shape"] = [len(rows), 1]
        tensor["data"] = [[value] for value in tensor["data"]]
    assert len(tensors_of(client.post("/v2/models/houses/infer", json=body))["predict"]) == 6_000


@pytest.mark.parametrize("name", ["age", "city"])
@pytest.mark.parametrize(("datatype", "size"), [("INT8", 1), ("FP16", 2), ("BYTES", 4)])
def test_too_many_rows_of_a_tensor_are_no_objects_first(name, datatype, size):
    n_rows = 2_000_000
    body, headers = in_bytes([(name, datatype, [n_rows], bytes(n_rows * size))])
    tracemalloc.start()
    with pytest.raises(TooManyRows):
        read_infer(body, headers["inference-header-content-length"], SCHEMA, MAX_ROWS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * len(body)


@pytest.mark.timeout(60)
def test_a_large_binary_tensor_is_read_at_once():
    from scoring.feature import Feature
    from scoring.schema import FeatureSchema

    schema = FeatureSchema(tuple(Feature(f"f{j}") for j in range(30)))
    numbers = np.random.default_rng(0).normal(size=(10_000, 30))
    body, headers = in_bytes([("rows", "FP64", [10_000, 30], numbers.tobytes())])
    length = headers["inference-header-content-length"]
    request = read_infer(body, length, schema, 10_000)
    np.testing.assert_array_equal(request.rows.table.codes, numbers)
