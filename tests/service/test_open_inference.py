"""The Open Inference Protocol V2 over real HTTP, with JSON and with binary tensors."""

from __future__ import annotations

import json
import struct
from typing import Any

import httpx
import numpy as np
import pytest

from service.protocols.documents import (
    InferDocument,
    LiveDocument,
    ReadyDocument,
    ReadyModelDocument,
    ServedModelDocument,
    ServerDocument,
    V2ErrorDocument,
)
from tests.service.dialects import (
    DATATYPES,
    OUTPUTS,
    array_of,
    asked_for,
    in_bytes,
    in_tensors,
    tensors_of,
    text_bytes,
)
from tests.service.fakes import NOT_A_NUMBER, RAISE, ROWS, SCHEMA, fake_scorer, tiny_scorer
from tests.service.serving import JSON, SENTINEL, served, unexpected

TENSORS = in_tensors(ROWS)


@pytest.fixture(scope="module")
def two():
    with served({"houses": fake_scorer(), "tiny": tiny_scorer()}) as client:
        yield client
        assert unexpected(client) == 0


def infer(client, body, model="houses", headers=JSON, **query):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(f"/v2/models/{model}/infer", content=content, headers=headers, params=query)


def tiny(client, shape, datatype, data, name="x"):
    tensor = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    return infer(client, {"inputs": [tensor]}, "tiny")


def refused(answer, status, code):
    """Assert a refusal as this protocol has it: text under `error`; return our details."""
    assert answer.status_code == status, answer.text
    assert SENTINEL not in answer.text
    body = answer.json()
    V2ErrorDocument.model_validate(body, strict=True)
    assert set(body) == {"error", "details", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-length"] == str(len(answer.content))
    assert body["details"]["code"] == code
    return body


def rules(answer):
    details = refused(answer, 422, "schema_violations")["details"]
    return [(v["row"], v["column"], v["rule"]) for v in details["violations"]]


def changed(place, **changes):
    """The good body with one of its tensors changed; None takes a key away."""
    inputs = [dict(tensor) for tensor in TENSORS["inputs"]]
    changed = inputs[place] | changes
    inputs[place] = {key: value for key, value in changed.items() if value is not None}
    return {"inputs": inputs}


def test_predictions_alone_are_the_default(two):
    answer = infer(two, TENSORS)
    assert answer.json() == {
        "model_name": "houses",
        "model_version": "7",
        "outputs": [
            {"name": "predict", "shape": [3], "datatype": "BYTES", "data": ["yes"] * 3},
        ],
    }
    assert infer(two, TENSORS | {"outputs": []}).json() == answer.json()


def test_outputs_are_those_of_score(two):
    scored = two.post("/score", json=ROWS).json()
    answer = infer(two, TENSORS | asked_for(*OUTPUTS) | {"id": "a-1"})
    InferDocument.model_validate(answer.json(), strict=True)
    assert answer.json()["id"] == "a-1"
    assert [output["name"] for output in answer.json()["outputs"]] == list(OUTPUTS)
    tensors = tensors_of(answer)
    assert tensors["predict"].tolist() == scored["predictions"]
    assert tensors["probabilities"].tolist() == scored["probabilities"]
    values = tensors["local_importance_values"]  # (n_rows, n_features, n_outputs)
    assert values.transpose(2, 0, 1).tolist() == scored["local_importance_values"]
    assert tensors["base_values"].tolist() == scored["base_values"]
    assert tensors["additivity_gap"].tolist() == scored["additivity_gap"]
    assert np.isnan(tensors["standard_errors"]).all()  # null in /score as well
    assert tensors["standard_errors"].shape == values.shape


def test_parameters_say_what_axes_count_through(two):
    answer = infer(two, TENSORS | asked_for("local_importance_values", "base_values")).json()
    values, base = answer["outputs"]
    assert json.loads(values["parameters"]["axes"]) == ["row", "feature", "output"]
    assert json.loads(values["parameters"]["features"]) == list(SCHEMA.names)
    for output in (values, base):
        assert json.loads(output["parameters"]["outputs"]) == ["stays", "moves"]
    assert answer["parameters"]["output_space"] == "probability"


def test_a_category_that_training_never_saw_is_told(two):
    answer = infer(two, in_tensors([ROWS[0] | {"city": "Bruges"}]))
    [warning] = json.loads(answer.json()["parameters"]["warnings"])
    assert (warning["row"], warning["column"]) == (0, "city")


def test_what_is_not_finite(two):
    rows = [ROWS[0], ROWS[1] | {"age": NOT_A_NUMBER}]
    answer = infer(two, in_tensors(rows) | asked_for("probabilities"))
    assert answer.json()["outputs"][0]["data"][2:] == [None, None]
    raw = infer(two, in_tensors(rows) | asked_for("probabilities", binary_data=True))
    assert np.isnan(np.frombuffer(raw.content[-16:])).all()


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([2], [0.5, 1.5]),
        ([2, 1], [0.5, 1.5]),
        ([2, 1], [[0.5], [1.5]]),
    ],
)
@pytest.mark.parametrize("name", ["data", "anything"])
def test_flat_and_nested(two, shape, data, name):
    answer = tiny(two, shape, "FP64", data, name)
    if len(shape) == 1 and name != "data":
        assert (None, "data", "is missing") in rules(answer)
        return
    assert tensors_of(answer)["predict"].tolist() == [1, 1]
    assert answer.json()["outputs"][0]["datatype"] == "INT64"


@pytest.fixture(scope="module")
def numbers(numeric):
    """A server with a model of four numbers."""
    from service.scorer import load_scorers
    from service.settings import Source

    with served(load_scorers([Source(None, numeric, None)])) as client:
        yield client
        assert unexpected(client) == 0


def test_all_features_in_one_tensor_or_in_one_each(numbers):
    document = numbers.get("/v2/models/iris").json()
    assert document["inputs"] == [{"name": "rows", "datatype": "FP64", "shape": [-1, 4]}]
    names = [feature["name"] for feature in numbers.get("/schema").json()["features"]]
    rows = [[5.1, 3.5, 1.4, 0.2], [6.0, 2.5, 4.5, 1.5], [7.0, 3.0, 6.0, 2.0]]
    scored = numbers.post("/score", json={"columns": names, "data": rows}).json()
    flat = [cell for row in rows for cell in row]
    whole = {"name": "rows", "shape": [3, 4], "datatype": "FP64"}
    columns = [
        {"name": n, "shape": [3, 1], "datatype": "FP64", "data": [[row[j]] for row in rows]}
        for j, n in enumerate(names)
    ]
    raw, header = in_bytes(
        [("rows", "FP64", [3, 4], np.array(rows).tobytes())],
        **asked_for("local_importance_values", "predict"),
    )
    wanted = asked_for("local_importance_values", "predict")
    for body, headers in (
        ({"inputs": [whole | {"data": flat}]} | wanted, JSON),
        ({"inputs": [whole | {"data": rows}]} | wanted, JSON),
        ({"inputs": columns[::-1]} | wanted, JSON),
        (raw, header),
    ):
        tensors = tensors_of(infer(numbers, body, "iris", headers))
        values = tensors["local_importance_values"].transpose(2, 0, 1)
        np.testing.assert_array_equal(values, scored["local_importance_values"])
        assert tensors["predict"].tolist() == scored["predictions"]
    broken = {"inputs": [whole | {"shape": [4, 3], "data": flat}]}
    rule = "a tensor of all features must have the shape [n_rows, 4]"
    assert rules(infer(numbers, broken, "iris")) == [(None, None, rule)]
    broken = {"inputs": [whole | {"data": [*flat[:-1], None]}]}
    assert rules(infer(numbers, broken, "iris")) == [(2, names[3], "must not be missing")]


BINARY = [
    ("age", "FP64", [3], np.array([31.5, 54, 27.25]).tobytes()),
    ("rooms", "FP64", [3, 1], np.array([4, np.nan, 2]).tobytes()),
    ("owner", "BOOL", [3], b"\x01\x00\x01"),
    ("city", "BYTES", [3], text_bytes(["Ghent", "Lille", "Lille"])),
    ("plan", "BYTES", [3], text_bytes(["plus", "basic", "basic"])),
]
BINARY_ROWS = [ROWS[0], ROWS[1] | {"plan": "basic"}, ROWS[2]]


def read_binary(answer: httpx.Response):
    """The tensors of a binary answer, by name."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    start = length
    tensors: dict[str, Any] = {}
    for output in json.loads(answer.content[:length])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        raw, start = answer.content[start : start + size], start + size
        if output["datatype"] == "BYTES":
            tensors[output["name"]] = raw
        else:
            tensors[output["name"]] = np.frombuffer(raw).reshape(output["shape"])
    assert start == len(answer.content)
    return tensors


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/json", None])
def test_bytes_in_and_out(two, kind):
    expected = tensors_of(infer(two, in_tensors(BINARY_ROWS) | asked_for(*OUTPUTS)))
    body, headers = in_bytes(BINARY, **asked_for(*OUTPUTS, binary_data=True))
    headers |= {} if kind is None else {"content-type": kind}
    tensors = read_binary(infer(two, body, headers=headers))
    assert tensors.pop("predict") == text_bytes(["yes"] * 3)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, expected[name])


def test_binary_outputs_are_a_choice_of_the_request_or_of_an_output(two):
    everything = {"parameters": {"binary_data_output": True}}
    assert set(read_binary(infer(two, TENSORS | everything))) == {"predict"}
    one = asked_for("predict") | everything
    one["outputs"].append({"name": "base_values", "parameters": {"binary_data": False}})
    answer = infer(two, TENSORS | one)
    length = int(answer.headers["inference-header-content-length"])
    outputs = json.loads(answer.content[:length])["outputs"]
    assert array_of(outputs[1]).tolist() == [0.5, 0.5]
    assert "data" not in outputs[0]


@pytest.mark.parametrize(
    ("datatype", "dtype"),
    [
        *((f"FP{8 * n}", f"<f{n}") for n in (2, 4, 8)),
        *((f"INT{8 * n}", f"<i{n}") for n in (1, 2, 4, 8)),
        *((f"UINT{8 * n}", f"<u{n}") for n in (1, 2, 4, 8)),
    ],
)
def test_every_numeric_datatype(two, datatype, dtype):
    numbers = np.array([1, 0, 100], dtype=dtype)
    body, headers = in_bytes(
        [("data", datatype, [3], numbers.tobytes())], **asked_for("probabilities")
    )
    expected = two.post("/models/tiny/score", json={"data": [1, 0, 100]}).json()["probabilities"]
    assert tensors_of(infer(two, body, "tiny", headers))["probabilities"].tolist() == expected
    as_json = {"name": "data", "shape": [3], "datatype": datatype, "data": numbers.tolist()}
    answer = infer(two, {"inputs": [as_json]} | asked_for("probabilities"), "tiny")
    assert tensors_of(answer)["probabilities"].tolist() == expected


def test_flags_may_come_as_numbers_and_gaps_as_null(two):
    plain = tensors_of(infer(two, TENSORS | asked_for("probabilities")))
    for changes in (
        {"datatype": "INT64", "data": [1, 0, 1]},
        {"datatype": "FP64", "data": [1.0, 0.0, 1.0]},
    ):
        answer = infer(two, changed(2, **changes) | asked_for("probabilities"))
        np.testing.assert_array_equal(tensors_of(answer)["probabilities"], plain["probabilities"])
    wrong = changed(2, datatype="INT64", data=[1, 2, 1])
    assert rules(infer(two, wrong)) == [(1, "owner", "must be true or false")]


WRONG_TENSORS = {
    "no object": {"inputs": [SENTINEL]},
    "no name": changed(0, name=None),
    "a name that is no text": changed(0, name=[SENTINEL]),
    "no datatype": changed(0, datatype=None),
    "an unknown datatype": changed(0, datatype=SENTINEL),
    "a datatype that is a list": changed(0, datatype=["FP64"]),
    "no shape": changed(0, shape=None),
    "three axes": changed(0, shape=[3, 1, 1]),
    "no axes": changed(0, shape=[]),
    "a shape of texts": changed(0, shape=[SENTINEL]),
    "a negative shape": changed(0, shape=[-3]),
    "a shape of flags": changed(0, shape=[True]),
    "a huge shape": changed(0, shape=[2**40, 2**40]),
    "a large shape": changed(0, shape=[3, 2**30]),
    "another shape": changed(0, shape=[4]),
    "no data": changed(0, data=None),
    "data that is no list": changed(0, data=SENTINEL),
    "data that is ragged": changed(0, shape=[3, 1], data=[[1.0], [1.0], [1.0, 2.0]]),
    "data too deep": changed(0, data=[[1.0], [1.0], [1.0]]),
    "texts as numbers": changed(0, data=[1.0, SENTINEL, 1.0]),
    "flags as numbers": changed(0, data=[1.0, True, 1.0]),
    "fractions as whole numbers": changed(1, data=[1.5, 1, 1]),
    "numbers as flags": changed(2, data=[1, 0, 1]),
    "numbers as texts": changed(3, data=[1, 0, 1]),
    "both data and bytes": changed(0, parameters={"binary_data_size": 0}),
    "bytes that are not there": changed(0, data=None, parameters={"binary_data_size": 24}),
    "shared memory": changed(0, data=None, parameters={"shared_memory_region": SENTINEL}),
    "a size that is text": changed(0, data=None, parameters={"binary_data_size": SENTINEL}),
    "a negative size": changed(0, data=None, parameters={"binary_data_size": -1}),
    "a size that is text beside data": changed(0, parameters={"binary_data_size": SENTINEL}),
    "a size that is a flag": changed(0, parameters={"binary_data_size": True}),
    "parameters that are text": changed(0, parameters=SENTINEL),
    "parameters that are a list": changed(0, parameters=[SENTINEL]),
}


@pytest.mark.parametrize("case", WRONG_TENSORS)
def test_a_wrong_tensor_is_named_by_its_place(small, case):
    told = rules(infer(small, WRONG_TENSORS[case]))
    assert told[0][2].startswith("input ")
    assert told[0][:2] == (None, None)


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"inputs": []}, "inputs must be a list of tensors"),
        ({}, "inputs must be a list of tensors"),
        ([SENTINEL], "the body must be an object that does not repeat a key"),
        (changed(0, shape=[3, 2], data=[1.0] * 6), "input 0 (counted from 0) must have the shape"),
        ({"inputs": TENSORS["inputs"][:4]}, "is missing"),
        ({"inputs": TENSORS["inputs"] + TENSORS["inputs"][:1]}, "appears more than once"),
        (changed(0, name=SENTINEL), "is missing"),
        (changed(4, shape=[2], data=["plus"] * 2), "must have the same rows as the first column"),
        (
            {"inputs": [{"name": SENTINEL, "shape": [1, 5], "datatype": "FP64", "data": [1] * 5}]},
            "one tensor can hold all features where they and it are numbers; else send one each",
        ),
        (changed(0, data=[1.0, 10**400, 1.0]), "must fit a 64-bit float"),
        (changed(0, data=[1.0, float("inf"), 1.0]), "must be finite"),
        (changed(4, data=["plus", SENTINEL, "plus"]), "must be one of the categories"),
        (changed(4, datatype="INT64", data=[1, 2, 3]), "must be text, not a number"),
        (
            in_tensors(ROWS)
            | {"inputs": [t | {"shape": [0], "data": []} for t in TENSORS["inputs"]]},
            "there must be at least one row",
        ),
    ],
    ids=range(14),
)
def test_wrong_rows_are_named(small, body, rule):
    assert any(told[2].startswith(rule) for told in rules(infer(small, body)))


def test_the_first_violation_is_in_the_text_that_clients_show(small):
    body = refused(infer(small, changed(0, data=[1.0, None, 1.0])), 422, "schema_violations")
    assert body["error"].endswith("First of 1: row 1, column age: must not be missing.")


WRONG_BYTES = {
    "too few": ("age", "FP64", [3], b"x" * 23),
    "too many": ("age", "FP64", [3], b"x" * 25),
    "a flag of two": ("owner", "BOOL", [3], b"\x00\x02\x00"),
    "a short text": ("city", "BYTES", [3], text_bytes(["Ghent", "Lille", "Lille"])[:-1]),
    "a long text": ("city", "BYTES", [3], struct.pack("<I", 2**32 - 1) + b"x" * 20),
    "texts too many": ("city", "BYTES", [3], text_bytes(["Ghent"] * 4)),
    "texts too few": ("city", "BYTES", [3], text_bytes(["Ghent", "a text that is longer"])),
    "half a length": ("city", "BYTES", [3], text_bytes(["Ghent"] * 2) + b"\x00\x00"),
    "not UTF-8": ("city", "BYTES", [3], text_bytes(["Ghent"] * 2) + struct.pack("<I", 1) + b"\xff"),
}


@pytest.mark.parametrize("case", WRONG_BYTES)
def test_wrong_bytes_are_refused(small, case):
    wrong = WRONG_BYTES[case]
    body, headers = in_bytes([wrong if t[0] == wrong[0] else t for t in BINARY])
    told = rules(infer(small, body, headers=headers))
    place = [t[0] for t in BINARY].index(wrong[0])
    assert told[0][2].startswith(f"input {place} (counted from 0) must have data")


def test_bytes_that_belong_to_no_tensor(small):
    body, headers = in_bytes(BINARY)
    [(_, _, rule)] = rules(infer(small, body + b"x", headers=headers))
    assert rule == "the bytes after the JSON must be as many as all binary_data_size say"


@pytest.mark.parametrize("length", ["-1", "", "1.0", SENTINEL, "9" * 30, "100000", "1_0", "+9"])
def test_a_header_length_that_is_none(small, length):
    body, _ = in_bytes(BINARY)
    headers = {"inference-header-content-length": length.encode()}
    refused(infer(small, body, headers=headers), 400, "broken_json")


def test_a_header_length_in_the_middle_of_the_json(small):
    body, _ = in_bytes(BINARY)
    headers = {"inference-header-content-length": "30"}
    refused(infer(small, body, headers=headers), 400, "broken_json")


@pytest.mark.parametrize(
    "more",
    [
        {"outputs": SENTINEL},
        {"outputs": [SENTINEL]},
        {"outputs": [{"name": SENTINEL}]},
        {"outputs": [{"name": [SENTINEL]}]},
        {"outputs": [{}]},
        asked_for("predict", "predict"),
        asked_for("predict", classification=3),
        asked_for("predict", binary_data=SENTINEL),
        {"outputs": [{"name": "predict", "parameters": [SENTINEL]}]},
        asked_for("predict", shared_memory_region=SENTINEL),
        {"parameters": SENTINEL},
        {"parameters": {"binary_data_output": SENTINEL}},
        {"parameters": {"top_k": 1}},
        {"parameters": {"explain": True}},
        {"parameters": {"baseline": SENTINEL}},
        {"parameters": {"output_space": SENTINEL}},
        {"parameters": {"deadline_ms": SENTINEL}},
        {"id": 7},
        {"id": "x" * 129},
        {"id": "\ud800"},
        {"id": "a\nb"},
    ],
    ids=range(21),
)
def test_what_there_is_not_to_ask_for(small, more):
    refused(infer(small, TENSORS | more), 422, "invalid_option")


def test_options_are_among_the_parameters_or_in_the_query(two):
    wanted = TENSORS | asked_for("base_values")
    parameters = {"output_space": "probability", "deadline_ms": 500, "priority": 1, "timeout": 9}
    assert infer(two, wanted | {"parameters": parameters}).status_code == 200
    assert infer(two, wanted, output_space="probability").status_code == 200
    twice = infer(two, wanted | {"parameters": parameters}, output_space="probability")
    refused(twice, 422, "invalid_option")


FOREIGN = {
    "content_type": "np",
    "headers": {"x-trace": SENTINEL},
    "id": SENTINEL,
    "sequence_id": 3,
    "sequence_start": True,
    "priority": 1,
    "timeout": 9,
    "triton_enable_empty_final_response": False,
    SENTINEL: [None, {"deep": 1.5}],
}


def test_parameters_that_are_not_ours_are_passed_over(two):
    """MLServer's codecs send `content_type` with every request, tensor and output."""
    wanted = TENSORS | asked_for(*OUTPUTS)
    foreign = {
        "parameters": FOREIGN,
        "inputs": [tensor | {"parameters": FOREIGN} for tensor in TENSORS["inputs"]],
        **asked_for(*OUTPUTS, **FOREIGN),
    }
    answer = infer(two, foreign)
    assert answer.json() == infer(two, wanted).json()
    mixed = foreign | {"parameters": FOREIGN | {"output_space": "probability"}}
    assert infer(two, mixed).json() == answer.json()
    nothing = [tensor | {"parameters": None} for tensor in TENSORS["inputs"]]
    assert infer(two, wanted | {"parameters": None, "inputs": nothing}).json() == answer.json()
    refused(infer(two, wanted, content_type="np"), 422, "invalid_option")


def test_parameters_of_binary_tensors_that_are_not_ours(two):
    body, headers = in_bytes(BINARY)
    length = int(headers["inference-header-content-length"])
    content = json.loads(body[:length])
    for tensor in content["inputs"]:
        tensor["parameters"] |= FOREIGN
    head = json.dumps(content | {"parameters": FOREIGN}).encode()
    headers = {"inference-header-content-length": str(len(head))}
    answer = infer(two, head + body[length:], headers=headers)
    assert tensors_of(answer)["predict"].tolist() == ["yes"] * 3


def test_requests_as_the_codecs_of_mlserver_write_them(two, numbers):
    rows = [[5.1, 3.5, 1.4, 0.2], [6.0, 2.5, 4.5, 1.5]]
    array = {
        "parameters": {"content_type": "np"},
        "inputs": [
            {
                "name": "input-1",
                "shape": [2, 4],
                "datatype": "FP64",
                "parameters": {"content_type": "np"},
                "data": [cell for row in rows for cell in row],
            }
        ],
    }
    answer = infer(numbers, array, "iris")
    names = [feature["name"] for feature in numbers.get("/schema").json()["features"]]
    scored = numbers.post("/score", json={"columns": names, "data": rows}).json()
    assert tensors_of(answer)["predict"].tolist() == scored["predictions"]
    text = {"parameters": {"content_type": "str"}}
    frame = {
        "parameters": {"content_type": "pd"},
        "inputs": [
            tensor | {"shape": [3, 1]} | (text if tensor["datatype"] == "BYTES" else {})
            for tensor in TENSORS["inputs"]
        ],
    }
    assert infer(two, frame).json() == infer(two, TENSORS).json()


@pytest.mark.parametrize(("datatype", "dtype"), [("FP16", "<f2"), ("FP32", "<f4"), ("FP64", "<f8")])
def test_nan_is_a_missing_value_in_tensors_of_every_float(two, datatype, dtype):
    expected = tensors_of(infer(two, in_tensors(BINARY_ROWS) | asked_for("probabilities")))
    rooms = np.array([4, np.nan, 2], dtype)
    body, headers = in_bytes(
        [("rooms", datatype, [3], rooms.tobytes()) if t[0] == "rooms" else t for t in BINARY],
        **asked_for("probabilities"),
    )
    answers = [infer(two, body, headers=headers)]
    tensors = in_tensors(BINARY_ROWS) | asked_for("probabilities")
    for gap in (None, float("nan")):
        tensors["inputs"][1] |= {"datatype": datatype, "data": [4, gap, 2]}
        answers.append(infer(two, tensors))
    for answer in answers:
        probabilities = tensors_of(answer)["probabilities"]
        np.testing.assert_array_equal(probabilities, expected["probabilities"])
    age = np.array([31.5, np.nan, 27.25], dtype).tobytes()  # which may not be missing
    body, headers = in_bytes([("age", datatype, [3], age), *BINARY[1:]])
    assert rules(infer(two, body, headers=headers)) == [(1, "age", "must not be missing")]


def test_limits_and_broken_bodies(small):
    refused(infer(small, b"{"), 400, "broken_json")
    refused(infer(small, b" " * 20_001), 413, "body_too_large")
    refused(infer(small, in_tensors(ROWS[:1] * 6)), 413, "too_many_rows")
    body, headers = in_bytes([("age", "FP64", [6], bytes(48)), *BINARY[1:]])
    refused(infer(small, body, headers=headers), 413, "too_many_rows")
    refused(infer(small, b"x", headers={"content-type": SENTINEL}), 415, "unsupported_media_type")
    gzip = JSON | {"content-encoding": "gzip"}
    refused(infer(small, b"x", headers=gzip), 400, "broken_encoding")
    twice = json.dumps(TENSORS)[:-1] + ', "inputs": []}'
    assert rules(infer(small, twice.encode()))


@pytest.mark.parametrize(
    "path",
    [
        f"/v2/models/{SENTINEL}",
        f"/v2/models/{SENTINEL}/ready",
        f"/v2/models/houses/versions/{SENTINEL}",
        f"/v2/models/houses/versions/{SENTINEL}/ready",
        f"/v2/{SENTINEL}",
    ],
)
def test_what_is_not_there(small, path):
    answer = small.get(path)
    refused(answer, 404, "not_found" if path == f"/v2/{SENTINEL}" else "unknown_model")


def test_infer_of_what_is_not_there(small):
    refused(infer(small, TENSORS, SENTINEL), 404, "unknown_model")
    answer = small.post("/v2/models/houses/versions/8/infer", json=TENSORS)
    refused(answer, 404, "unknown_model")
    refused(small.get("/v2/models/houses/infer"), 405, "method_not_allowed")


def test_an_unexpected_exception_is_told_in_this_protocols_words(serve):
    client = serve()
    answer = infer(client, in_tensors([ROWS[0] | {"age": RAISE}]))
    assert str(abs(RAISE)) not in answer.text
    refused(answer, 500, "internal_error")
    assert unexpected(client) == 1


def test_health_and_metadata(two):
    assert two.get("/v2/health/live").json() == {"live": True}
    assert two.get("/v2/health/ready").json() == {"ready": True}
    LiveDocument.model_validate(two.get("/v2/health/live").json(), strict=True)
    ReadyDocument.model_validate(two.get("/v2/health/ready").json(), strict=True)
    server = two.get("/v2").json()
    ServerDocument.model_validate(server, strict=True)
    assert server["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/models/tiny", "/v2/models/tiny/versions/7"):
        ready = two.get(f"{path}/ready").json()
        assert ready == {"name": "tiny", "ready": True}
        ReadyModelDocument.model_validate(ready, strict=True)
        document = two.get(path).json()
        ServedModelDocument.model_validate(document, strict=True)
        assert document["versions"] == ["7"]


def test_the_metadata_says_what_infer_answers(two):
    for model, tensors in (
        ("houses", TENSORS),
        ("tiny", {"inputs": [{"name": "a", "shape": [3, 1], "datatype": "FP64", "data": [1] * 3}]}),
    ):
        document = two.get(f"/v2/models/{model}").json()
        assert [output["name"] for output in document["outputs"]] == list(OUTPUTS)
        answer = infer(two, tensors | asked_for(*OUTPUTS), model).json()
        for output, said in zip(answer["outputs"], document["outputs"], strict=True):
            assert output["datatype"] == said["datatype"]
            assert [3 if n == -1 else n for n in said["shape"]] == output["shape"]
    told = {i["name"]: i["datatype"] for i in two.get("/v2/models/houses").json()["inputs"]}
    assert told == DATATYPES


def test_a_version_may_be_named(two):
    answer = two.post("/v2/models/houses/versions/7/infer", json=TENSORS)
    assert answer.json() == infer(two, TENSORS).json()
