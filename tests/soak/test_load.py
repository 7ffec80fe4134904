"""Many clients at once against the server as operators start it: every answer is the right one."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil
import pytest

from scoring import load
from tests.service.commands import serving
from tests.service.serving import unexpected

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

N_CLIENTS = 16
SECONDS = 20
MOST_REQUESTS = 400  # of one client


def clients_of(url, explainer, deadline):
    """One client's whole work; returns how many requests were answered, all of them rightly."""

    def work(seed):
        rng = np.random.default_rng(seed)
        answered = 0
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while time.monotonic() < deadline and answered < MOST_REQUESTS:
                rows = rng.normal(3, 2, (rng.integers(1, 6), 4)).round(3)
                columns = dict(zip(explainer.features, rows.T.tolist(), strict=True))
                reply = client.post("/score", json=columns)
                assert reply.status_code == 200, reply.text
                scored = reply.json()
                found = np.array(scored["local_importance_values"])
                expected = explainer.explain_local(rows)
                np.testing.assert_allclose(found, expected.layout(), atol=1e-9)
                assert scored["predictions"] == explainer.predict(rows).tolist()
                answered += 1
        return answered

    return work


def test_no_answer_is_mixed_up_under_load_and_memory_stays(artifact):
    explainer = load(artifact)
    with serving("--artifact", artifact) as (client, process):
        sample = client.get("/schema").json()["sample"]
        client.post("/score", json=sample)
        before = psutil.Process(process.pid).memory_info().rss
        work = clients_of(str(client.base_url), explainer, time.monotonic() + SECONDS)
        with ThreadPoolExecutor(N_CLIENTS) as pool:
            answered = list(pool.map(work, range(N_CLIENTS)))
        after = psutil.Process(process.pid).memory_info().rss
        assert min(answered) > 0
        assert sum(answered) > 200
        assert unexpected(client) == 0
    assert after - before < 64 * 2**20
