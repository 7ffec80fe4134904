"""What Prometheus gets to see."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from service.metrics import STAGES, Metrics
from service.record import Record, begin, current
from tests.service.fakes import NOT_A_NUMBER, ROWS, fake_scorer, tiny_scorer
from tests.service.serving import SENTINEL, metric


def sample(text, name, **labels):
    """The value of one sample; None where there is none."""
    told = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    labelled = re.escape("{" + told + "}") if told else ""
    found = re.search(rf"^{name}{labelled} (\S+)$", text, re.MULTILINE)
    return found and float(found[1])


def test_every_number_starts_at_zero(serve):
    text = serve(scorers={"houses": fake_scorer(), "tiny": tiny_scorer()}).get("/metrics").text
    for model in ("houses", "tiny"):
        assert sample(text, "shapserve_rows_total", model=model) == 0
        assert sample(text, "shapserve_coalitions_count", model=model) == 0
        assert sample(text, "shapserve_reloads_total", model=model, outcome="kept") == 0
    for stage in STAGES:
        assert sample(text, "shapserve_stage_seconds_count", stage=stage) == 0
    assert sample(text, "shapserve_unexpected_exceptions_total") == 0


def test_a_request_is_counted_by_route_status_and_model(serve):
    client = serve(scorers={"houses": fake_scorer(), "tiny": tiny_scorer()})
    for _ in range(2):
        assert client.post("/score", json=ROWS).status_code == 200
    client.post("/models/tiny/score", json=[])
    client.post(f"/models/{SENTINEL}/score", json=ROWS)
    client.get("/nowhere")
    text = client.get("/metrics").text
    requests = "shapserve_requests_total"
    assert sample(text, requests, model="houses", route="/score", status=200) == 2
    by_name = "/models/{name}/score"
    assert sample(text, requests, model="tiny", route=by_name, status=422) == 1
    assert sample(text, requests, model="", route=by_name, status=404) == 1
    assert sample(text, requests, model="", route="other", status=404) == 1
    assert sample(text, "shapserve_request_seconds_count", route="/score") == 2
    refusals = {"schema_violations": 1, "unknown_model": 1, "not_found": 1, "internal_error": None}
    for code, count in refusals.items():
        assert sample(text, "shapserve_refusals_total", code=code) == count
    for stage in ("parse", "explain", "encode"):
        assert sample(text, "shapserve_stage_seconds_count", stage=stage) >= 2
    assert sample(text, "shapserve_batch_rows_sum") == 6
    assert sample(text, "shapserve_batch_requests_sum") == 2
    assert SENTINEL not in text


def test_how_good_explanations_are(serve):
    scorer = fake_scorer()
    really_score = scorer.explainer.score

    def sampled(rows, deadline_ms=None):
        scored = really_score(rows, deadline_ms)
        told = scored.explanation
        errors = np.full_like(told.values, 0.002)
        errors[0, 0, 0] = 0.03
        outputs = told.outputs + np.array([0.0, 0.5])
        told = replace(told, standard_errors=errors, background_error=0.04, outputs=outputs)
        return replace(scored, explanation=told)

    object.__setattr__(scorer.explainer, "score", sampled)
    client = serve(scorers={"houses": scorer})
    client.post("/score", json=ROWS)
    text = client.get("/metrics").text
    assert sample(text, "shapserve_coalitions_sum", model="houses") == 32
    assert sample(text, "shapserve_additivity_gap_sum", model="houses") == pytest.approx(0.5)
    assert sample(text, "shapserve_standard_error_sum", model="houses") == pytest.approx(0.03)
    assert sample(text, "shapserve_standard_error_bucket", le="0.01", model="houses") == 0
    assert sample(text, "shapserve_standard_error_bucket", le="0.1", model="houses") == 1
    assert sample(text, "shapserve_background_error", model="houses") == 0.04


def test_rows_without_an_answer_do_not_spoil_the_numbers(serve):
    client = serve()
    client.post("/score", json=[ROWS[0] | {"age": NOT_A_NUMBER}, ROWS[1]])
    client.post("/score", json=[ROWS[0] | {"age": NOT_A_NUMBER}])
    text = client.get("/metrics").text
    assert sample(text, "shapserve_additivity_gap_count", model="houses") == 1
    assert math.isfinite(metric(client, "shapserve_additivity_gap_sum"))


def test_a_stage_belongs_to_every_request_of_its_batch():
    metrics, ours = Metrics(), begin({"type": "http"}, "a")
    other, gone = Record({"type": "http"}, "b"), Record({"type": "http"}, "c")
    gone.finish()
    with metrics.stage("explain", [other, gone, None]):
        pass
    with metrics.stage("parse"):
        pass
    assert current() is ours
    assert [span.stage for span in ours.spans] == ["parse"]
    assert [span.stage for span in other.spans] == ["explain"]
    assert gone.spans == [], "what outlives its request is not kept"
    assert sample(metrics.text().decode(), "shapserve_stage_seconds_count", stage="explain") == 1


def test_a_stage_that_fails_is_noted():
    metrics = Metrics()
    with pytest.raises(KeyError), metrics.stage("parse"):
        raise KeyError
    assert sample(metrics.text().decode(), "shapserve_stage_seconds_count", stage="parse") == 1


WORKER = """
import asyncio, json, sys
import httpx
from service.app import create_app
from service.settings import Settings
from tests.service.fakes import ROWS, fake_scorer

app = create_app(Settings(api_keys=(sys.argv[2],)), {"houses": fake_scorer()})
headers = {"x-api-key": sys.argv[3]}

async def ask():
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for _ in range(int(sys.argv[1])):
            assert (await client.post("/score", json=ROWS, headers=headers)).status_code == 200
        assert (await client.post("/score", json=[], headers=headers)).status_code == 422
        print((await client.get("/metrics")).status_code)
    sys.stdout.flush()
    from service.metrics import Metrics
    print(Metrics().text().decode())

asyncio.run(ask())
"""


@pytest.mark.slow
def test_worker_processes_are_told_together(tmp_path):
    from service.keys import new_key

    key, line = new_key("a", "score")
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    outputs = []
    for n in (2, 3):  # one after the other; what the first counted stays when it has ended
        done = subprocess.run(
            [sys.executable, "-c", WORKER, str(n), line, key],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        outputs.append(done.stdout)
    first, second = outputs
    for text, n_requests, n_workers in ((first, 2, 1), (second, 5, 2)):
        assert sample(text, "shapserve_rows_total", model="houses") == 3 * n_requests
        labels = {"model": "houses", "route": "/score"}
        requests = "shapserve_requests_total"
        assert sample(text, requests, **labels, status=200) == n_requests
        refusals = "shapserve_refusals_total"
        assert sample(text, refusals, code="schema_violations") == n_workers
        assert sample(text, refusals, code="unauthorized") == n_workers
        assert sample(text, "shapserve_request_seconds_count", route="/score") == (
            n_requests + n_workers
        )
        assert sample(text, "shapserve_coalitions_sum", model="houses") == 32 * n_requests
    assert json.dumps(second).count("pid=") == 0


def test_what_a_request_pays_for_being_seen():
    """A guard against children looked up per request, with room for a busy machine."""
    import time

    metrics = Metrics(["houses"])
    scope = {"type": "http", "method": "POST", "headers": [], "state": {}}
    record = begin(scope, "a")
    record.status, record.model = 200, "houses"
    record.finish()
    best = math.inf
    for _ in range(20):
        began = time.thread_time()
        for _ in range(100):
            metrics.observe(record)
        best = min(best, (time.thread_time() - began) / 100)
    assert best < 50e-6
