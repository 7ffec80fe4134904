"""What `/score` and its neighbours answer, over real HTTP."""

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.documents import ErrorDocument, SchemaDocument, ScoreDocument
from service.settings import Settings
from tests.service.fakes import (
    NOT_A_NUMBER,
    RAISE,
    ROWS,
    SCHEMA,
    fake_scorer,
    in_columns,
    in_split,
    tiny_scorer,
)
from tests.service.serving import is_error, served, unexpected

KEYS = [
    "predictions",
    "probabilities",
    "local_importance_values",
    "base_values",
    "features",
    "classes",
    "index",
    "output_space",
    "axes",
    "additivity_gap",
    "method",
    "coalitions_used",
    "standard_errors",
    "interval",
    "background_error",
    "warnings",
    "errors",
    "model",
]
SAMPLE = {
    "age": {"0": 40.0},
    "rooms": {"0": 3},
    "owner": {"0": True},
    "city": {"0": "Ghent"},
    "plan": {"0": None},
}


def good(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def score(client, body, path="/score"):
    return good(client.post(path, json=body))


def changed(column, value, row=1):
    return [r | {column: value} if i == row else r for i, r in enumerate(ROWS)]


def in_lists(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_the_answer_has_what_is_promised_in_that_order(client):
    answer = score(client, in_columns(ROWS))
    assert list(answer) == KEYS
    assert answer["predictions"] == ["yes", "yes", "yes"]
    assert answer["classes"] == ["stays", "moves"]
    assert answer["features"] == list(SCHEMA.names)
    assert answer["axes"] == ["class", "row", "feature"]
    assert answer["output_space"] == "probability"
    assert (answer["warnings"], answer["errors"]) == ([], [])
    assert answer["model"] == {"name": "houses", "version": "7", "artifact_sha256": "ab" * 32}
    assert answer["coalitions_used"] == 32
    assert np.shape(answer["local_importance_values"]) == (2, 3, 5)


def test_the_parts_add_up_to_the_output(client):
    answer = score(client, ROWS)
    sums = np.array(answer["base_values"])[:, None] + np.sum(
        answer["local_importance_values"], axis=2
    )
    np.testing.assert_allclose(sums.T, answer["probabilities"], atol=1e-15)
    assert max(answer["additivity_gap"]) < 1e-15


def test_the_values_are_those_of_the_library(client):
    scorer = fake_scorer()
    table = scorer.schema.encode_columns({n: [r[n] for r in ROWS] for n in SCHEMA.names})
    scored = scorer.score(table)
    answer = score(client, ROWS)
    assert answer["local_importance_values"] == scored.explanation.local_importance_values
    assert answer["predictions"] == scored.predictions.tolist()


@pytest.mark.parametrize("write", [list, in_split, in_lists])
def test_every_orientation_gives_the_same_answer(client, write):
    by_columns = score(client, in_columns(ROWS))
    assert by_columns.pop("index") == ["0", "1", "2"]
    other = score(client, write(ROWS))
    assert other.pop("index") == [0, 1, 2]
    assert other == by_columns


def test_a_row_gets_the_same_answer_alone_and_among_others(client):
    rows = [ROWS[i % 3] | {"age": 20 + i / 7} for i in range(50)]
    together = score(client, rows)
    for i, row in enumerate(rows):
        alone = score(client, [row])
        assert alone["predictions"][0] == together["predictions"][i]
        for k in range(2):
            values = alone["local_importance_values"][k][0]
            assert values == together["local_importance_values"][k][i]


def test_rows_keep_the_order_of_the_body_and_columns_are_found_by_name(client):
    straight = score(client, in_columns(ROWS))
    turned = {name: dict(reversed(column.items())) for name, column in in_columns(ROWS).items()}
    answer = score(client, dict(reversed(turned.items())))
    assert answer["index"] == ["2", "1", "0"]
    assert answer["probabilities"] == straight["probabilities"][::-1]


def test_columns_may_list_their_rows_in_different_orders(client):
    body = in_columns(ROWS)
    body["city"] = dict(reversed(body["city"].items()))
    assert score(client, body) == score(client, in_columns(ROWS))


@pytest.mark.parametrize(
    "index", [["b", "a", "é\u0000\n"], [7, 7, -3], [0.5, True, 2**64 - 1], [-(2**63), "", False]]
)
def test_the_index_comes_back_as_it_went(client, index):
    answer = client.post("/score", json=in_split(ROWS) | {"index": index})
    returned = good(answer)["index"]
    assert [(type(x), x) for x in returned] == [(type(x), x) for x in index]


def test_row_labels_of_columns_come_back_as_they_went(client):
    body = {name: {f"id {i}": row[name] for i, row in enumerate(ROWS)} for name in SCHEMA.names}
    assert score(client, body)["index"] == ["id 0", "id 1", "id 2"]


def test_split_needs_no_index(client):
    body = in_split(ROWS)
    del body["index"]
    assert score(client, body)["index"] == [0, 1, 2]
    assert score(client, body | {"index": None})["index"] == [0, 1, 2]


def test_a_category_that_training_never_saw_is_named_where_it_is_allowed(client):
    answer = score(client, changed("city", "Bruges-zq"))
    [warning] = answer["warnings"]
    assert (warning["row"], warning["column"]) == (1, "city")
    assert "zq" not in json.dumps(answer)
    assert client.post("/score", json=changed("plan", "gold")).status_code == 422


def test_missing_values_where_the_model_takes_them(client):
    for missing in ("null", "NaN"):
        body = json.dumps(changed("rooms", None)).replace("null", missing)
        answer = client.post("/score", content=body, headers={"content-type": "application/json"})
        assert good(answer)["errors"] == []


def test_a_number_that_is_not_finite_is_an_error_of_its_row_only(client):
    rows = changed("age", NOT_A_NUMBER)
    answer = score(client, rows)
    [error] = answer["errors"]
    assert error["row"] == 1
    assert set(error) == {"row", "rule"}
    assert answer["probabilities"][1] == [None, None]
    assert answer["additivity_gap"][1] is None
    assert [values[1] for values in answer["local_importance_values"]] == [[None] * 5] * 2
    others = score(client, [rows[0], rows[2]])
    assert answer["probabilities"][::2] == others["probabilities"]
    for k in range(2):
        assert answer["local_importance_values"][k][::2] == others["local_importance_values"][k]
    assert unexpected(client) == 0


def test_an_unexpected_exception_is_generic_outside_and_whole_in_the_log(serve, caplog):
    client = serve()
    with caplog.at_level(logging.ERROR, logger="shapserve"):
        answer = client.post(
            "/score", json=changed("age", RAISE), headers={"x-request-id": "job-17.a_b"}
        )
    error = is_error(answer, 500, "internal_error")
    assert "convert" not in answer.text
    assert str(abs(RAISE)) not in answer.text
    assert "Error" not in error["message"]
    assert answer.headers["x-request-id"] == "job-17.a_b"
    assert unexpected(client) == 1
    [record] = caplog.records
    logged = record.getMessage()
    assert "job-17.a_b" in logged
    assert "fakes.py" in logged
    assert "RuntimeError" in logged
    assert str(abs(RAISE)) not in logged, "the log must hold no feature values"
    assert score(client, ROWS)["errors"] == []
    assert unexpected(client) == 1


@pytest.mark.parametrize("bug", [ValueError, KeyError, RecursionError, TypeError, UnicodeError])
def test_no_exception_of_a_bug_becomes_the_clients_fault(serve, bug):
    def broken(table):
        raise bug("zq")

    scorer = fake_scorer()
    object.__setattr__(scorer.explainer, "score", broken)
    client = serve(scorers={"houses": scorer})
    is_error(client.post("/score", json=ROWS), 500, "internal_error")
    assert unexpected(client) == 1


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-1.2_Z", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("a;b", False)],
)
def test_request_ids(client, sent, kept):
    for path in ("/health/live", "/nowhere"):
        returned = client.get(path, headers={"x-request-id": sent}).headers["x-request-id"]
        assert (returned == sent) == kept
        assert 0 < len(returned) <= 128


def test_every_request_gets_an_id_of_its_own(client):
    ids = {client.get("/health/live").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


def test_the_schema_describes_every_feature_and_its_sample_works(client):
    document = good(client.get("/schema"))
    assert [feature["name"] for feature in document["features"]] == list(SCHEMA.names)
    assert document["features"][0] == {
        "name": "age",
        "type": "number",
        "minimum": 18.0,
        "maximum": 90.0,
        "categories": None,
        "allows_missing": False,
        "allows_unseen": False,
    }
    assert document["features"][3]["categories"] == ["Ghent", "Lille"]
    assert document["classes"] == [
        {"label": "no", "name": "stays"},
        {"label": "yes", "name": "moves"},
    ]
    assert document["output_space"] == "probability"
    assert document["sample"] == SAMPLE
    assert len(score(client, document["sample"])["predictions"]) == 1


def test_probes(client):
    assert good(client.get("/health/live")) == {"status": "live"}
    assert good(client.get("/health/ready")) == {"status": "ready", "models": ["houses"]}


@pytest.fixture(scope="module")
def two():
    with served({"houses": fake_scorer(), "tiny": tiny_scorer()}) as client:
        yield client


def test_each_model_answers_under_its_name_and_the_first_without(two):
    assert score(two, ROWS) == score(two, ROWS, "/models/houses/score")
    assert good(two.get("/schema")) == good(two.get("/models/houses/schema"))
    assert good(two.get("/health/ready"))["models"] == ["houses", "tiny"]
    document = good(two.get("/models/tiny/schema"))
    assert document["sample"] == {"data": {"0": 0.5}}
    answer = score(two, document["sample"], "/models/tiny/score")
    assert answer["predictions"] == [1]
    assert answer["model"]["name"] == "tiny"


def test_a_column_called_data_is_a_column(two):
    for body in ({"data": [1.0, 2.0]}, {"data": {"0": 1.0, "1": 2.0}}, [{"data": 1}, {"data": 2}]):
        assert len(score(two, body, "/models/tiny/score")["predictions"]) == 2
    split = {"columns": ["data"], "data": [[1.0], [2.0]]}
    refused = two.post("/models/tiny/score", json=split)
    is_error(refused, 422, "schema_violations")


def test_rows_are_counted_by_model(serve):
    client = serve(scorers={"houses": fake_scorer(), "tiny": tiny_scorer()})
    score(client, ROWS)
    score(client, {"data": [1.0]}, "/models/tiny/score")
    text = client.get("/metrics").text
    assert 'shapserve_rows_total{model="houses"} 3.0' in text
    assert 'shapserve_rows_total{model="tiny"} 1.0' in text
    assert 'shapserve_request_seconds_count{route="/models/{name}/score"} 1.0' in text


def test_requests_at_the_same_time_do_not_mix(client):
    bodies = [[row | {"age": 20 + n} for row in ROWS] for n in range(40)]
    alone = [score(client, body) for body in bodies]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda body: score(client, body), bodies * 3)) == alone * 3


def test_no_more_are_explained_at_a_time_than_is_set(serve):
    scorer, busy, most = fake_scorer(), [], []
    really_score = scorer.explainer.score

    def slow(table, deadline_ms):
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.02)
        busy.pop()
        return really_score(table, deadline_ms)

    object.__setattr__(scorer.explainer, "score", slow)
    client = serve(Settings(concurrency=2, max_batch_rows=len(ROWS)), {"houses": scorer})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: score(client, ROWS), range(16)))
        assert client.get("/health/live").status_code == 200
    assert len(answers) == 16
    assert max(most) == 2


def test_the_documentation_is_complete(client):
    document = good(client.get("/openapi.json"))
    post = document["paths"]["/score"]["post"]
    content = post["requestBody"]["content"]["application/json"]
    example = score(client, content["examples"]["houses"]["value"])
    assert example["probabilities"] == score(client, SAMPLE)["probabilities"]
    properties = document["components"]["schemas"]["ScoreDocument"]["properties"]
    only_some = {
        "explained_rows",
        "explained_classes",
        "top_features",
        "interaction_values",
        "remainder",
        "reason_codes",
    }  # where a model has them, or a request asks for them
    assert [name for name in properties if name not in only_some] == KEYS
    assert only_some < set(properties)
    described = {"200", "400", "413", "415", "422", "500"}
    assert described <= set(post["responses"])
    assert client.get("/docs").status_code == 200


@pytest.mark.parametrize("write", [list, in_columns, in_split])
def test_answers_are_what_is_documented(client, write):
    for rows in (ROWS, changed("age", NOT_A_NUMBER), changed("city", "Bruges")):
        ScoreDocument.model_validate(score(client, write(rows)), strict=True)
    SchemaDocument.model_validate(good(client.get("/schema")), strict=True)
    ErrorDocument.model_validate(client.post("/score", json=[]).json(), strict=True)
