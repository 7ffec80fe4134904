"""What a request may choose: the output space, and when to stop."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from scoring import KernelScoringExplainer, TabularExplainer, save
from service.scorer import load_scorers
from service.settings import Source
from tests.service.serving import is_error, served, unexpected

DATA = load_breast_cancer()
X = StandardScaler().fit_transform(DATA.data)[:, :14]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A server with the same model twice: exact in two spaces, and sampled."""
    model, root = LogisticRegression().fit(X, DATA.target), tmp_path_factory.mktemp("options")
    full = TabularExplainer(model, X, n_background=5)
    save(KernelScoringExplainer(full, output_spaces=("margin",)), root / "exact")
    sampled = KernelScoringExplainer(full, method="kernel", n_coalitions=1000)
    save(sampled, root / "sampled")
    sources = [Source(name, root / name, None) for name in ("exact", "sampled")]
    with served(load_scorers(sources)) as client:
        yield client


def sample(client, model):
    return client.get(f"/models/{model}/schema").json()


def score(client, model, **options):
    body = sample(client, model)["sample"]
    return client.post(f"/models/{model}/score", params=options, json=body)


def test_a_request_chooses_the_output_space(kernel):
    said = sample(kernel, "exact")
    assert said["output_spaces"] == ["probability", "margin"]
    probability, margin = (
        score(kernel, "exact", **options).json() for options in ({}, {"output_space": "margin"})
    )
    assert (probability["output_space"], margin["output_space"]) == ("probability", "margin")
    assert margin["method"] == "exact linear"
    assert margin["predictions"] == probability["predictions"]
    assert margin["probabilities"] == probability["probabilities"]
    total = margin["base_values"][0] + sum(margin["local_importance_values"][0][0])
    assert np.isclose(1 / (1 + np.exp(-total)), probability["probabilities"][0][1])


def test_exact_answers_say_that_they_are(kernel):
    answer = score(kernel, "exact").json()
    assert answer["standard_errors"] == 0
    assert answer["interval"] is None
    assert answer["coalitions_used"] == 0
    assert 0 <= answer["background_error"] < 1


def test_sampled_answers_say_how_sure_they_are(kernel):
    answer = score(kernel, "sampled").json()
    values, errors = (
        np.array(answer[name]) for name in ("local_importance_values", "standard_errors")
    )
    assert errors.shape == values.shape
    assert 0 < errors.mean() < np.abs(values).mean()
    interval = answer["interval"]
    assert (interval["level"], interval["degrees_of_freedom"]) == (0.95, 3)
    assert interval["factor"] == pytest.approx(3.182446305)
    assert answer["coalitions_used"] == 1000


def test_a_deadline_makes_the_answer_shorter_and_less_sure(kernel):
    whole = score(kernel, "sampled", deadline_ms=60_000).json()
    short = score(kernel, "sampled", deadline_ms=0.001).json()
    assert whole["coalitions_used"] == 1000
    assert short["coalitions_used"] == 124
    assert np.mean(short["standard_errors"]) > np.mean(whole["standard_errors"])
    assert max(short["additivity_gap"]) < 1e-6
    assert score(kernel, "exact", deadline_ms=0.001).json()["standard_errors"] == 0


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"output_space": "value"}, "output_space must be one of probability, margin"),
        ({"output_space": ""}, "output_space must be one of"),
        ({"deadline_ms": "soon"}, "deadline_ms must be a number above 0"),
        ({"deadline_ms": "nan"}, "deadline_ms must be a number above 0"),
        ({"deadline_ms": "0"}, "deadline_ms must be a number above 0"),
        ({"deadline_ms": "-3"}, "deadline_ms must be a number above 0"),
        ({"deadline_ms": "1e9"}, "deadline_ms must be a number above 0"),
        ({"deadline": "5"}, "the query may hold output_space, deadline_ms, outputs,"),
        ([("deadline_ms", "5"), ("deadline_ms", "6")], "the query must not repeat a name"),
    ],
)
def test_a_bad_option_is_refused_with_its_rule_and_without_its_value(kernel, options, rule):
    before = unexpected(kernel)
    body = sample(kernel, "exact")["sample"]
    refused = kernel.post("/models/exact/score", params=options, json=body)
    problem = is_error(refused, 422, "invalid_option")
    assert rule.lower() in problem["message"].lower()
    assert "soon" not in refused.text
    assert unexpected(kernel) == before


def test_all_that_is_wrong_is_told_at_once(kernel):
    refused = score(kernel, "exact", output_space="x", deadline_ms="y", other="z")
    message = is_error(refused, 422, "invalid_option")["message"].lower()
    assert all(name in message for name in ("output_space must", "deadline_ms must", "the query"))
