"""Loading a model again in several worker processes, over real HTTP."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from scoring import KernelScoringExplainer, TabularExplainer, artifact
from service.keys import new_key
from tests.service.commands import serving
from tests.service.test_cli_workers import LONG, processes, pss, workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ADMIN, ADMIN_LINE = new_key("operator", "admin")
SCORE, SCORE_LINE = new_key("client", "score")
METRICS, METRICS_LINE = new_key("prometheus", "metrics")
KEYS = {"SHAPSERVE_API_KEYS": f"{ADMIN_LINE} {SCORE_LINE} {METRICS_LINE}"}
N = 3


def made(directory, kind, seed):
    """An artifact of a model of four numbers."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.naive_bayes import GaussianNB

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, 4))
    forest = RandomForestClassifier(20, max_depth=4, random_state=seed)
    model = (forest if kind == "arrays" else GaussianNB()).fit(x, x[:, seed] > 0)
    full = TabularExplainer(model, x, features=list("abcd"))
    explainer = KernelScoringExplainer(full, name="m", reference_rows=400)
    saved = artifact.save(explainer, directory / f"{kind}-{seed}")
    assert artifact.read(saved).is_arrays == (kind == "arrays")
    return saved


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Two artifacts whose arrays are the model, and two that ONNX Runtime runs."""
    directory = tmp_path_factory.mktemp("pairs")
    return {kind: [made(directory, kind, seed) for seed in (0, 1)] for kind in ("arrays", "onnx")}


@pytest.fixture(scope="module")
def of_trees(pairs):
    return pairs["arrays"]


def replace(place, new):
    """Let another artifact take a directory's place at once."""
    shutil.copytree(new, place.with_name("next"))
    if place.exists():
        place.rename(place.with_name("gone"))
    place.with_name("next").rename(place)
    shutil.rmtree(place.with_name("gone"), ignore_errors=True)


def reload(client, body=None):
    url = f"{client.base_url}/admin/models/m/reload"
    return httpx.post(url, json=body, headers={"x-api-key": ADMIN}, timeout=LONG, trust_env=False)


def score(client, sample):
    """Score on a connection of its own, so that any worker may answer."""
    url, headers = f"{client.base_url}/score", {"x-api-key": SCORE}
    return httpx.post(url, json=sample, headers=headers, timeout=LONG, trust_env=False)


def answering(client, sample):
    """The artifacts that answer, asked often enough to meet every worker."""
    return {score(client, sample).json()["model"]["artifact_sha256"] for _ in range(20 * N)}


def sample_of(client):
    return client.get("/schema", headers={"x-api-key": SCORE}).json()["sample"]


@pytest.mark.parametrize("kind", ["arrays", "onnx"])
def test_all_take_over_under_load_and_no_request_is_lost(kind, pairs, tmp_path):
    """What begins after the answer is scored by the new one, on connections of before too."""
    digests = [artifact.artifact_sha256(each) for each in pairs[kind]]
    place = tmp_path / "m"
    replace(place, pairs[kind][0])
    allowed, end, wrong, answered = [{digests[0]}], threading.Event(), [], []

    def load(url, sample):
        with httpx.Client(base_url=url, headers={"x-api-key": SCORE}, timeout=LONG) as mine:
            while not end.is_set():
                since = len(allowed) - 1
                answer = mine.post("/score", json=sample)
                if answer.status_code != 200:
                    wrong.append(answer.text)
                elif answer.json()["model"]["artifact_sha256"] not in set().union(*allowed[since:]):
                    wrong.append("an old model answered")
                answered.append(1)

    with serving("--artifact", f"m={place}", "--workers", N, **KEYS) as (client, process):
        sample = sample_of(client)
        threads = [threading.Thread(target=load, args=(client.base_url, sample)) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for turn in range(1, 7):
                time.sleep(0.2)
                replace(place, pairs[kind][turn % 2])
                allowed.append(set(digests))  # each may answer from now on
                answer = reload(client, {"expect_sha256": digests[turn % 2]})
                assert answer.status_code == 200, answer.text
                assert answer.json()["artifact_sha256"] == digests[turn % 2]
                allowed.append({digests[turn % 2]})  # and nothing else
                time.sleep(0.2)
        finally:
            end.set()
            for thread in threads:
                thread.join()
        assert not wrong, wrong[:3]
        assert len(answered) > 20
        assert answering(client, sample) == {digests[0]}
        replace(place, pairs[kind][1])
        assert reload(client).status_code == 200
        before = workers(process)
        for each in before:
            os.kill(each, signal.SIGKILL)
        deadline = time.monotonic() + LONG
        while len(workers(process) - before) < N:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert answering(client, sample) == {digests[1]}  # who is started later has it too
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=LONG) == 0


def test_what_cannot_be_used_is_told_and_nobody_takes_it(of_trees, tmp_path):
    place = tmp_path / "m"
    replace(place, of_trees[0])
    old = artifact.artifact_sha256(place)
    with serving("--artifact", f"m={place}", "--workers", N, **KEYS) as (client, process):
        sample = sample_of(client)
        refused = reload(client, {"expect_sha256": "ab" * 32})
        assert refused.status_code == 409
        assert "another digest" in refused.json()["error"]["message"]
        (place / "arrays" / "sample.npy").write_bytes(b"")
        refused = reload(client)
        assert refused.status_code == 409
        told = refused.json()["error"]["message"]
        assert "arrays/sample.npy" in told
        assert str(tmp_path) not in told
        shutil.rmtree(place)
        assert reload(client).status_code == 409
        assert answering(client, sample) == {old}
        replace(place, of_trees[1])
        assert reload(client).status_code == 200  # and it may be tried again
        assert answering(client, sample) == {artifact.artifact_sha256(of_trees[1])}
        counted = client.get("/metrics", headers={"x-api-key": METRICS}).text
        assert 'shapserve_reloads_total{model="m",outcome="kept"} 3.0' in counted
        assert 'shapserve_reloads_total{model="m",outcome="loaded"} 1.0' in counted
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=LONG) == 0


def test_two_reloads_at_a_time_are_one_and_a_refusal(of_trees, tmp_path):
    place = tmp_path / "m"
    replace(place, of_trees[0])
    with serving("--artifact", f"m={place}", "--workers", N, **KEYS) as (client, _):
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda: answers.append(reload(client).status_code))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(answers) <= {200, 409}
        assert 200 in answers
        assert reload(client).status_code == 200


def test_a_worker_that_dies_meanwhile_holds_nothing_up(of_trees, tmp_path):
    place = tmp_path / "m"
    replace(place, of_trees[0])
    with serving("--artifact", f"m={place}", "--workers", N, **KEYS) as (client, process):
        sample = sample_of(client)
        for new in (of_trees[1], of_trees[0], of_trees[1]):
            stopped = max(workers(process))
            os.kill(stopped, signal.SIGSTOP)  # it cannot say that it is prepared
            replace(place, new)
            answers: list[int] = []

            def ask(answers: list[int] = answers) -> None:
                while not answers:  # the asked worker may be the one that dies
                    try:
                        answers.append(reload(client).status_code)
                    except httpx.TransportError:
                        continue

            thread = threading.Thread(target=ask)
            thread.start()
            time.sleep(1)
            assert not answers
            os.kill(stopped, signal.SIGKILL)
            thread.join(LONG)
            assert answers in ([200], [409])
            if answers == [409]:  # the first try went on after its asker was gone
                assert reload(client).status_code == 200
            deadline = time.monotonic() + LONG
            while len(workers(process)) < N:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert answering(client, sample) == {artifact.artifact_sha256(new)}


def test_a_reload_that_is_under_way_does_not_keep_the_server_from_ending(of_trees, tmp_path):
    place = tmp_path / "m"
    replace(place, of_trees[0])
    with serving("--artifact", f"m={place}", "--workers", N, **KEYS) as (client, process):
        stopped = max(workers(process))
        os.kill(stopped, signal.SIGSTOP)
        answers: list[int] = []

        def ask():
            while not answers:
                try:
                    answers.append(reload(client).status_code)
                except httpx.TimeoutException:
                    continue
                except httpx.TransportError:
                    return

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        os.kill(stopped, signal.SIGCONT)
        assert process.wait(timeout=LONG) == 0
        thread.join(LONG)
        assert answers in ([], [409])


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells the memory")
def test_memory_is_shared_after_reloads_too_and_nothing_old_is_kept(of_arrays):
    taken = {}
    for n in (1, 2):
        with serving("--artifact", f"m={of_arrays}", "--workers", n, **KEYS) as (client, process):
            sample = sample_of(client)
            for times in (0, 1, 2):
                if times:
                    assert reload(client).status_code == 200
                for _ in range(30 * n):
                    assert score(client, sample).status_code == 200
                taken[n, times] = pss(process)
            assert len(processes(process)) == (n + 1 if n > 1 else 1)
    assert taken[2, 2] - taken[1, 2] < taken[1, 2] / 3, taken
    for n in (1, 2):
        assert taken[n, 2] < 1.1 * taken[n, 1] < 1.5 * taken[n, 0], taken


def test_drift_is_told_of_all_workers_and_begins_anew_with_a_new_artifact(of_trees, tmp_path):
    place = tmp_path / "m"
    replace(place, of_trees[0])
    rows = np.random.default_rng(3).normal(size=(240, 4))

    def gauges(client):
        found = set()
        for _ in range(4 * N):  # whoever is asked
            url, headers = f"{client.base_url}/metrics", {"x-api-key": METRICS}
            text = httpx.get(url, headers=headers, timeout=LONG, trust_env=False).text
            lines = text.splitlines()
            found.add("\n".join(x for x in lines if x.startswith("shapserve_attribution")))
        assert len(found) == 1, found
        return found.pop()

    with serving("--artifact", f"m={place}", "--workers", N, **KEYS) as (client, process):
        assert "_psi{" not in gauges(client)
        for row in records(rows):  # fewer for any worker than are needed to say something
            assert score(client, [row]).status_code == 200
        told = gauges(client)
        assert told.count("_psi{") == 4
        os.kill(max(workers(process)), signal.SIGKILL)
        deadline = time.monotonic() + LONG
        while len(workers(process)) < N:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert gauges(client) == told  # who takes its place goes on with its sums
        replace(place, of_trees[1])
        assert reload(client).status_code == 200
        assert "_psi{" not in gauges(client)
        assert score(client, records(rows)).status_code == 200
        assert gauges(client).count("_psi{") == 4


def records(rows):
    return [dict(zip("abcd", row, strict=True)) for row in rows.tolist()]
