"""Requests to `/score` at a fixed rate until standard input ends; then a line of JSON tells all.

    python load.py URL [--rate 500] [--requests 10000]

It runs inside the cluster, in a pod of the serving image, so it knows the standard library only.
Requests go in turn over a new connection and over one of a few kept ones, as clients without and
with a pool send them. A kept connection is replaced before a request when the server has closed it,
as any pool does. Nothing is ever sent twice: a request without an answer is lost.

With `--clients` there is no rate: so many kept connections send as fast as they are answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

AT_ONCE = 32  # kept connections, and new ones at a time: who is slow must not drown
TIMEOUT = 10

_VERSION = re.compile(rb'"artifact_sha256":\s*"([0-9a-f]+)"')


@dataclass
class Told:
    """What the requests came to; times are seconds since the start."""

    began: float = field(default_factory=time.monotonic)
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    failed_at: list[float] = field(default_factory=list)
    versions: dict[str, list[float]] = field(default_factory=dict)
    """Of each artifact: the first answer, the last, how many."""

    def answered(self, due: float, status: int, body: bytes) -> None:
        """Note an answer; it counts from when its request was due."""
        now = time.monotonic()
        self.outcomes[str(status)] += 1
        self.seconds.append(now - due)
        if not 200 <= status < 300:
            self.failed_at.append(now - self.began)
        elif found := _VERSION.search(body):
            version = self.versions.setdefault(found[1].decode(), [now - self.began, 0, 0])
            version[1:] = [now - self.began, version[2] + 1]

    def lost(self, how: str, error: BaseException) -> None:
        """Note a request without an answer."""
        self.outcomes[f"{how}: {type(error).__name__}"] += 1
        self.failed_at.append(time.monotonic() - self.began)

    def summary(self) -> dict[str, object]:
        """All of it, to print."""
        ordered = sorted(self.seconds)
        return {
            "seconds": round(time.monotonic() - self.began, 3),
            "requests": self.outcomes.total(),
            "failed": len(self.failed_at),
            "outcomes": dict(self.outcomes),
            "failed_at": [round(at, 3) for at in (*self.failed_at[:1], *self.failed_at[-1:])],
            "versions": {
                sha256: {"first": round(first, 3), "last": round(last, 3), "answers": int(n)}
                for sha256, (first, last, n) in self.versions.items()
            },
            "ms": {
                name: round(1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))], 2)
                for name, q in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
                if ordered
            },
        }


class Connection:
    """One connection, made when it is needed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes) -> tuple[int, bytes]:
        """Send a request; returns the status and the body."""
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if b"\r\nconnection: close\r\n" in head:
            self.close()
        return int(head.split(maxsplit=2)[1]), body

    def close(self) -> None:
        """Leave."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Load:
    """Clients of one server that send one request again and again."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port or 80
        with urllib.request.urlopen(f"{url}/schema", timeout=TIMEOUT) as answer:  # noqa: S310 http
            body = json.dumps(json.load(answer)["sample"]).encode()
        self._sent = (
            f"POST /score HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self.told = Told()

    async def one(self, connection: Connection, how: str, due: float) -> None:
        """Send one request and note what comes of it."""
        try:
            async with asyncio.timeout(TIMEOUT):
                status, body = await connection.ask(self._sent)
        except (OSError, EOFError, TimeoutError, ValueError, IndexError) as error:
            connection.close()
            self.told.lost(how, error)
        else:
            self.told.answered(due, status, body)

    async def over_a_new_connection(self, due: float, room: asyncio.Semaphore) -> None:
        """Connect, ask, leave."""
        async with room:
            connection = Connection(*self._address)
            await self.one(connection, "new", due)
            connection.close()

    async def over_a_kept_connection(self, due: float, pool: asyncio.Queue[Connection]) -> None:
        """Ask over the connection that has rested longest."""
        connection = await pool.get()
        await self.one(connection, "kept", due)
        pool.put_nowait(connection)

    async def at_rate(self, rate: float, at_least: int, over: asyncio.Event) -> None:
        """Send so many requests a second, whether or not those before are answered."""
        room, pool = asyncio.Semaphore(AT_ONCE), asyncio.Queue[Connection]()
        for _ in range(AT_ONCE):
            pool.put_nowait(Connection(*self._address))
        async with asyncio.TaskGroup() as group:
            n = 0
            while not over.is_set() or n < at_least:
                due = self.told.began + n / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if n % 2:
                    group.create_task(self.over_a_kept_connection(due, pool))
                else:
                    group.create_task(self.over_a_new_connection(due, room))
                n += 1

    async def by_clients(self, n_clients: int, over: asyncio.Event) -> None:
        """Send what so many clients can, each waiting for its answer."""

        async def client() -> None:
            connection = Connection(*self._address)
            while not over.is_set():
                await self.one(connection, "kept", time.monotonic())
            connection.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(n_clients):
                group.create_task(client())


async def run(options: argparse.Namespace) -> None:
    """Send until standard input ends."""
    load, over = Load(options.url), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        if options.clients:
            group.create_task(load.by_clients(options.clients, over))
        else:
            group.create_task(load.at_rate(options.rate, options.requests, over))
        sys.stdout.write("sending\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        over.set()
    sys.stdout.write(json.dumps(load.told.summary()))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=500, help="requests a second")
    parser.add_argument("--requests", type=int, default=0, help="to go on until so many are sent")
    parser.add_argument("--clients", type=int, default=0, help="instead of a rate")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
