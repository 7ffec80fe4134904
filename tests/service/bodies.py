"""Strategies for request bodies: good ones, nearly good ones, and noise.

Every text that a client invents holds MARK, so that an answer that echoes any shows it.
"""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import strategies as st

from tests.service.fakes import SCHEMA, in_columns, in_split

MARK = "\N{CURRENCY SIGN}"

invented = st.text(max_size=8).map(lambda text: MARK + text)
names = st.sampled_from([*SCHEMA.names, "columns", "index", "data"])
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, 1, 2**63, 2**64, -(2**63) - 1, 10**308, 10**400, 1e308, -0.0]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, invented, st.just("\ud800" + MARK))
values = st.recursive(
    st.one_of(scalars, names),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(names | invented, inner, max_size=4)
    ),
    max_leaves=8,
)

good_rows = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.floats(-1e6, 1e6) | st.integers(-1000, 1000),
            "rooms": st.integers(1, 9) | st.none() | st.just(math.nan),
            "owner": st.booleans(),
            "city": st.sampled_from(["Ghent", "Lille", "Bruges"]),
            "plan": st.sampled_from(["basic", "plus", None]),
        }
    ),
    min_size=1,
    max_size=6,
)


def in_records(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as they are."""
    return rows


def in_lists(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """A list for each column."""
    return {name: [row[name] for row in rows] for name in rows[0]}


ORIENTATIONS = (in_records, in_columns, in_split, in_lists)

good_bodies = st.builds(lambda write, rows: write(rows), st.sampled_from(ORIENTATIONS), good_rows)


@st.composite
def nearly_good_bodies(draw: st.DrawFn) -> Any:
    """A good body with a few places of its tree spoilt."""
    body = json.loads(json.dumps(draw(good_bodies)))
    for _ in range(draw(st.integers(1, 3))):
        body = _spoil(draw, body)
    return body


def _spoil(draw: st.DrawFn, tree: Any) -> Any:
    """Replace, remove, add or reorder something, here or further down."""
    if not isinstance(tree, (dict, list)) or not tree or draw(st.integers(0, 9)) == 0:
        return draw(values)
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key = draw(st.sampled_from(keys))
    match draw(st.sampled_from(["deeper", "deeper", "remove", "add", "turn"])):
        case "deeper":
            tree[key] = _spoil(draw, tree[key])
        case "remove":
            del tree[key]
        case "add" if isinstance(tree, dict):
            tree[draw(names | invented)] = draw(values)
        case "add" if isinstance(tree, list):
            tree.insert(key, draw(values))
        case _ if isinstance(tree, dict):
            tree = dict(reversed(tree.items()))
        case _:
            tree.reverse()
    return tree


@st.composite
def texts(draw: st.DrawFn, bodies: st.SearchStrategy[Any]) -> bytes:
    """A body's JSON, some of it with bytes cut out, doubled or replaced."""
    text = json.dumps(draw(bodies), ensure_ascii=draw(st.booleans()))
    body = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(body))] * 2)))
        piece = draw(st.sampled_from([b"", body[start:end] * 2]) | st.binary(max_size=6))
        body = body[:start] + piece + body[end:]
    return body


any_body = st.one_of(
    texts(nearly_good_bodies()),
    texts(nearly_good_bodies()),
    texts(good_bodies),
    texts(values),
    st.binary(max_size=40),
    st.integers(1, 3000).map(lambda depth: b"[" * depth),
    st.integers(1, 6000).map(lambda digits: b'{"age": [' + b"9" * digits + b"]}"),
)
