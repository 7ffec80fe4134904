"""Ten times what a server can do: it refuses most, answers the rest in time, and stays as it is."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from tests.service.load import at_rate
from tests.service.serving import unexpected
from tests.service.slow_server import slow_serving


def overload(seconds, call_seconds, batch_rows, *, probe_seconds, slower=2.0):
    """Run at capacity and then at ten times that, with probes all the while."""
    capacity = batch_rows / call_seconds  # requests of one row each second
    limits = {
        "SHAPSERVE_CONCURRENCY": "1",
        "SHAPSERVE_MAX_BATCH_ROWS": str(batch_rows),
        "SHAPSERVE_MAX_QUEUE": str(batch_rows),
    }
    with slow_serving(call_seconds, limits) as (client, server):
        port, process = client.base_url.port or 0, psutil.Process(server.pid)

        async def run(times):
            load = at_rate(port, times * capacity, seconds)
            probes = at_rate(port, 5, seconds, "/health/ready")
            return await asyncio.gather(load, probes)

        at_capacity, _ = asyncio.run(run(1))
        asyncio.run(at_rate(port, 10 * capacity, 2))
        before = process.memory_info().rss
        over, probes = asyncio.run(run(10))
        after = process.memory_info().rss
        assert unexpected(client) == 0
    p99 = [told.quantile(200, 0.99) for told in (at_capacity, over)]
    counts = {status: len(each) for status, each in over.seconds.items()}
    slowest = max(probes.seconds[200])
    memory = (after - before) / 2**20
    print(f"p99 {p99[0]:.2f} s at capacity, {p99[1]:.2f} s at ten times; {counts}")  # noqa: T201
    print(f"slowest probe {1000 * slowest:.0f} ms; memory {memory:+.1f} MiB")  # noqa: T201
    assert not at_capacity.lost + over.lost + probes.lost  # every request is answered
    assert counts.keys() == {200, 503}
    assert over.without_retry_after == 0
    assert probes.seconds.keys() == {200}
    assert counts[200] > 0.5 * capacity * seconds  # it goes on doing what it can
    assert p99[1] <= slower * p99[0]
    assert slowest <= probe_seconds
    assert after - before < 16 * 2**20


@pytest.mark.slow
def test_ten_times_capacity_for_a_moment():
    # Slow enough for a processor that is shared with other tests, and bounds to match.
    overload(8, 0.5, 2, probe_seconds=2, slower=4)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_ten_times_capacity_for_a_minute():
    overload(60, 0.25, 5, probe_seconds=0.1)
