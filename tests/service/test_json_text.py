"""The fast parser and the careful one are one: the fast one is believed only where it is right."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.codec import json_text
from service.codec.json_text import RepeatedKeys, _carefully, parse
from service.errors import BrokenBody
from tests.service import bodies


def tree(read, body):
    """What a parser makes of a body, with repeated keys told from others; or that it refuses."""
    try:
        return plain(read(body))
    except BrokenBody as exc:
        return exc.message


def plain(value):
    if isinstance(value, dict):
        repeated = value.repeated if isinstance(value, RepeatedKeys) else ()
        return ("object", repeated, [(key, plain(each)) for key, each in value.items()])
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return repr(float(value)) if abs(value) < 10**308 else "too large"
    return repr(value)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(bodies.any_body)
def test_bodies_are_read_alike(body):
    assert tree(parse, body) == tree(_carefully, body)


# Few keys, so that they often repeat; colons and escaped colons within texts.
keys = st.sampled_from(["a", "data", "options", "a:b", "\\u003a", "\\u0061", "x"])
leaves = st.sampled_from(["1", "-0.5", "null", "true", '"a:b"', '"\\u003a"', '""', "[]", "{}"])
objects = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]"),
        st.lists(st.tuples(keys, inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}"
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(objects)
def test_no_repeated_key_is_lost(text):
    assert tree(parse, text.encode()) == tree(_carefully, text.encode())


USUAL = [
    {"age": {"0": 1.5, "1": 2}, "city": {"0": "Ghent", "1": None}},
    {"age": [1.5, 2], "city": ["Ghent", None]},
    [{"age": 1.5, "city": "Ghent"}, {"age": 2, "city": None}],
    {"columns": ["age", "city"], "index": [0, 1], "data": [[1.5, "Ghent"], [2, None]]},
    {"data": [{"age": 1.5}, {"age": 2}], "options": {"top_k": 3, "explain": {"classes": ["a"]}}},
    {"data": {"age": {"0": 1.5}, "city": {"0": "Ghent"}}, "options": {"layout": "rows"}},
    {"data": {"columns": ["age"], "data": [[1.5]]}, "options": {}},
]


@pytest.mark.parametrize("body", USUAL)
def test_usual_bodies_need_no_careful_parser(body, monkeypatch):
    monkeypatch.setattr(json_text, "_carefully", None)
    assert parse(json.dumps(body).encode()) == body
