"""The load tells what it was answered; no cluster is needed for that."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

LOAD = Path(__file__).with_name("load.py")
N_REQUESTS = 60


class Server:
    """Answers, but each third request with 503, and each fifth not at all."""

    def __init__(self):
        self.n = 0
        self.did: Counter[str] = Counter()

    async def __call__(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                if head.startswith(b"GET /schema "):
                    self.answer(writer, 200, {"sample": {"a": [1]}})
                elif not self.score(writer):
                    break
        except EOFError:
            pass
        finally:
            writer.close()

    def score(self, writer):
        self.n += 1
        if self.n % 5 == 0:
            self.did["cut"] += 1
            return False
        status = 503 if self.n % 3 == 0 else 200
        self.did[str(status)] += 1
        self.answer(writer, status, {"model": {"artifact_sha256": "a1" if self.n < 30 else "b2"}})
        return True

    def answer(self, writer, status, body):
        content = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(content)))
        writer.write(content)


def told(*options):
    """What the load says, and what the server did."""

    async def scenario():
        served = Server()
        server = await asyncio.start_server(served, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        load = await asyncio.create_subprocess_exec(
            *(sys.executable, LOAD, f"http://127.0.0.1:{port}", *options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert load.stdout is not None
        assert await load.stdout.readline() == b"sending\n"
        while served.n < N_REQUESTS // 2:  # noqa: ASYNC110 the server has no event for it
            await asyncio.sleep(0.01)
        out, _ = await load.communicate(b"")
        server.close()
        return json.loads(out), served

    return asyncio.run(asyncio.wait_for(scenario(), 60))


def test_every_request_is_counted_by_what_came_of_it():
    said, served = told("--rate=200", f"--requests={N_REQUESTS}")
    outcomes = Counter(said["outcomes"])
    assert said["requests"] == served.n >= N_REQUESTS
    assert {status: outcomes[status] for status in ("200", "503")} == {
        status: served.did[status] for status in ("200", "503")
    }
    assert said["failed"] == served.did["503"] + served.did["cut"]
    assert {what.partition(":")[0] for what in outcomes} == {"200", "503", "new", "kept"}


def test_versions_are_told_apart():
    said, _ = told("--rate=200", f"--requests={N_REQUESTS}")
    first, second = said["versions"]["a1"], said["versions"]["b2"]
    assert first["last"] <= second["first"]
    assert first["answers"] + second["answers"] == said["outcomes"]["200"]


def test_clients_send_as_fast_as_they_are_answered():
    said, served = told("--clients=4")
    assert said["requests"] == served.n
    assert said["outcomes"]["kept: IncompleteReadError"] == served.did["cut"]
