"""`Prefer: respond-async` over real HTTP, in one process and in several."""

from __future__ import annotations

import re
import signal
import threading
import time
from contextlib import ExitStack

import pytest

from service.app import create_app
from service.jobs.prefer import prefers_later
from service.settings import Settings
from tests.service import serving
from tests.service.fakes import ROWS, fake_scorer, in_columns
from tests.service.held import BUSY, FAILS, HELD, REFUSED, held_scorer, held_server, rows
from tests.service.redis_server import free_port, redis_server
from tests.service.serving import is_error, metric, unexpected

LATER = {"Prefer": "respond-async"}
LINK = re.compile(r"/explanations/[A-Za-z0-9_-]{32}")
UNKNOWN = "/explanations/" + "A" * 32


def ask(client, body=ROWS, path="/score", **headers):
    """Ask for an explanation later; returns where it will be."""
    answer = client.post(path, json=body, headers=LATER | headers)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


def fetch(client, link, **headers):
    """Poll until it is no longer running."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        answer = client.get(link, headers=headers)
        if answer.status_code != 202:
            return answer
        assert answer.json() == {"status": "running"}
        assert int(answer.headers["retry-after"]) >= 1
        time.sleep(0.02)
    raise AssertionError("it is running for ever")


@pytest.fixture
def held(serve):
    """A server whose explanations can be held: `held(settings...)` gives a client and a scorer."""
    with ExitStack() as let_go:

        def start(**settings):
            scorer, explainer = held_scorer()
            let_go.callback(explainer.go.set)
            return serve(Settings(**settings), {"houses": scorer}), explainer

        yield start


@pytest.mark.parametrize(
    ("headers", "later"),
    [
        (["respond-async"], True),
        (["Respond-Async"], True),
        (["respond-async, wait=10"], True),
        (["wait=10,respond-async"], True),
        (["return=minimal", "respond-async"], True),
        ([" respond-async ; x=1"], True),
        (['respond-async=""'], True),
        ([], False),
        (["", "wait=10"], False),
        (["respond-asynchronously"], False),
        (["x-respond-async"], False),
        (["wait=respond-async"], False),
        (["x; respond-async"], False),
        (['x="a, respond-async"'], False),
        (['x="a\\", respond-async"'], False),
        (['x="a", respond-async'], True),
        ([",,;;==", '"'], False),
    ],
)
def test_the_header_is_read_as_its_specification_has_it(headers, later):
    assert prefers_later(headers) is later


@pytest.mark.timeout(10)
@pytest.mark.parametrize("part", ['\\"', '"', "\\", 'a="', ",", ";"])
def test_a_long_header_is_read_in_bounded_time(part):
    assert not prefers_later(['"' + part * 32_000])


@pytest.mark.parametrize("path", ["/score", "/models/houses/score"])
def test_predictions_come_at_once_and_the_same_answer_as_without_later(held, path):
    client, explainer = held()
    body = in_columns(rows(HELD))
    answer = client.post(path, json=body, headers=LATER)
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["cache-control"] == "no-store"
    link = answer.headers["location"]
    assert LINK.fullmatch(link)
    at_once = answer.json()
    assert at_once.pop("explanation") == {"status": "running", "href": link, "expires_in": 900}
    assert client.get(link).status_code == 202
    explainer.go.set()
    whole = fetch(client, link)
    plain = client.post(path, json=body)
    assert whole.status_code == 200
    assert whole.content == plain.content
    assert whole.headers["content-type"] == plain.headers["content-type"]
    assert whole.headers["cache-control"] == "no-store"
    assert at_once == {name: plain.json()[name] for name in at_once}
    assert set(at_once) == {"predictions", "probabilities", "index", "warnings", "model"}
    assert fetch(client, link).content == plain.content, "it may be fetched again"
    assert unexpected(client) == 0


def test_without_the_header_nothing_changes(client):
    answer = client.post("/score", json=ROWS, headers={"Prefer": "wait=10, return=minimal"})
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


def test_ids_are_never_given_twice(client):
    links = {ask(client) for _ in range(50)}
    assert len(links) == 50
    for link in links:
        assert fetch(client, link).status_code == 200


def test_the_names_in_the_store_do_not_give_the_ids_away(serve, tmp_path):
    client = serve(Settings(results_store=f"dir:{tmp_path}"))
    link = ask(client)
    assert fetch(client, link).status_code == 200
    names = [path.name for path in (tmp_path / "explanations").iterdir()]
    assert len(names) == 3, "a record, a worker's sign of life and a lock"
    assert not any(link.rpartition("/")[2] in name for name in names)


def test_what_expired_does_not_lie_around(serve, tmp_path):
    client = serve(Settings(results_store=f"dir:{tmp_path}", results_seconds=3))
    ask(client)
    until = time.monotonic() + 30
    while list((tmp_path / "explanations").glob("[0-9a-f]" * 64)):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_what_is_wrong_with_the_request_is_told_at_once(client):
    is_error(client.post("/score", json=[{"age": 1}], headers=LATER), 422, "schema_violations")
    is_error(client.post("/score?nothing=1", json=ROWS, headers=LATER), 422, "invalid_option")
    answer = client.post("/models/none/score", json=ROWS, headers=LATER)
    is_error(answer, 404, "unknown_model")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        UNKNOWN,
        "/explanations/" + "A" * 31,
        "/explanations/" + "A" * 33,
        "/explanations/" + "A" * 5000,
        "/explanations/" + "%C3%A9" * 32,
        "/explanations/" + "%00" * 32,
        "/explanations/%2e%2e",
        "/explanations/" + "0" * 64,
        "/explanations/" + "A" * 31 + "%0A",
        "/explanations/lock",
    ],
)
def test_unknown_and_malformed_ids_get_the_same_answer(client, method, path):
    before = unexpected(client)
    answer = client.request(method, path)
    error = is_error(answer, 404, "unknown_explanation")
    assert error["message"] == is_error(client.get(UNKNOWN), 404, "unknown_explanation")["message"]
    assert unexpected(client) == before


@pytest.mark.parametrize(
    "path", ["/explanations/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/explanations/", "/explanations"]
)
def test_paths_that_lead_elsewhere(client, path):
    is_error(client.get(path), 404, "not_found")


class CallerOfHeader:
    """Stands for keys: the header X-Caller names whose key it is."""

    def __init__(self, app, keys):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            caller = dict(scope["headers"]).get(b"x-caller")
            scope.setdefault("state", {})["caller"] = caller and caller.decode()
        await self.app(scope, receive, send)


@pytest.fixture
def keyed(monkeypatch, serve):
    """A client of a server with keys."""
    monkeypatch.setattr("service.app.Auth", CallerOfHeader)
    return serve()


def test_an_explanation_belongs_to_the_key_that_asked_for_it(keyed):
    mine = {"X-Caller": "mine"}
    link = ask(keyed, **mine)
    assert fetch(keyed, link, **mine).status_code == 200
    unknown = is_error(keyed.get(UNKNOWN, headers=mine), 404, "unknown_explanation")
    for other in ({"X-Caller": "other"}, {"X-Caller": "mine2"}, {}):
        for method in ("GET", "DELETE"):
            refused = keyed.request(method, link, headers=other)
            assert is_error(refused, 404, "unknown_explanation") == unknown
    assert keyed.get(link, headers=mine).status_code == 200, "nobody else may delete it"
    assert keyed.delete(link, headers=mine).status_code == 204
    is_error(keyed.get(link, headers=mine), 404, "unknown_explanation")


def test_what_was_asked_for_without_a_key_is_nobody_elses(keyed):
    link = ask(keyed)
    is_error(keyed.get(link, headers={"X-Caller": "None"}), 404, "unknown_explanation")
    assert fetch(keyed, link).status_code == 200


def test_an_explanation_that_is_refused_tells_it_when_it_is_fetched(held):
    client, _ = held()
    refused = fetch(client, ask(client, rows(REFUSED)))
    error = is_error(refused, 422, "teapot")
    assert error["message"] == "It is a teapot."
    assert refused.headers["retry-after"] == "9"
    assert unexpected(client) == 0


def test_a_bug_is_a_bug_and_says_nothing(held, caplog):
    client, _ = held()
    asked = client.post("/score", json=rows(FAILS), headers=LATER | {"X-Request-ID": "asked-1"})
    error = is_error(fetch(client, asked.headers["location"]), 500, "internal_error")
    assert "78" not in error["message"]
    assert unexpected(client) == 1
    assert "unexpected exception after request asked-1" in caplog.text
    assert "RuntimeError" in caplog.text
    assert "78.5" not in caplog.text


def test_a_busy_server_is_waited_out(held):
    client, explainer = held()
    assert fetch(client, ask(client, rows(BUSY))).status_code == 200
    assert explainer.started.count(BUSY) == 3


def test_unfinished_explanations_are_bounded(held):
    client, explainer = held(background_queue=2, concurrency=4)
    links = [ask(client, rows(HELD)) for _ in range(2)]
    refused = client.post("/score", json=ROWS, headers=LATER)
    is_error(refused, 503, "too_many_explanations")
    assert int(refused.headers["retry-after"]) >= 1
    early = client.post("/score", content=b"not even JSON", headers=LATER | serving.JSON)
    is_error(early, 503, "too_many_explanations")
    assert client.post("/score", json=ROWS).status_code == 200
    assert metric(client, "shapserve_later_explanations_unfinished") == 2
    explainer.go.set()
    assert [fetch(client, link).status_code for link in links] == [200, 200]
    assert fetch(client, ask(client)).status_code == 200
    assert metric(client, "shapserve_later_explanations_unfinished") == 0
    assert unexpected(client) == 0


def test_the_rows_of_unfinished_explanations_are_bounded(held):
    client, explainer = held(results_max_bytes=2048)
    many = rows(HELD) * 12  # 36 rows of 5 codes of 8 bytes
    link = ask(client, many)
    is_error(client.post("/score", json=many, headers=LATER), 503, "too_many_explanations")
    explainer.go.set()
    fetch(client, link)


def test_kept_answers_are_bounded_in_number(held):
    client, _ = held(results_max_entries=2)
    links = [ask(client) for _ in range(2)]
    refused = client.post("/score", json=ROWS, headers=LATER)
    is_error(refused, 503, "explanations_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert [fetch(client, link).status_code for link in links] == [200, 200]
    client.delete(links[0])
    assert fetch(client, ask(client)).status_code == 200


def test_kept_answers_are_bounded_in_bytes(held):
    client, explainer = held(results_max_bytes=6000)
    size = len(client.post("/score", json=ROWS * 4).content)
    assert 1500 < size < 3000, "the numbers of this test count on it"
    kept = [ask(client, rows(HELD) * 4) for _ in range(4)]
    explainer.go.set()
    answers = [fetch(client, link) for link in kept]
    assert {answer.status_code for answer in answers} == {200, 503}
    full = next(answer for answer in answers if answer.status_code == 503)
    is_error(full, 503, "explanations_full")
    assert int(full.headers["retry-after"]) >= 1
    for link in kept:
        client.delete(link)
    too_large = fetch(client, ask(client, ROWS * 20))
    is_error(too_large, 413, "answer_too_large")
    assert unexpected(client) == 0


def test_explanations_expire(held):
    client, explainer = held(results_seconds=3)  # which is all that answering may take, too
    done = ask(client)
    fetch(client, done)  # so that it is not explained in one batch with what is held
    running = ask(client, rows(HELD))
    is_error(fetch(client, running), 504, "too_slow")
    time.sleep(3.5)
    for link in (done, running):
        is_error(client.get(link), 404, "unknown_explanation")
    explainer.go.set()
    time.sleep(0.5)
    is_error(client.get(running), 404, "unknown_explanation")


def test_explanations_that_nobody_began_expire(held):
    client, explainer = held(results_seconds=3, background_jobs=1, concurrency=2)
    ask(client, rows(HELD))  # takes all of its 3 s
    time.sleep(1)
    _, waiting = ask(client, rows(HELD)), ask(client)  # begun after 2 s; never in time
    time.sleep(3.5)
    is_error(client.get(waiting), 404, "unknown_explanation")
    explainer.go.set()
    counted = 'shapserve_later_explanations_total{outcome="expired"} 1.0'
    until = time.monotonic() + 30
    while counted not in client.get("/metrics").text and time.monotonic() < until:
        time.sleep(0.1)
    assert counted in client.get("/metrics").text
    is_error(client.get(waiting), 404, "unknown_explanation")


def test_a_running_explanation_can_be_forgotten(held):
    client, explainer = held(background_jobs=1, concurrency=2)
    running, waiting = ask(client, rows(HELD)), ask(client, rows(HELD))
    for link in (running, waiting):
        answer = client.delete(link)
        assert answer.status_code == 204
        assert answer.content == b""
        is_error(client.get(link), 404, "unknown_explanation")
        is_error(client.delete(link), 404, "unknown_explanation")
    explainer.go.set()
    assert fetch(client, ask(client)).status_code == 200
    is_error(client.get(running), 404, "unknown_explanation")
    assert explainer.started == [HELD], "what was forgotten while it waited is not begun"


def test_later_explanations_leave_workers_to_others(held):
    client, explainer = held(concurrency=1)
    links = [ask(client, rows(HELD)) for _ in range(4)]
    for _ in range(5):
        assert client.post("/score", json=ROWS, timeout=30).status_code == 200
    assert explainer.started == [HELD], "one at a time"
    explainer.go.set()
    assert {fetch(client, link).status_code for link in links} == {200}


def test_a_server_that_stops_does_not_wait_for_what_nobody_can_fetch():
    scorer, explainer = held_scorer()
    timer = threading.Timer(20, explainer.go.set)
    try:
        settings = Settings(background_grace_seconds=60, concurrency=2)
        with serving.served({"houses": scorer}, settings) as client:
            link = ask(client, rows(HELD))
            assert client.get(link).status_code == 202
            began = time.monotonic()
            # The thread that explains cannot be stopped, and the loop waits for it.
            threading.Timer(1, explainer.go.set).start()
            timer.start()
        assert time.monotonic() - began < 15
    finally:
        timer.cancel()


def test_the_document_describes_it(client):
    document = client.get("/openapi.json").json()
    score = document["paths"]["/score"]["post"]
    assert "Prefer" in [parameter["name"] for parameter in score["parameters"]]
    accepted = score["responses"]["202"]
    assert {"Location", "Preference-Applied", "Retry-After"} <= set(accepted["headers"])
    reference = accepted["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    described = document["components"]["schemas"][reference]["properties"]
    assert set(described) == set(client.post("/score", json=ROWS, headers=LATER).json())
    path = document["paths"]["/explanations/{id}"]
    assert {"200", "202", "404", "500", "503"} <= set(path["get"]["responses"])
    assert {"204", "404", "503"} <= set(path["delete"]["responses"])


def test_outcomes_are_counted(held):
    client, explainer = held()
    fetch(client, ask(client))
    fetch(client, ask(client, rows(REFUSED)))
    link = ask(client, rows(HELD))
    client.delete(link)
    explainer.go.set()
    fetch(client, ask(client))
    text = client.get("/metrics").text
    counts = dict(re.findall(r'later_explanations_total\{outcome="(\w+)"\} (\S+)', text))
    assert counts == {"accepted": "4.0", "done": "2.0", "refused": "1.0", "forgotten": "1.0"}
    assert "explanations/{id}" in text
    assert link.rpartition("/")[2] not in text


class TestSettings:
    @pytest.mark.parametrize(
        "store", ["", "disk", "dir:", "redis:", "redis:host", "memory:1", "http://h", "dir"]
    )
    def test_a_store_that_is_none(self, store):
        with pytest.raises(ValueError, match="must be memory, dir:/PATH or redis://"):
            Settings(results_store=store)

    @pytest.mark.parametrize(
        "store", ["redis://:zq-secret@host:port/0", "redis://:zq-secret@host/0?socket_timeout=x"]
    )
    def test_an_address_that_cannot_be_read(self, store, monkeypatch, capsys):
        from service.cli import run

        assert run(["serve", "--artifact", "x", "--results-store", store]) == 1
        err = capsys.readouterr().err
        assert "--results-store: must be a URL" in err
        assert "zq-secret" not in err

    def test_several_workers_need_a_store_that_all_of_them_find(self, tmp_path):
        assert Settings().shared_in(tmp_path).results_store == f"dir:{tmp_path}"
        chosen = Settings(results_store="dir:/elsewhere")
        assert chosen.shared_in(tmp_path) == chosen

    def test_a_password_is_not_shown(self):
        assert "zq-secret" not in repr(Settings(results_store="redis://:zq-secret@host/0"))

    def test_a_directory_that_cannot_be_used(self, tmp_path):
        (tmp_path / "explanations").write_text("")
        with pytest.raises(PermissionError, match="closed to others"):
            create_app(Settings(results_store=f"dir:{tmp_path}"), {"houses": fake_scorer()})


@pytest.fixture(params=["dir", "redis"])
def shared(request, tmp_path):
    """Start servers that share a store: `shared()` gives a client and the process."""
    with ExitStack() as servers:
        if request.param == "dir":
            store = f"dir:{tmp_path}"
        else:
            store = servers.enter_context(redis_server(tmp_path))
        variables = {"HELD_FILE": str(tmp_path / "go"), "SHAPSERVE_RESULTS_STORE": store}

        def start(**more):
            return servers.enter_context(held_server(**variables | more))

        yield start


@pytest.mark.slow
def test_any_process_answers_for_any_other(shared, tmp_path):
    (one, process), (other, _) = shared(HELD_LEASE="2"), shared()
    quick, link = ask(one), ask(one, rows(HELD))
    assert fetch(other, quick).content == other.post("/score", json=ROWS).content
    until = time.monotonic() + 4  # longer than a lease
    while time.monotonic() < until:
        assert other.get(link).status_code == 202
        time.sleep(0.2)
    (tmp_path / "go").touch()
    assert fetch(other, link).content == other.post("/score", json=rows(HELD)).content
    assert fetch(one, link).status_code == 200
    assert other.delete(link).status_code == 204
    is_error(one.get(link), 404, "unknown_explanation")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert fetch(other, quick).status_code == 200, "it outlives the process that made it"


@pytest.mark.slow
def test_what_another_process_forgets_stays_forgotten(shared, tmp_path):
    (one, _), (other, _) = shared(), shared()
    running, waiting = (ask(one, rows(HELD)) for _ in range(2))
    assert other.delete(running).status_code == 204
    assert other.delete(waiting).status_code == 204
    (tmp_path / "go").touch()
    assert fetch(one, ask(one, rows(HELD))).status_code == 200
    assert metric(one, "shapserve_rows_total") == 6, "what waited was not begun"
    for client in (one, other):
        for link in (running, waiting):
            is_error(client.get(link), 404, "unknown_explanation")


@pytest.mark.slow
def test_a_job_of_a_killed_worker_is_noticed(shared):
    (one, process), (other, _) = shared(HELD_LEASE="3"), shared()
    links = [ask(one, rows(HELD)) for _ in range(3)]
    assert other.get(links[0]).status_code == 202
    process.kill()
    process.wait(timeout=60)
    for link in links:
        lost = fetch(other, link)
        is_error(lost, 503, "explanation_lost")
        assert int(lost.headers["retry-after"]) >= 1
    assert unexpected(other) == 0


@pytest.mark.slow
def test_what_is_accepted_is_finished_at_shutdown(shared, tmp_path):
    (one, process), (other, _) = shared(SHAPSERVE_BACKGROUND_GRACE_SECONDS="60"), shared()
    links = [ask(one, rows(HELD)) for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert process.poll() is None
    (tmp_path / "go").touch()
    assert process.wait(timeout=60) == 0
    assert [other.get(link).status_code for link in links] == [200] * 3


@pytest.mark.slow
def test_what_is_not_finished_at_shutdown_is_said_to_be_lost(shared, tmp_path):
    settings = {"SHAPSERVE_BACKGROUND_GRACE_SECONDS": "1", "HELD_LEASE": "1000"}
    (one, process), (other, _) = shared(**settings), shared()
    links = [ask(one, rows(HELD)) for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    for link in links:  # long before the lease runs out
        is_error(fetch(other, link), 503, "explanation_lost")
    (tmp_path / "go").touch()
    assert process.wait(timeout=60) == 0
    for link in links:
        is_error(other.get(link), 503, "explanation_lost")


@pytest.mark.slow
def test_a_redis_that_is_gone_and_comes_back(tmp_path):
    port = free_port()
    with ExitStack() as stack:
        with redis_server(tmp_path, port=port) as store:
            variables = {"HELD_FILE": str(tmp_path / "go"), "SHAPSERVE_RESULTS_STORE": store}
            client, process = stack.enter_context(held_server(**variables))
            link, running = ask(client), ask(client, rows(HELD))
            assert fetch(client, link).status_code == 200
        is_error(client.get(link), 503, "explanations_unavailable")
        is_error(client.delete(link), 503, "explanations_unavailable")
        refused = client.post("/score", json=ROWS, headers=LATER)
        is_error(refused, 503, "explanations_unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        assert client.post("/score", json=ROWS).status_code == 200
        assert client.get("/health/ready").status_code == 200
        (tmp_path / "go").touch()
        with redis_server(tmp_path, port=port):
            is_error(client.get(running), 404, "unknown_explanation")
            assert fetch(client, ask(client)).status_code == 200
            assert unexpected(client) == 0
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "zq-redis-password" not in told
        assert str(port) not in told
