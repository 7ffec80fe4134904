"""Two servers behind a proxy that looks at readiness are restarted in turn: nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.service.load import TIMEOUT, Connection, request
from tests.service.slow_server import slow_serving

N_CLIENTS = 8
LOOK_SECONDS = 0.2  # between two looks of the proxy at readiness
SETTINGS = {"SHAPSERVE_DRAIN_SECONDS": "3", "SHAPSERVE_GRACE_SECONDS": "20"}


class Proxy:
    """Passes connections on to servers that are ready, in turn."""

    def __init__(self, ports):
        self.ports, self.ready, self.turn, self.open = ports, set(), 0, 0

    async def look(self):
        while True:
            for name, port in list(self.ports.items()):
                probe = Connection(port)
                status = 0
                with contextlib.suppress(OSError, EOFError, TimeoutError):
                    async with asyncio.timeout(5):
                        status, _ = await probe.ask(request("/health/ready"))
                probe.close()
                (self.ready.add if status == 200 else self.ready.discard)(name)
            await asyncio.sleep(LOOK_SECONDS)

    async def pass_on(self, reader, writer):
        self.turn += 1
        names = sorted(self.ready)
        port = self.ports[names[self.turn % len(names)]]
        self.open += 1
        behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, behind[1]), copy(behind[0], writer))
        self.open -= 1


async def copy(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()


def rolling_restart(n_requests, n_restarts):
    statuses: Counter[int] = Counter()
    with ExitStack() as stack:
        running = {}

        def start(name):
            client, process = stack.enter_context(slow_serving(0.001, SETTINGS))
            running[name] = process
            return client.base_url.port

        async def client(port, done):
            own, sent = Connection(port), request()
            try:
                while not done():
                    async with asyncio.timeout(TIMEOUT):
                        status, _ = await own.ask(sent)
                    statuses[status] += 1
            finally:
                own.close()

        async def restart(proxy, over):
            for n in range(n_restarts):
                name = "ab"[n % 2]
                running[name].send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(running[name].wait, TIMEOUT) == 0
                proxy.ports[name] = await asyncio.to_thread(start, name)
                while name not in proxy.ready:  # noqa: ASYNC110 as a rollout waits for readiness
                    await asyncio.sleep(0.05)
            over.set()

        async def scenario():
            proxy, over = Proxy({name: start(name) for name in "ab"}), asyncio.Event()
            look = asyncio.create_task(proxy.look())
            while len(proxy.ready) < 2:  # noqa: ASYNC110 the proxy has no event for it
                await asyncio.sleep(0.05)
            server = await asyncio.start_server(proxy.pass_on, "127.0.0.1")
            port = server.sockets[0].getsockname()[1]

            def done():
                return over.is_set() and statuses.total() >= n_requests

            async with asyncio.TaskGroup() as group:  # the first request that is lost ends it
                group.create_task(restart(proxy, over))
                for _ in range(N_CLIENTS):
                    group.create_task(client(port, done))
            look.cancel()
            server.close()
            while proxy.open:  # noqa: ASYNC110 the clients have left, so they end soon
                await asyncio.sleep(0.01)

        asyncio.run(scenario())
    print(f"{statuses} over {n_restarts} restarts")  # noqa: T201
    assert statuses.keys() == {200}
    assert statuses.total() >= n_requests


@pytest.mark.slow
def test_a_restart_loses_nothing():
    rolling_restart(200, 1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_rolling_restart_loses_nothing_of_20_000_requests():
    rolling_restart(20_000, 4)
