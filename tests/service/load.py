"""Load at a fixed rate, and clients that keep their connections, over plain sockets."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

from tests.service.fakes import ROWS

BODY = json.dumps(ROWS[:1]).encode()
TIMEOUT = 60


def request(path: str = "/score", body: bytes = BODY) -> bytes:
    """The bytes of one request."""
    method = "POST" if path == "/score" else "GET"
    sent = body if method == "POST" else b""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(sent)}\r\n\r\n"
    ).encode() + sent


class Connection:
    """One client; connects anew only when the server has said that it closes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes) -> tuple[int, bytes]:
        """Send a request; returns the status and the headers."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        if b"\r\nconnection: close\r\n" in head:
            self.close()
        return int(head.split()[1]), head

    def close(self) -> None:
        """Leave."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Told:
    """What a load was answered: seconds by status, and what got no answer."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    lost: list[BaseException] = field(default_factory=list)
    without_retry_after: int = 0

    def quantile(self, status: int, q: float) -> float:
        """Seconds that the fraction `q` of the answers of a status took at most."""
        ordered = sorted(self.seconds[status])
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


async def _once(port: int, sent: bytes, due: float, told: Told) -> None:
    connection = Connection(port)
    try:
        async with asyncio.timeout(TIMEOUT):
            status, head = await connection.ask(sent)
    except (OSError, EOFError, TimeoutError) as exc:
        told.lost.append(exc)
        return
    finally:
        connection.close()
    told.seconds.setdefault(status, []).append(time.monotonic() - due)
    told.without_retry_after += status != 200 and b"\r\nretry-after: " not in head


async def at_rate(port: int, rate: float, seconds: float, path: str = "/score") -> Told:
    """Send requests at a fixed rate; their times count from when each is due."""
    told, sent, began = Told(), request(path), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for n in range(int(rate * seconds)):
            due = began + n / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(_once(port, sent, due, told))
    return told
