"""What the service does under load, as a page."""

from __future__ import annotations

from benchmarks.tables import table

INTRODUCTION = """\
# The service under load

`make bench-service` wrote this page and `service.json` in one run. The server has one processor to
itself and one worker, with everything on that ships (validation, limits, logs, metrics); who asks
has the other. Requests are one row of 30 features in the guide's columns, each another row. Tree:
RandomForest(100) against 100 background rows; linear: a logistic regression in probability space;
kernel: the guide's SVC, 2,108 coalitions against 10 background rows."""

COMMANDS = """\
At a fixed rate k6 sends when a request is due, whether or not earlier ones are answered, and
latency counts from then (`benchmarks/load/script.js`, executor `constant-arrival-rate`; dropped are
requests that were due when too many waited). "Full" is 0.9 of what 32 clients reach that wait for
their answers (`constant-vus`). The bare endpoint parses the same body with orjson and answers a
constant (`benchmarks/load/echo.py`), under uvicorn with the parser that ours has, httptools, and
with h11, which uvicorn takes where httptools is not installed; all were asked by `wrk -t1 -c16`.
Servers of ours that are compared (these, and those with and without merging) ran beside each other
and were asked in turn, five times each, because the machine's speed changes from minute to minute.
The same servers by hand:

    python -m benchmarks.load.echo 8000 httptools
    shapserve serve --artifact DIR --port 8000
    wrk -t1 -c16 -d10s -s benchmarks/load/post.lua http://127.0.0.1:8000/score"""

_VERDICTS = {True: "met", False: "NOT MET", None: ""}


def page(results):
    """The page, and whether all targets were met."""
    targets = list(_targets(results))
    parts = [INTRODUCTION, "\n".join(f"- {k}: {v}" for k, v in results.machine.items())]
    lines = [(what, wanted, told, _VERDICTS[met]) for what, wanted, told, met in targets]
    parts += ["## Targets", table(("target", "wanted", "measured", ""), lines)]
    parts += ["## Requests a second and latency", COMMANDS, _capacity(results)]
    if results.batching:
        parts += ["## Merging requests", _batching(results.batching)]
    if results.peers:
        parts += ["## Other servers", _peers(results.peers)]
    if results.arrow:
        parts += ["## A large request", _arrow(results.arrow)]
    if results.notes:
        parts += ["Apart: " + "; ".join(results.notes) + "."]
    parts += [f"The run took {results.seconds / 60:.1f} minutes."]
    return "\n\n".join(parts) + "\n", False not in [met for *_, met in targets]


def _targets(results):
    if results.limit:
        share = results.limit.ours / results.limit.echo
        told = f"{share:.0%} ({results.limit.ours:,.0f} of {results.limit.echo:,.0f})"
        yield "tree, one row: requests/s of a bare endpoint's", "≥ 50 %", told, share >= 0.5
        share = results.limit.ours / results.limit.echo_h11
        told = f"{share:.0%} ({results.limit.ours:,.0f} of {results.limit.echo_h11:,.0f})"
        yield "the same, of one with the parser h11", "", told, None
    if results.batching:
        b = results.batching
        factor = b.merged.rate / b.apart.rate
        yield "kernel, 32 clients: throughput by merging", "≥ 3 ×", f"{factor:.1f} ×", factor >= 3
        slower = b.alone.median / b.alone_apart.median
        yield "kernel, one client: median with merging", "≤ 1.1 ×", f"{slower:.2f} ×", slower <= 1.1
    for peer in results.peers:
        wanted = 20 if peer.way == "kernel" else 5
        factor = peer.ours.rate / peer.theirs.rate
        what = f"{peer.way}: requests/s over {peer.server}'s"
        yield what, f"≥ {wanted} ×", f"{factor:.1f} ×", factor >= wanted
    failed = max(
        (load.failed for c in results.capacity for load in (c.closed, c.half, c.full)), default=0.0
    )
    yield "requests that failed", "none", f"{failed:.2%}", failed == 0


def _capacity(results):
    header = ("path", "load", "requests/s", "p50, ms", "p99, ms", "dropped")
    lines = []
    for each in results.capacity:
        for name, load in (("32 clients", each.closed), ("half", each.half), ("full", each.full)):
            lines.append((each.way, name, *_told(load), f"{load.dropped:,}"))
    return table(header, lines)


def _batching(found):
    lines = [
        ("32 clients, merged", *_told(found.merged)),
        ("32 clients, one by one", *_told(found.apart)),
        ("one client, merging on", *_told(found.alone)),
        ("one client, merging off", *_told(found.alone_apart)),
    ]
    return table(("kernel path", "requests/s", "p50, ms", "p99, ms"), lines)


def _peers(peers):
    lines = []
    for peer in peers:
        lines.append((peer.way, "shapserve", *_told(peer.ours)))
        lines.append((peer.way, peer.server, *_told(peer.theirs)))
    return table(("path", "server", "requests/s", "p50, ms", "p99, ms"), lines)


def _arrow(found):
    return (
        f"10,000 rows as an Arrow stream of {found.mebibytes:.1f} MiB: the answer begins after "
        f"{found.first_byte:.2f} s and is whole after {found.seconds:.2f} s; the server holds "
        f"{found.before:.0f} MiB before and at most {found.peak:.0f} MiB meanwhile."
    )


def _told(load):
    return f"{load.rate:,.1f}", f"{load.median:.2f}", f"{load.p99:.2f}"
