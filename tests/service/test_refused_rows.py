"""Rows that the model itself refuses are a 422 with their numbers, whatever shares their batch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from starlette.testclient import TestClient

from scoring import KernelScoringExplainer, TabularExplainer
from service.app import create_app
from service.scorer import Scorer
from service.settings import Settings

RULE = "the model does not answer this row"


def first_letters(frame):
    """Refuse an empty text."""
    return pd.DataFrame({"letter": [ord(word[0]) for word in frame["word"]]})


@pytest.fixture(scope="module")
def client():
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"word": rng.choice(["ab", "cd", "ef"], 60), "n": rng.normal(size=60)})
    encode = make_column_transformer(
        (FunctionTransformer(first_letters), ["word"]), remainder="passthrough"
    )
    model = make_pipeline(encode, LogisticRegression()).fit(x, (x["n"] > 0).astype(int))
    explainer = KernelScoringExplainer(TabularExplainer(model, x[:20]), reference_rows=0)
    app = create_app(Settings(max_batch_rows=2), {"m": Scorer("m", explainer, "0" * 64)})
    with TestClient(app) as client:
        yield client


def rows(*words):
    return [{"word": word, "n": 0.5} for word in words]


def test_refused_rows_are_named_by_their_place_in_the_request(client):
    answer = client.post("/score", json=rows("ab", "zz", "", "cd", ""))
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "schema_violations"
    assert error["violations"] == [{"row": 2, "column": None, "rule": RULE}]


def test_the_other_rows_are_answered(client):
    answer = client.post("/score", json=rows("ab", "zz", "cd"))
    assert answer.status_code == 200
    assert answer.json()["warnings"] == []
    assert max(answer.json()["additivity_gap"]) < 1e-9


def test_predictions_at_once_name_them(client):
    answer = client.post("/score", json=rows("ab", ""), headers={"prefer": "respond-async"})
    assert answer.status_code == 422
    assert answer.json()["error"]["violations"] == [{"row": 1, "column": None, "rule": RULE}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/invocations", {"dataframe_records": rows("")}),
        ("/v1/models/m:predict", {"instances": rows("")}),
    ],
)
def test_other_protocols_name_them_too(client, path, body):
    answer = client.post(path, json=body)
    assert answer.status_code in {400, 422}
    assert RULE in answer.text
    assert "string index out of range" not in answer.text  # the model's own words stay here
