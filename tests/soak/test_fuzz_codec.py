"""Tens of thousands of requests over real HTTP: each is answered as documented, none finds a bug.

Drawing a body takes ten times as long as answering it, so each that Hypothesis draws is sent as it
is and with bytes spoilt in several ways.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.settings import Settings
from tests.service import bodies
from tests.service.arrow import SEEDS as STREAMS
from tests.service.arrow import spoilt
from tests.service.dialects import OUTPUTS, asked_for, in_tensors
from tests.service.documented import Document
from tests.service.fakes import NOT_A_NUMBER, ROWS, fake_scorer
from tests.service.serving import metric, served, unexpected
from tests.service.test_protocols import binaries, invocations, tensors

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

VARIANTS = 8
WORD = re.compile(rb'"(?:[^"\\]|\\.)*"|[\w.+-]+')
WORDS = [
    *(b"null", b"true", b"0", b"-1", b"2", b"1e400", b"NaN", b"-Infinity", b"9223372036854775808"),
    *(b"[]", b"{}", b'""', b'"\\ud800"', f'"{bodies.MARK}"'.encode(), b"\xff", b'"data"'),
]
JSON, CSV = "application/json", "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Request:
    """What is sent; `path` is the document's, and `names` stand in it for what is in braces."""

    path: str
    body: bytes = b""
    headers: dict[str, str | None] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    method: str = "POST"
    names: tuple[tuple[str, str], ...] = (("name", "houses"), ("version", "7"))

    def send(self, client: httpx.Client) -> httpx.Response:
        path = self.path
        for name, value in self.names:
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        # As Latin-1, because a client may send any byte.
        headers = [
            (name.encode(), value.encode("latin-1"))
            for name, value in self.headers.items()
            if value
        ]
        query = urlencode(self.query, errors="surrogatepass")
        return client.request(self.method, f"{path}?{query}", content=self.body, headers=headers)


def mostly(good: st.SearchStrategy[Any], bad: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(good, good, good, good, good, good, bad)


OPTIONS: dict[str, list[Any]] = {
    "output_space": ["probability", "margin"],
    "deadline_ms": [1, 0.5, 600_000, 0, 1e400],
    "outputs": ["all", "predicted", "moves", ["stays", "moves"], []],
    "top_k": [1, 3, 100, 0],
    "layout": ["guide", "rows"],
    "explain": [
        *(True, False, {"class": "moves", "above": 0.54}, {"classes": ["stays"]}),
        *({"classes": ["moves"], "class": "stays", "below": 1, "above": 0}, {"class": "moves"}),
    ],
    "interactions": [False, True],
    "baseline": [None, "none"],
}
chosen = st.sampled_from(sorted(OPTIONS)).flatmap(
    lambda name: st.tuples(st.just(name), mostly(st.sampled_from(OPTIONS[name]), bodies.values))
)
pairs = st.lists(mostly(chosen, st.tuples(bodies.invented, bodies.values)), max_size=3)
no_options: st.SearchStrategy[Any] = st.just([])
queries = st.one_of(no_options, pairs).map(
    lambda given: tuple(
        (name, value if isinstance(value, str) else json.dumps(value)) for name, value in given
    )
)

rows = bodies.good_rows.map(lambda rows: json.loads(json.dumps(rows).replace("NaN", "null")))
good = st.builds(lambda write, rows: write(rows), st.sampled_from(bodies.ORIENTATIONS), rows)
envelopes = st.builds(
    lambda data, options: {"data": data, "options": options},
    good | bodies.nearly_good_bodies(),
    mostly(pairs.map(dict), bodies.values),
)
json_bodies = bodies.texts(good) | bodies.texts(envelopes) | bodies.any_body
as_json = st.builds(
    lambda path, body, query, kind, later: Request(
        path, body, {"content-type": kind, "prefer": later}, query
    ),
    st.sampled_from(["/score", "/models/{name}/score"]),
    json_bodies,
    queries,
    st.sampled_from([JSON, JSON, JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=x"]),
    st.sampled_from([None, None, None, None, "respond-async", "wait=1, respond-async"]),
)


def in_csv(rows: list[dict[str, Any]]) -> str:
    cells = [["" if row[name] is None else str(row[name]) for name in row] for row in rows]
    return "\r\n".join(",".join(line) for line in [list(rows[0]), *cells])


cells = st.one_of(bodies.invented, st.sampled_from(["", "1_000", '"', '"a,b"', "1e400", "nan"]))
tables = st.lists(st.lists(cells, min_size=5, max_size=5).map(",".join), max_size=4).map(
    lambda lines: "\n".join(["age,rooms,owner,city,plan", *lines])
)
as_csv = st.builds(
    lambda path, text, query, kind: Request(
        path, text.encode("utf-8", "surrogatepass"), {"content-type": kind}, query
    ),
    st.sampled_from(["/score", "/invocations"]),
    st.one_of(rows.map(in_csv), rows.map(in_csv), tables, st.text(max_size=40)),
    queries,
    st.sampled_from([CSV, CSV, CSV, f"{CSV}; header=present", f"{CSV};header=absent"]),
)

as_arrow = st.builds(
    lambda body, accept, query: Request(
        "/score", body, {"content-type": ARROW, "accept": accept}, query
    ),
    st.sampled_from(STREAMS),
    st.sampled_from(["*/*", ARROW, f"{JSON};q=0.1, {ARROW};q=0.5"]),
    queries,
)

BOMB = gzip.compress(bytes(3_000_000), mtime=0)
gzipped = st.one_of(
    bodies.texts(good).map(partial(gzip.compress, mtime=0)), st.sampled_from([BOMB, BOMB[:900]])
)
as_gzip = st.builds(
    lambda body, more, encoding: Request(
        "/score", body + more, {"content-type": JSON, "content-encoding": encoding}
    ),
    gzipped,
    st.sampled_from([b"", b"", b"", gzip.compress(b" ", mtime=0), bodies.MARK.encode()]),
    st.sampled_from(["gzip", "gzip", "gzip", "x-gzip", "GZIP", "identity", "deflate", "gzip, br"]),
)

as_invocations = st.builds(
    lambda body, query: Request("/invocations", body, {"content-type": JSON}, query),
    bodies.texts(invocations) | bodies.any_body,
    queries,
)
as_instances = st.builds(
    lambda path, body, query: Request(path, body, {"content-type": JSON}, query),
    st.sampled_from(["/v1/models/{name}:predict", "/v1/models/{name}:explain"]),
    bodies.texts(rows.map(lambda rows: {"instances": rows}))
    | bodies.texts(st.fixed_dictionaries({"instances": bodies.nearly_good_bodies()}))
    | bodies.any_body,
    queries,
)
EVERYTHING = asked_for(*OUTPUTS, binary_data=True)
as_tensors = st.builds(
    lambda path, body, query: Request(
        path, body[0], {"content-type": "application/octet-stream", LENGTH: body[1]}, query
    ),
    st.sampled_from(["/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"]),
    st.one_of(
        st.tuples(bodies.texts(rows.map(in_tensors)), st.none()),
        st.tuples(bodies.texts(rows.map(lambda rows: in_tensors(rows) | EVERYTHING)), st.none()),
        st.tuples(bodies.texts(tensors()), st.none()),
        binaries(),
    ),
    mostly(no_options.map(tuple), queries),
)

ids = st.text("ab-_X9", min_size=32, max_size=32) | bodies.invented | st.text(min_size=1)
as_ids = st.builds(
    lambda method, id_: Request("/explanations/{id}", method=method, names=(("id", id_),)),
    st.sampled_from(["GET", "DELETE"]),
    ids.filter(lambda text: text.isprintable() and text not in {".", ".."}),
)

printable = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["Cc"]))
HEADERS: dict[str, list[str]] = {
    "content-type": [JSON, CSV, ARROW, "application/json;;", "text/html", "multipart/form-data"],
    "accept": ["*/*", "text/html", ARROW, f"{ARROW};q=x", ",;,=", f"{JSON};q=1,{ARROW};q=nan"],
    "prefer": ["respond-async", "Respond-Async;x=1", '"respond-async"', 'a="b, respond-async', ","],
    "x-request-id": ["mine", "a" * 128, "a" * 129, "a b"],
    "content-encoding": ["identity", "gzip", "gzip,gzip", ","],
    "authorization": ["Bearer x", "Basic x", "Bearer"],
    "expect": ["100-continue", "a miracle"],
    LENGTH: ["0", "9" * 30, "-1"],
}
one_header = st.sampled_from(sorted(HEADERS)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(HEADERS[name]) | printable)
)
as_headers = st.builds(
    lambda path, headers: Request(
        path, json.dumps(ROWS).encode(), {"content-type": JSON, **dict(headers)}
    ),
    st.sampled_from(["/score", "/invocations", "/v2/models/{name}/infer"]),
    st.lists(one_header, max_size=3),
)


@dataclass(frozen=True)
class Kind:
    """Requests of one kind.

    Parameters
    ----------
    some : where they are drawn from.
    n_cases : how many are sent.
    reached : the outcomes that must be among them: 200, or why not.
    always : requests for outcomes that are rarely drawn.
    variants : how many are sent of each that is drawn.
    """

    some: st.SearchStrategy[Request]
    n_cases: int
    reached: set[Any]
    always: tuple[Request, ...] = ()
    variants: int = VARIANTS


def plain(path: str, body: Any, **headers: str) -> Request:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(path, content, {"content-type": JSON, **headers})


INFER = "/v2/models/{name}/infer"
KINDS = {
    "json": Kind(
        as_json,
        6_000,
        {200, 202, "broken_json", "schema_violations", "invalid_option", "body_too_large"}
        | {"too_many_rows", "unsupported_media_type"},
        (
            plain("/score", b"{"),
            plain("/score", ROWS * 7),
            plain("/score", b" " * 6_000),
            plain("/score", ROWS, prefer="respond-async"),
            plain("/score", [ROWS[0] | {"age": NOT_A_NUMBER}]),
        ),
    ),
    "csv": Kind(
        as_csv,
        2_000,
        {200, "unreadable_body", "schema_violations", "invalid_option", "unsupported_media_type"},
        (Request("/score", b'age\n"', {"content-type": CSV}),),
    ),
    "arrow": Kind(
        as_arrow,
        4_000,
        {200, "unreadable_body", "schema_violations", "invalid_option", "unsupported_media_type"},
    ),
    "gzip": Kind(
        as_gzip,
        1_500,
        {200, "broken_encoding", "body_too_large", "unsupported_media_type", "broken_json"},
        (plain("/score", gzip.compress(b"{"), **{"content-encoding": "gzip"}),),
    ),
    "mlflow": Kind(
        as_invocations,
        2_000,
        {200, "broken_json", "schema_violations", "invalid_option"},
        (plain("/invocations", b"{"),),
    ),
    "kserve v1": Kind(
        as_instances,
        1_500,
        {200, "broken_json", "schema_violations", "invalid_option"},
        (plain("/v1/models/{name}:explain", b"{"),),
    ),
    "open inference": Kind(
        as_tensors,
        3_500,
        {200, "broken_json", "schema_violations", "invalid_option"},
        (plain(INFER, b"{"),),
    ),
    "ids": Kind(as_ids, 400, {"unknown_explanation"}, variants=1),
    "headers": Kind(
        as_headers,
        1_500,
        {200, 202, "unsupported_media_type", "schema_violations"},
        (plain("/score", ROWS, prefer="respond-async"),),
        variants=2,
    ),
}


def variants(request: Request, seed: int, count: int) -> Iterator[Request]:
    """A request, and what becomes of it when its body is spoilt."""
    yield request
    rng = Random(seed)  # noqa: S311 bytes to spoil, no secrets
    ways = [spoilt] if request.headers.get("content-type") == ARROW else [spoilt, reworded]
    for _ in range(count - 1):
        yield replace(request, body=rng.choice(ways)(rng, request.body))


def reworded(rng: Random, body: bytes) -> bytes:
    """A text with a word or two replaced: by another one of it, or by one that is rarely right."""
    words = WORD.findall(body) or [b""]
    for _ in range(rng.randint(1, 2)):
        body = body.replace(rng.choice(words), rng.choice([*WORDS, *words[:20]]), 1)
    return body


def outcome(answer: httpx.Response) -> Any:
    """200 and the like, or the code of a refusal."""
    if answer.status_code < 400:
        return answer.status_code
    body = answer.json()
    return body.get("details", body["error"])["code"]


def asker(client: httpx.Client, seen: Counter[Any]) -> Callable[[Request], None]:
    document = Document(client)

    def ask(request: Request) -> None:
        answer = request.send(client)
        document.check(answer, request.path)
        seen[outcome(answer)] += 1
        if answer.status_code >= 400:
            assert bodies.MARK not in answer.text
            assert bodies.MARK not in str(answer.headers)

    return ask


@pytest.mark.parametrize("name", KINDS)
def test_any_request_is_answered_as_documented(name):
    kind, seen = KINDS[name], Counter[Any]()
    limits = Settings(max_rows=20, max_body_bytes=5_000, max_decoded_bytes=20_000)
    # Hypothesis tries constants that it reads in the sources, the one of the bug among them.
    with served({"houses": fake_scorer(raises=False)}, limits) as client:
        ask = asker(client, seen)
        for request in kind.always:
            ask(request)
        n_drawn = -(-kind.n_cases // kind.variants)

        @settings(
            max_examples=n_drawn,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(kind.some, st.integers(0, 2**32))
        def fuzz(request, seed):
            for variant in variants(request, seed, kind.variants):
                ask(variant)

        fuzz()
        assert unexpected(client) == 0
        assert metric(client, "shapserve_requests_total") >= kind.n_cases
    assert seen.keys() >= kind.reached, seen


def test_there_are_enough_of_them():
    assert sum(kind.n_cases for kind in KINDS.values()) >= 20_000
