"""A large request as an Arrow stream: how long, and how much more memory."""

from __future__ import annotations

import io
import threading
import time
import urllib.request
from dataclasses import dataclass

import pyarrow as pa

from benchmarks.load import servers
from benchmarks.subjects import named

N_ROWS = 10_000
MEDIA = "application/vnd.apache.arrow.stream"
EVERY = 0.02  # seconds between looks at the memory


@dataclass(frozen=True)
class Streamed:
    """One large request, after one of the same kind.

    Parameters
    ----------
    mebibytes, answer_mebibytes : of the request and of the answer.
    first_byte, seconds : until the answer began, and until it was there.
    before, peak : resident MiB of the server.
    """

    mebibytes: float
    answer_mebibytes: float
    first_byte: float
    seconds: float
    before: float
    peak: float


def measure(artifact, way):
    """Post the rows and read the answer as it comes."""
    rows = named(way.subject).fresh(N_ROWS, 6)
    names = [f"feature_{j}" for j in range(rows.shape[1])]
    batch = pa.record_batch([pa.array(column) for column in rows.T], names=names)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    body = sink.getvalue()
    with servers.shapserve(artifact) as server:
        _post(server.url, body)
        before = server.mebibytes
        done, peaks = threading.Event(), [before]

        def watch():
            while not done.wait(EVERY):
                peaks.append(server.mebibytes)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            size, first, seconds = _post(server.url, body)
        finally:
            done.set()
            watcher.join()
    return Streamed(len(body) / 2**20, size / 2**20, first, seconds, before, max(peaks))


def _post(url, body):
    headers = {"Content-Type": MEDIA, "Accept": MEDIA}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 our own address
    start = time.perf_counter()
    with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310
        first = time.perf_counter() - start
        n_rows = sum(batch.num_rows for batch in pa.ipc.open_stream(answer))
        size = answer.length or 0
    if n_rows != N_ROWS:
        raise RuntimeError(f"{n_rows} rows came back")
    return size, first, time.perf_counter() - start
