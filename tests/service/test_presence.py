"""Clients that leave before they are answered, over real sockets."""

import asyncio
import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.requests import ClientDisconnect

from service import presence
from service.presence import Attended
from service.settings import Settings
from tests.service.fakes import ROWS
from tests.service.held import held_scorer
from tests.service.held import rows as held_rows
from tests.service.serving import is_error, metric, post, unexpected
from tests.service.slow import slow_scorer
from tests.service.test_limits import SECONDS, connection, head, until

BODY = json.dumps(ROWS).encode()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as threads:
        yield threads


def left(client):
    text = client.get("/metrics").text
    lines = [line for line in text.splitlines() if 'status="499"' in line]
    return sum(float(line.split()[-1]) for line in lines if "requests_total" in line)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_request_that_waits_is_not_scored_once_its_client_has_left(serve, pool, zipped):
    scorer, explainer = slow_scorer()
    client = serve(Settings(concurrency=1, max_queue=2), {"houses": scorer})
    explainer.go.clear()
    first = pool.submit(post, client, ROWS[:1])
    until(lambda: explainer.calls == [1])
    body = gzip.compress(BODY) if zipped else BODY
    extra = "Content-Encoding: gzip\r\n" if zipped else ""
    leaving = [connection(client) for _ in range(2)]
    for each in leaving:
        each.sendall(head(len(body), extra) + body)
    until(lambda: post(client, ROWS).status_code == 503)  # the queue is full
    for each in leaving:
        each.close()
    until(lambda: left(client) == 2)
    second = pool.submit(post, client, ROWS[:2])  # for which there is room now
    time.sleep(0.1)
    explainer.go.set()
    assert [each.result(SECONDS).status_code for each in (first, second)] == [200, 200]
    assert explainer.calls == [1, 2]
    assert metric(client, "shapserve_rows_total") == 3, "of those who left, none"
    assert unexpected(client) == 0


def test_the_rest_of_a_long_request_is_left_out(serve, pool):
    scorer, explainer = slow_scorer()
    client = serve(Settings(concurrency=1, max_batch_rows=1), {"houses": scorer})
    explainer.go.clear()
    body = json.dumps(ROWS * 5).encode()
    with connection(client) as leaving:
        leaving.sendall(head(len(body)) + body)
        until(lambda: explainer.calls == [1])
    until(lambda: left(client) == 1)
    explainer.go.set()
    assert post(client, ROWS[:1]).status_code == 200
    assert explainer.calls == [1, 1]
    assert unexpected(client) == 0


def test_who_stays_is_answered_however_long_it_takes(serve, pool):
    scorer, explainer = slow_scorer()
    client = serve(Settings(concurrency=1), {"houses": scorer})
    explainer.go.clear()
    held = [pool.submit(post, client, ROWS) for _ in range(3)]
    time.sleep(0.3)
    explainer.go.set()
    assert [each.result(SECONDS).status_code for each in held] == [200] * 3
    assert [post(client, ROWS).status_code for _ in range(3)] == [200] * 3  # kept connections
    assert left(client) == 0


def test_a_second_request_that_is_sent_before_the_first_is_answered(serve):
    scorer, explainer = slow_scorer(call_seconds=0.2)
    client = serve(Settings(), {"houses": scorer})
    with connection(client) as one:
        one.sendall(2 * (head(len(BODY)) + BODY))
        told = b""
        while told.count(b"HTTP/1.1 200") < 2:
            told += one.recv(2**16)
    assert sum(explainer.calls) == 2 * len(ROWS)
    assert left(client) == 0


def test_later_explanations_do_not_need_their_client(serve):
    scorer, explainer = held_scorer()
    client = serve(None, {"houses": scorer})
    with httpx.Client(base_url=client.base_url, timeout=SECONDS, trust_env=False) as leaving:
        answer = leaving.post("/score", json=held_rows(77.5), headers={"prefer": "respond-async"})
        assert answer.status_code == 202
        until(lambda: explainer.started)
    time.sleep(0.2)
    explainer.go.set()
    until(lambda: client.get(answer.headers["location"]).status_code == 200)
    assert left(client) == 0


def test_who_else_cancels_is_obeyed():
    async def scenario():
        never = asyncio.Event()

        async def receive():
            await never.wait()
            return {"type": "http.disconnect"}

        async def work(seconds):
            presence.begin(receive)
            with Attended():
                await asyncio.sleep(seconds)
                return "done"

        assert await work(3 * presence.LOOK_SECONDS) == "done"
        task = asyncio.create_task(work(SECONDS))
        await asyncio.sleep(3 * presence.LOOK_SECONDS)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2 * presence.LOOK_SECONDS):
                await work(SECONDS)
        task = asyncio.create_task(work(SECONDS))
        await asyncio.sleep(3 * presence.LOOK_SECONDS)
        never.set()
        with pytest.raises(ClientDisconnect):
            await task
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())


def test_slots_are_free_again(serve, pool):
    scorer, explainer = slow_scorer()
    client = serve(Settings(concurrency=1, max_concurrent=2), {"houses": scorer})
    explainer.go.clear()
    first = pool.submit(post, client, ROWS)
    until(lambda: explainer.calls)
    with connection(client) as leaving:
        leaving.sendall(head(len(BODY)) + BODY)
        until(lambda: post(client, ROWS).status_code == 429)
        is_error(post(client, ROWS), 429, "too_many_requests")
    until(lambda: left(client) == 1)
    second = pool.submit(post, client, ROWS)
    explainer.go.set()
    assert [each.result(SECONDS).status_code for each in (first, second)] == [200, 200]
