"""Pickles made to harm: each is refused, and the marker it would leave shows that nothing ran."""

import functools
import importlib
import os
import pickle
import pickletools
import struct
import subprocess
from typing import get_type_hints

import numpy as np
import pytest

from scoring import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactUntrusted,
    KernelScoringExplainer,
    load,
    unpickle,
)
from scoring.unpickle import CLASSES
from tests.malice.hostile import PICKLE, Call, touch
from tests.saved import sign


def joblib_file(marker):
    path = marker.with_name("evil.joblib")
    path.write_bytes(pickle.dumps(touch(marker)))
    return Call(importlib.import_module("joblib").load, str(path))


def numpy_file(marker):
    path = marker.with_name("evil.npy")
    np.save(path, np.array([touch(marker)], dtype=object))
    return Call(np.load, str(path), None, True)


def runstring(marker):
    from numpy.testing._private import utils

    return Call(utils.runstring, f"open({str(marker)!r}, 'w').close()", {})


GADGETS = {
    "os.system": touch,
    "eval": lambda marker: Call(eval, f"open({str(marker)!r}, 'w').close()"),
    "exec": lambda marker: Call(exec, f"open({str(marker)!r}, 'w').close()"),
    "open": lambda marker: Call(open, str(marker), "w"),
    "subprocess": lambda marker: Call(subprocess.check_output, ["touch", str(marker)]),
    "getattr": lambda marker: Call(getattr, Call(importlib.import_module, "os"), "system"),
    "pickle.loads": lambda marker: Call(pickle.loads, pickle.dumps(touch(marker))),
    "partial": lambda marker: functools.partial(os.system, f"touch {marker}"),
    "numpy.load": numpy_file,
    "numpy.memmap": lambda marker: Call(np.memmap, str(marker), "u1", "w+", 0, (1,)),
    "numpy runstring": runstring,
    "numpy.ndarray": lambda _: np.zeros(3),
    "numpy.dtype": lambda _: np.dtype("f8"),
    "joblib.load": joblib_file,
    "joblib.Memory": lambda marker: importlib.import_module("joblib").Memory(str(marker.parent)),
    "an object array": lambda marker: np.array([touch(marker)], dtype=object),
    "a bytearray": lambda _: bytearray(5),
    "a set": lambda _: {1},
}


HARMLESS = {"getattr", "partial", "numpy.ndarray", "numpy.dtype", "joblib.Memory", "a bytearray",
            "a set", "open"}  # fmt: skip


@pytest.mark.parametrize("name", sorted(GADGETS.keys() - HARMLESS))
def test_each_does_its_harm_where_nobody_stops_it(tmp_path, name):
    marker = tmp_path / "harm"
    pickle.loads(pickle.dumps(GADGETS[name](marker)))
    assert marker.exists()


@pytest.mark.parametrize("signed", [False, True], ids=["stale hash", "true hash"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("name", GADGETS)
def test_a_pickle_that_reaches_for_more_is_refused(damaged, marker, name, protocol, signed):
    data = pickle.dumps(GADGETS[name](marker), protocol)
    (damaged / PICKLE).write_bytes(data)
    digest = sign(damaged) if signed else None  # the attacker's own digest is even pinned
    with pytest.raises(ArtifactError, match=PICKLE) as caught:
        load(damaged, digest)
    assert caught.value.remedy
    assert signed is (type(caught.value) is ArtifactUntrusted)


# --- By hand: what no pickler writes --------------------------------------------------------------


def text(word):
    data = word.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def named(module, name):
    return text(module) + text(name) + b"\x93"  # STACK_GLOBAL


def program(*opcodes):
    return b"\x80\x05" + b"".join(opcodes) + b"."


def impostor(code):
    """A reference that a state makes a stand-in, for a "class" with code in its annotations."""
    notes = b"}" + text("__annotations__") + b"}" + text("x") + text(code) + b"ss"
    other = text("array:q") + b"Q" + notes + b"b"
    state = b"}" + text("stands_for") + other + b"s" + text("state") + b"}s"
    slots = b"}" + text("__class__") + named("scoring.table", "Table") + b"s"
    return program(text("array:p") + b"Q" + state + slots + b"\x86b")


FEATURE, TABLE = named("scoring.schema", "Feature"), named("scoring.table", "Table")
STATE = b"}" + text("name") + text("x") + b"s"
HAND_MADE = {
    "a name outside the list": program(named("os", "system"), b")\x81"),
    "a name of ours that is not on the list": program(named("scoring.artifact", "load"), b")\x81"),
    "a dotted name": program(named("scoring.schema", "Feature.__init__.__globals__"), b")\x81"),
    "constructor arguments": program(FEATURE, text("x"), b"\x85\x81"),
    "a constructor that is called": program(FEATURE, b")R"),
    "keyword arguments": program(FEATURE, b")}\x92"),
    "a class by its old opcode": program(b"cos\nsystem\n"),
    "an instance by its old opcode": program(b"(ios\nsystem\n"),
    "a class from the registry of extensions": program(b"\x82\x01"),
    "a giant memo index": program(FEATURE, b")\x81r\xff\xff\xff\x7f"),
    "a small memo index": program(FEATURE, b")\x81q\x01"),
    "a memo": program(FEATURE, b")\x81\x94"),
    "a state for a class": program(FEATURE, STATE, b"b"),
    "a state for a reference": program(text("array:operator"), b"Q", STATE, b"b"),
    "a reference that becomes a class": impostor("exit(3)"),
    "a state for a list": program(b"]", STATE, b"b"),
    "a reference that is no text": program(b"K\x01Q"),
    "a class instead of an object": program(FEATURE),
    "plain data": program(b"}"),
    "another of our classes": program(FEATURE, b")\x81", STATE, b"b"),
    "no state": program(FEATURE, b")\x81"),
    "an item for an object": program(FEATURE, b")\x81", text("a"), text("b"), b"s"),
    "an unhashable key": program(b"}]", text("b"), b"s"),
    "an empty stack": program(b"\x81"),
    "nothing": b"",
    "no end": program(FEATURE)[:-1],
    "more after the end": program(b"N") + b"N.",
    "a frame that is too large": b"\x80\x05\x95" + b"\xff" * 7 + b"\x7fN.",
    "a text that is too large": program(b"X\xff\xff\xff\x7fabc"),
    "a long text": program(b"\x8d" + b"\xff" * 8 + b"abc"),
    "bytes": program(b"C\x01a"),
    "a buffer": program(b"\x97"),
    "a deep nest": program(b")" + b"\x85" * 200_000),
    "a deep list": program(b"]" * 200_000 + b"a" * 199_999),
    "an unknown opcode": program(b"\xfe"),
}  # fmt: skip


@pytest.mark.parametrize("name", HAND_MADE)
def test_a_hand_made_pickle_is_refused(damaged, name):
    (damaged / PICKLE).write_bytes(HAND_MADE[name])
    sign(damaged)
    with pytest.raises((ArtifactUntrusted, ArtifactCorrupt), match=PICKLE):
        load(damaged)


def test_a_reference_cannot_become_a_class(damaged, marker):
    (damaged / PICKLE).write_bytes(impostor(f"open({str(marker)!r}, 'w').close()"))
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match="a reference is given a state"):
        load(damaged)


def test_a_class_is_told_by_its_stand_in_only(marker, monkeypatch):
    """The second fence against the same, where a reference does take a state."""

    class Named(str):  # noqa: SLOT000 it has room for a state, which is the point
        pass

    monkeypatch.setattr(unpickle, "_Named", Named)
    with pytest.raises(ArtifactCorrupt):
        unpickle.loads(
            impostor(f"open({str(marker)!r}, 'w').close()"), lambda name: np.zeros(1), PICKLE
        )


def test_annotations_are_evaluated_of_our_classes_only(marker):
    """The third fence."""

    class Foreign:
        __annotations__ = {"x": f"open({str(marker)!r}, 'w').close()"}

    with pytest.raises(TypeError, match="not on the list"):
        unpickle._annotations(Foreign)


def test_nothing_that_a_pickle_makes_takes_attributes():
    """A state goes through `__setstate__`, and there is no room for anything beside it."""
    made = [stand_in() for stand_in in unpickle.STAND_INS.values()]
    for each in [*made, unpickle._Named("array:x")]:
        assert not hasattr(each, "__dict__")
        assert hasattr(type(each), "__setstate__")
        with pytest.raises((AttributeError, TypeError)):
            each.stands_for = object


def test_an_object_has_no_place_where_anything_may_be(artifact):
    """A report holds what JSON says, and none of our classes."""
    loaded = load(artifact)
    feature = loaded.predictor.schema.features[0]
    data = rewritten(loaded, report={"x": feature})
    arrays = {"operator": loaded.operator, "background.table.codes": loaded.background.table.codes}
    known = lambda name: arrays.get(name.removeprefix("array:"), np.zeros(1))  # noqa: E731 short
    with pytest.raises(ArtifactCorrupt, match="report is of another type"):
        unpickle.loads(data, known, PICKLE)


@pytest.mark.parametrize("cut", range(0, 3000, 101))
def test_a_pickle_cut_anywhere_is_refused(damaged, cut):
    data = (damaged / PICKLE).read_bytes()
    (damaged / PICKLE).write_bytes(data[: -cut - 1])
    sign(damaged)
    with pytest.raises(ArtifactError, match=PICKLE):
        load(damaged)


def test_no_flipped_byte_in_a_pickle_is_worse_than_a_refusal(artifact, tmp_path):
    """A signed pickle with one byte changed loads as data or is refused; it never crashes."""
    data = (artifact / PICKLE).read_bytes()
    opened = {name: np.zeros(1) for name in ("model",)}
    rng = np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    for position in rng.integers(0, len(data), 1500):
        changed = bytearray(data)
        changed[position] ^= int(rng.integers(1, 256))
        try:
            unpickle.loads(bytes(changed), lambda name: opened.get(name, np.zeros(1)), PICKLE)
            outcomes["read"] += 1
        except ArtifactError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 500


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("name", GADGETS)
def test_the_allow_list_alone_keeps_all_of_them_out(marker, monkeypatch, name, protocol):
    """The second fence, with the first one down."""
    data = pickle.dumps(GADGETS[name](marker), protocol)
    monkeypatch.setattr(unpickle, "_scan", lambda *_: None)
    with pytest.raises((ArtifactUntrusted, ArtifactCorrupt)):
        unpickle.loads(data, lambda name: np.zeros(1), PICKLE)


def test_a_whole_pickle_with_more_behind_it_is_refused(damaged):
    (damaged / PICKLE).write_bytes((damaged / PICKLE).read_bytes() + b"N.")
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match="after its end"):
        load(damaged)


def test_a_nest_too_deep_for_a_stack_is_refused(damaged):
    kind = KernelScoringExplainer
    deep = b"]" * 200_000 + b"a" * 199_999
    names = sorted(get_type_hints(kind), key=lambda name: name != "report")
    state = b"}" + b"".join(
        text(name) + (b"}" + text("a") + deep + b"s" if name == "report" else b"N") + b"s"
        for name in names
    )
    (damaged / PICKLE).write_bytes(
        program(named(kind.__module__, kind.__name__), b")\x81", state, b"b")
    )
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match="recursion"):
        load(damaged)


NEEDED = sorted(
    name
    for name in get_type_hints(KernelScoringExplainer)
    if not hasattr(KernelScoringExplainer, name)
)  # the others have a default


@pytest.mark.parametrize("lacking", NEEDED)
def test_an_explainer_that_lacks_something_is_refused(damaged, monkeypatch, lacking):
    kept, loaded = unpickle._annotations, load(damaged)
    monkeypatch.setattr(
        unpickle, "_annotations", lambda kind: {k: v for k, v in kept(kind).items() if k != lacking}
    )
    data = rewritten(loaded)
    monkeypatch.undo()
    (damaged / PICKLE).write_bytes(data)
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match=f"lacks {lacking}"):
        load(damaged)


def test_no_constructor_of_ours_runs_before_its_attributes_are_checked(damaged, monkeypatch):
    for kind in CLASSES.values():
        monkeypatch.setattr(kind, "__setstate__", os.abort, raising=False)
        monkeypatch.setattr(kind, "__init__", os.abort)
    (damaged / PICKLE).write_bytes(program(TABLE, b")\x81", STATE, b"b"))
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match="other attributes"):
        load(damaged)


def test_the_allow_list_names_our_own_classes_only():
    assert {module.partition(".")[0] for module, _ in CLASSES} == {"scoring"}
    assert {kind.__module__.partition(".")[0] for kind in CLASSES.values()} == {"scoring"}


def test_a_whole_pickle_holds_no_opcode_that_calls(artifact):
    used = {op.name for op, _, _ in pickletools.genops((artifact / PICKLE).read_bytes())}
    assert used <= unpickle.OPCODES
    calling = {"REDUCE", "GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
    assert not unpickle.OPCODES & (calling | {"BINPUT", "LONG_BINPUT", "PUT", "BINGET", "MEMOIZE"})


def rewritten(loaded, **changes):
    """The pickle of the explainer with attributes of another type or content."""
    arrays = {id(value): f"array:{name}" for name, value in vars(loaded).items()
              if isinstance(value, np.ndarray)}  # fmt: skip
    design, background = loaded.design, loaded.background
    arrays |= {id(design.masks): "array:design.masks", id(design.weights): "array:design.weights"}
    arrays |= {id(background.weights): "array:background.weights"}
    arrays |= {id(background.table.codes): "array:background.table.codes"}
    arrays[id(loaded.predictor.model)] = "model"
    changed = type(loaded).restore({**vars(loaded), "reference": None, **changes})
    return unpickle.dumps(changed, arrays)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": 5},
        {"method": None},
        {"block_bytes": "many"},
        {"block_bytes": 0},
        {"block_bytes": True},
        {"report": []},
        {"report": {1: 2}},
        {"operator": (1.0, 2.0)},
        {"predictor": {}},
        {"background": ()},
    ],
    ids=str,
)
def test_attributes_of_another_type_are_refused(damaged, changes):
    (damaged / PICKLE).write_bytes(rewritten(load(damaged), **changes))
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match=PICKLE):
        load(damaged)


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "operator\0", "", "model"])
def test_an_array_outside_is_not_looked_for(damaged, tmp_path, name):
    np.save(tmp_path / "outside.npy", np.zeros(3))
    data = (damaged / PICKLE).read_bytes()
    old = b"\x8c" + bytes([len("array:operator")]) + b"array:operator"
    assert old in data
    new = f"array:{name}".encode()
    (damaged / PICKLE).write_bytes(unframed(data.replace(old, b"\x8c" + bytes([len(new)]) + new)))
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match=PICKLE):
        load(damaged)


def unframed(data):
    """A pickle without its frames, whose lengths no longer fit."""
    frames = [position for op, _, position in pickletools.genops(data) if op.name == "FRAME"]
    for position in filter(None, reversed(frames)):
        data = data[:position] + data[position + 9 :]
    return data
