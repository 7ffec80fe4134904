"""Loading a model again while it answers, over real HTTP."""

import asyncio
import gc
import json
import shutil
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from scoring import artifact
from service.errors import ReloadRefused
from service.keys import new_key
from service.metrics import Metrics
from service.models import Models
from service.reload import Reloader
from service.scorer import load_scorers
from service.settings import Settings, Source
from tests.service.fakes import ROWS, fake_scorer, tiny_scorer
from tests.service.serving import is_error, served, unexpected

ADMIN, ADMIN_LINE = new_key("operator", "admin")
SCORE, SCORE_LINE = new_key("client", "score")
METRICS, METRICS_LINE = new_key("prometheus", "metrics")
AS_ADMIN, AS_CLIENT = {"x-api-key": ADMIN}, {"x-api-key": SCORE}


def settings_of(directory, **more):
    keys = (ADMIN_LINE, SCORE_LINE, METRICS_LINE)
    return Settings(artifact=(f"iris={directory}",), api_keys=keys, **more)


@pytest.fixture
def iris(numeric, tmp_path):
    """A copy of an artifact."""
    return shutil.copytree(numeric, tmp_path / "secret-place")


@pytest.fixture
def other(files, tmp_path):
    """A copy of an artifact with other features."""
    return shutil.copytree(files / "artifact", tmp_path / "other")


def exchange(directory, new):
    """Let another artifact take a directory's place at once."""
    old = directory.with_name("old")
    directory.rename(old)
    new.rename(directory)
    shutil.rmtree(old)


def reload(client, body=None, name="iris"):
    return client.post(f"/admin/models/{name}/reload", json=body, headers=AS_ADMIN)


def counts(client):
    text = client.get("/metrics", headers={"x-api-key": METRICS}).text
    found = [line for line in text.splitlines() if line.startswith("shapserve_reloads_total")]
    return {line.split('outcome="')[1].split('"')[0]: float(line.split()[-1]) for line in found}


@pytest.mark.slow
def test_another_artifact_takes_over_everywhere(iris, other):
    settings = settings_of(iris)
    digest = artifact.artifact_sha256(other)
    with served(load_scorers(settings.sources), settings) as client:
        before = client.get("/schema", headers=AS_CLIENT).json()
        client.get("/openapi.json", headers=AS_CLIENT)
        assert client.get("/models", headers=AS_CLIENT).json()["default"] == "iris"
        exchange(iris, other)
        assert client.get("/schema", headers=AS_CLIENT).json() == before, "nothing by itself"
        answer = reload(client, {"expect_sha256": digest})
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"name": "iris", "version": "2026.11", "artifact_sha256": digest}
        for path in ("/score", "/models/{name}/score"):
            described = client.get("/openapi.json", headers=AS_CLIENT).json()["paths"][path]
            content = described["post"]["requestBody"]["content"]["application/json"]
            example = content["examples"]["iris"]["value"]
            assert client.post("/score", json=example, headers=AS_CLIENT).status_code == 200
        for prefix in ("", "/models/iris"):
            document = client.get(f"{prefix}/schema", headers=AS_CLIENT).json()
            assert document["model"]["artifact_sha256"] == digest
            assert document["features"] != before["features"]
            scored = client.post(f"{prefix}/score", json=document["sample"], headers=AS_CLIENT)
            assert scored.json()["model"]["artifact_sha256"] == digest
        [listed] = client.get("/models", headers=AS_CLIENT).json()["models"]
        assert listed["artifact_sha256"] == digest
        refused = client.post("/score", json=before["sample"], headers=AS_CLIENT)
        is_error(refused, 422, "schema_violations")
        assert counts(client) == {"loaded": 1, "kept": 0}


@pytest.mark.slow
def test_what_cannot_be_used_is_told_and_the_old_one_stays(iris):
    settings = settings_of(iris)
    with served(load_scorers(settings.sources), settings) as client:
        sample = client.get("/schema", headers=AS_CLIENT).json()["sample"]
        scored = client.post("/score", json=sample, headers=AS_CLIENT).json()
        model, manifest = iris / "model.onnx", iris / "manifest.json"
        sound, said = model.read_bytes(), manifest.read_text()

        def stays(answer, word):
            message = is_error(answer, 409, "reload_refused")["message"]
            assert word in message
            assert "secret-place" not in answer.text
            assert str(iris.parent) not in answer.text
            assert "/" not in message.replace("arrays/", "")
            again = client.post("/score", json=sample, headers=AS_CLIENT).json()
            assert again == scored

        stays(reload(client, {"expect_sha256": "ab" * 32}), "another digest")
        model.write_bytes(sound[:-1] + b"\0")
        stays(reload(client), "model.onnx")
        model.write_bytes(sound)
        manifest.write_text("{")
        stays(reload(client), "manifest.json")
        manifest.unlink()
        stays(reload(client), "is not an artifact")
        shutil.rmtree(iris)
        stays(reload(client), "there is no artifact")
        assert counts(client) == {"loaded": 0, "kept": 5}
        body = client.get("/metrics", headers={"x-api-key": METRICS}).text
        assert "shapserve_unexpected_exceptions_total 0.0" in body
        assert said


@pytest.mark.slow
def test_no_request_is_lost_while_a_model_is_reloaded_again_and_again(iris, numeric):
    settings = settings_of(iris)
    with served(load_scorers(settings.sources), settings) as client:
        sample = client.get("/schema", headers=AS_CLIENT).json()["sample"]
        expected = client.post("/score", json=sample, headers=AS_CLIENT).json()
        ended = threading.Event()

        def ask():
            answers = 0
            while not ended.is_set():
                answer = client.post("/score", json=sample, headers=AS_CLIENT)
                assert answer.status_code == 200, answer.text
                told = answer.json()
                assert told["predictions"] == expected["predictions"]
                # Rows of several requests are explained together, and rounded otherwise.
                np.testing.assert_allclose(
                    told["local_importance_values"],
                    expected["local_importance_values"],
                    rtol=0,
                    atol=1e-9,
                )
                answers += 1
            return answers

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for _ in range(4)]
            try:
                for _ in range(5):
                    assert reload(client).status_code == 200
            finally:
                ended.set()
            assert sum(each.result(60) for each in asking) >= 4
        assert counts(client) == {"loaded": 5, "kept": 0}


@pytest.mark.parametrize(
    "body",
    [[], 1, {"expect_sha256": 1}, {"expect_sha256": "ab"}, {"expect": "ab" * 32}, "zq", {"a": 1}],
)
def test_a_body_that_is_none(tmp_path, body):
    with served({"houses": fake_scorer()}, settings_of(tmp_path)) as client:
        answer = reload(client, body, "houses")
        is_error(answer, 422, "invalid_option")
        is_error(
            client.post("/admin/models/houses/reload", content=b"{", headers=AS_ADMIN),
            422,
            "invalid_option",
        )
        assert "zq" not in answer.text


def test_names_are_looked_up_and_joined_to_no_path(tmp_path):
    with served({"houses": fake_scorer()}, Settings(api_keys=(ADMIN_LINE,))) as client:
        for name in ("nothing", "..", "%2e%2e", "..%2f..%2fetc", "%00"):
            answer = client.post(f"/admin/models/{name}/reload", headers=AS_ADMIN)
            assert answer.status_code in {401, 403, 404}, answer.text
            assert answer.status_code == 404 or "admin" not in str(answer.url)
        error = is_error(reload(client, name="houses"), 409, "reload_refused")
        assert "not loaded from a directory" in error["message"]


SOURCE = Source("houses", "unused", None)  # type: ignore[arg-type]


def reloader(load, *, everywhere=None, sha256=None):
    models = Models({"houses": fake_scorer(), "tiny": tiny_scorer()})
    sources = {"houses": SOURCE._replace(sha256=sha256)}
    return models, Reloader(models, sources, Metrics(models), everywhere=everywhere, load=load)


@pytest.mark.slow
def test_the_old_one_is_gone_at_once(iris):
    """Nothing of it is held by caches, or by itself: memory is what a second artifact takes."""
    settings = settings_of(iris)
    scorers = load_scorers(settings.sources)
    gone: list[object] = []
    old = scorers["iris"]
    for each in (old, old.explainer):
        weakref.finalize(each, gone.append, None)
    with served(scorers, settings) as client:
        sample = client.get("/schema", headers=AS_CLIENT).json()["sample"]
        for _ in range(3):
            assert client.post("/score", json=sample, headers=AS_CLIENT).status_code == 200
        scorers.clear()
        del old, each
        gc.disable()
        try:
            assert reload(client).status_code == 200
            assert client.post("/score", json=sample, headers=AS_CLIENT).status_code == 200
            assert len(gone) == 2
        finally:
            gc.enable()


def test_who_holds_the_old_one_goes_on_with_it_and_the_loop_stays_free():
    loading, go_on = threading.Event(), threading.Event()
    new = fake_scorer()

    def slow(source):
        loading.set()
        assert go_on.wait(30)
        return new

    async def scenario():
        models, one = reloader(slow)
        old = models.pick()
        task = asyncio.create_task(one.reload("houses"))
        while not loading.is_set():  # noqa: ASYNC110 a thread loads, and the loop turns
            await asyncio.sleep(0.001)
        assert models.pick() is old
        with pytest.raises(ReloadRefused, match="already"):
            await one.reload("houses")
        go_on.set()
        assert await asyncio.wait_for(task, 30) is new
        assert models.pick() is new
        assert models["houses"] is new
        assert list(models) == ["houses", "tiny"]
        assert models.default == "houses"
        again = await one.reload("houses")
        assert again is new

    asyncio.run(scenario())


@pytest.mark.parametrize("bug", [ValueError, RuntimeError, MemoryError, ImportError, OSError])
def test_whatever_a_models_code_raises_the_old_one_stays(bug):
    def broken(source):
        raise bug("zq/secret/path")

    models, one = reloader(broken)
    before = models["houses"]
    with pytest.raises(ReloadRefused) as caught:
        asyncio.run(one.reload("houses"))
    assert "zq" not in caught.value.message
    assert models["houses"] is before
    with pytest.raises(ReloadRefused, match="stays as it was"):  # and may be tried again
        asyncio.run(one.reload("houses"))


@pytest.mark.parametrize(
    ("pinned", "asked", "loaded_with"),
    [
        (None, None, None),
        (None, "ab" * 32, None),  # a caller's digest makes no pickled model welcome
        ("cd" * 32, None, "cd" * 32),
        ("cd" * 32, "ab" * 32, "ab" * 32),
    ],
)
def test_pins_of_the_operator_and_of_the_caller(pinned, asked, loaded_with):
    seen = []

    def load(source):
        seen.append(source.sha256)
        return fake_scorer()  # whose digest is "ab" * 32

    _, one = reloader(load, sha256=pinned)
    asyncio.run(one.reload("houses", asked))
    assert seen == [loaded_with]


def test_another_digest_than_asked_for_changes_nothing():
    models, one = reloader(lambda source: fake_scorer())
    before = models["houses"]
    with pytest.raises(ReloadRefused, match="another digest"):
        asyncio.run(one.reload("houses", "ef" * 32))
    assert models["houses"] is before


def test_the_schema_follows_the_model(tmp_path):
    """Nothing of a model is kept by the routes beyond the model's own life."""
    settings = settings_of(tmp_path)
    with served({"houses": fake_scorer()}, settings) as client:
        for _ in range(2):
            assert client.get("/schema", headers=AS_CLIENT).status_code == 200
        listed = client.get("/models", headers=AS_CLIENT).json()
        model = client.post("/score", json=ROWS, headers=AS_CLIENT).json()["model"]
        assert listed == {"default": "houses", "models": [model]}


def test_requests_are_answered_while_a_slow_artifact_loads(monkeypatch, tmp_path):
    loading, go_on = threading.Event(), threading.Event()

    def slow(source, fit=None):
        loading.set()
        assert go_on.wait(60)
        return replace(fake_scorer(), name="iris")

    monkeypatch.setattr("service.app.load_scorer", slow)
    with served({"iris": replace(fake_scorer(), name="iris")}, settings_of(tmp_path)) as client:
        with ThreadPoolExecutor(1) as pool:
            task = pool.submit(reload, client)
            try:
                assert loading.wait(30)
                began = time.monotonic()
                for _ in range(5):
                    answer = client.post("/score", json=ROWS, headers=AS_CLIENT)
                    assert answer.status_code == 200
                assert time.monotonic() - began < 20
            finally:
                go_on.set()
            assert task.result(60).status_code == 200
        assert json.loads(client.get("/health/ready").text)["models"] == ["iris"]


def test_nothing_unexpected_happens_without_keys(client):
    before = unexpected(client)
    client.post("/admin/models/houses/reload")
    assert unexpected(client) == before
