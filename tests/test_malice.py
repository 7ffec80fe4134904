"""Files made to harm: each is refused, and the marker it would leave shows that nothing ran."""

import functools
import importlib
import io
import json
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import zipfile
from typing import get_type_hints

import numpy as np
import pytest

from scoring import unpickle
from scoring.arrays import mapped
from scoring.artifact import artifact_sha256, load, read_manifest, save
from scoring.errors import ArtifactCorrupt, ArtifactError, ArtifactUntrusted
from scoring.scoring_explainers import KernelScoringExplainer
from scoring.unpickle import CLASSES
from tests import saved
from tests.saved import explainer, manifest_of, sign

PICKLE = "scoring_explainer.pkl"


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return saved.saved(tmp_path_factory.mktemp("artifacts") / "logistic")


@pytest.fixture
def damaged(artifact, tmp_path):
    return saved.copy(artifact, tmp_path / "damaged")


@pytest.fixture
def marker(tmp_path):
    """A file that harm would leave."""
    path = tmp_path / "harm"
    yield path
    assert not path.exists(), "it ran"


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def touch(marker):
    return Call(os.system, f"touch {marker}")


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

    return Call(utils.runstring, f"open({str(marker)!r}, 'w')", {})


GADGETS = {
    "os.system": touch,
    "eval": lambda marker: Call(eval, f"open({str(marker)!r}, 'w')"),
    "exec": lambda marker: Call(exec, f"open({str(marker)!r}, 'w')"),
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


@pytest.mark.parametrize("signed", [False, True], ids=["stale hash", "true hash"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
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


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
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


@pytest.mark.parametrize("lacking", sorted(get_type_hints(KernelScoringExplainer)))
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
    changed = type(loaded).restore({**vars(loaded), **changes})
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


# --- Manifests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../outside.pkl",
        "/etc/passwd",
        "arrays/../../outside.npy",
        "arrays/..npy",
        "arrays/.hidden.npy",
        "arrays//x.npy",
        "arrays/a\\b.npy",
        "arrays/x.npy\n",
        "model.joblib",
        "arrays/é.npy",
        "",
    ],
)
def test_a_manifest_lists_files_of_an_artifact_only(damaged, tmp_path, name):
    (tmp_path / "outside.pkl").write_bytes(b"x")
    said = manifest_of(damaged)
    said["files"][name] = {"sha256": "0" * 64, "bytes": 1, "dtype": "float64", "shape": [1]}
    (damaged / "manifest.json").write_text(json.dumps(said))
    for read in (load, read_manifest):
        with pytest.raises(ArtifactUntrusted, match="no file of an artifact"):
            read(damaged)


@pytest.mark.parametrize(
    "model",
    [
        {"form": "python"},
        {"form": "skops"},
        {"form": "skops", "spaces": ["probability"]},
        {"form": "onnx", "spaces": ["probability", "margin"]},
        {"form": "onnx", "spaces": []},
        {"form": "onnx", "spaces": ["../x"]},
        {"form": "onnx", "spaces": "value"},
        {"form": ["onnx"], "spaces": ["probability"]},
        {},
    ],
    ids=str,
)
def test_a_model_in_another_form_than_its_files_is_refused(damaged, model):
    sign(damaged, model=model)
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json"):
        load(damaged)


# --- Arrays ---------------------------------------------------------------------------------------


def header(**said):
    words = repr({"descr": "<f8", "fortran_order": False, "shape": (3,)} | said).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(words)) + words


ARRAYS = {
    "objects": header(descr="|O") + pickle.dumps([1, 2, 3]),
    "a shape that is too large": header(shape=(10**18, 10**18)) + b"\0" * 24,
    "a shape that is too large by one": header(shape=(4,)) + b"\0" * 24,
    "more data than it says": header(shape=(2,)) + b"\0" * 24,
    "a negative shape": header(shape=(-1, -3)) + b"\0" * 24,
    "numbers of no size": header(descr="|V0", shape=(10**12,)),
    "text": header(descr="<U2") + b"\0" * 24,
    "dates": header(descr="<M8[s]") + b"\0" * 24,
    "a structure": header(descr=[("a", "<f8")]) + b"\0" * 24,
    "the other byte order": header(descr=">f8") + b"\0" * 24,
    "code in the header": b"\x93NUMPY\x01\x00" + struct.pack("<H", 20) + b"__import__('os')...\n",
    "a header of four gigabytes": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{" * 200,
    "a header that nests": b"\x93NUMPY\x01\x00" + struct.pack("<H", 4000) + b"(" * 3999 + b"\n",
    "another version": b"\x93NUMPY\x09\x00" + b"\0" * 40,
    "a pickle": pickle.dumps(np.zeros(3)),
    "a zip": b"PK\x03\x04" + b"\0" * 40,
    "nothing": b"",
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_file_that_is_no_plain_array_is_refused(damaged, marker, name):
    (damaged / "arrays" / "sample.npy").write_bytes(ARRAYS[name])
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match=r"arrays/sample\.npy"):
        load(damaged)


@pytest.mark.parametrize("told", [{"shape": [4, 1]}, {"shape": []}, {"dtype": "float32"}], ids=str)
def test_arrays_are_what_the_manifest_says(damaged, told):
    said = manifest_of(damaged)
    said["files"]["arrays/sample.npy"] |= told
    sign(damaged, files=said["files"])
    with pytest.raises(ArtifactCorrupt, match=r"arrays/sample\.npy.*not the manifest's"):
        load(damaged)


@pytest.mark.parametrize("name", ARRAYS)
def test_no_such_array_is_mapped_by_itself(tmp_path, name):
    (tmp_path / "x.npy").write_bytes(ARRAYS[name])
    with pytest.raises(ArtifactCorrupt):
        mapped(tmp_path / "x.npy", "x.npy")


def test_booleans_are_true_or_false(damaged):
    path = damaged / "arrays" / "design.masks.npy"
    data = bytearray(path.read_bytes())
    data[-1] = 2
    path.write_bytes(data)
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match="neither true nor false"):
        load(damaged)


# --- A pickled model ------------------------------------------------------------------------------


class Harmful:
    """A classifier that is too odd for the safer forms, and whose pickle can do anything."""

    classes_ = np.array([0, 1])
    on_load = None

    def predict_proba(self, x):
        p = 1 / (1 + np.exp(-np.asarray(x)[:, 0]))
        return np.column_stack([1 - p, p])

    def predict(self, x):
        return (np.asarray(x)[:, 0] > 0).astype(int)

    def fit(self, x, y):
        return self


@pytest.fixture
def pickled(tmp_path, monkeypatch):
    # By its own name: a class that only the tests know is what a user's own class is.
    monkeypatch.setitem(sys.modules, "harmful", sys.modules[__name__])
    monkeypatch.setattr(Harmful, "__module__", "harmful")
    return save(explainer(Harmful()), tmp_path / "pickled")


def test_a_pickled_model_loads_only_when_it_is_pinned(pickled):
    assert manifest_of(pickled)["model"]["form"] == "pickle"
    reasons = {why["form"]: why["reason"] for why in manifest_of(pickled)["model"]["refused"]}
    assert set(reasons) == {"onnx", "skops"}
    with pytest.raises(ArtifactUntrusted, match=r"model\.pkl.*expect_sha256"):
        load(pickled)
    with pytest.raises(ArtifactUntrusted, match="another was pinned"):
        load(pickled, "0" * 64)
    loaded = load(pickled, artifact_sha256(pickled))
    assert loaded.predict(np.ones((1, 4))).tolist() == [1]


def test_an_unpinned_pickle_does_not_run(pickled, marker):
    (pickled / "model.pkl").write_bytes(pickle.dumps(touch(marker)))
    sign(pickled)
    with pytest.raises(ArtifactUntrusted, match=r"model\.pkl"):
        load(pickled)


def test_a_pickle_under_another_models_name_does_not_run(artifact, tmp_path, marker):
    for form, file in {"onnx": "model.onnx", "skops": "model.skops"}.items():
        damaged = saved.copy(artifact, tmp_path / form)
        said = manifest_of(damaged)
        said["files"][file] = said["files"].pop("model.onnx")
        (damaged / "model.onnx").unlink()
        (damaged / file).write_bytes(pickle.dumps(touch(marker)))
        sign(damaged, files=said["files"], model=said["model"] | {"form": form})
        with pytest.raises(ArtifactCorrupt, match=file):
            load(damaged)


# --- skops ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forest(tmp_path_factory):
    """An artifact whose model travels as skops, because no converter knows such a vote."""
    from sklearn.ensemble import RandomForestClassifier, VotingClassifier

    trees = RandomForestClassifier(3, max_depth=3, random_state=0)
    model = VotingClassifier([("trees", trees)], voting="soft")
    made = saved.saved(tmp_path_factory.mktemp("artifacts") / "forest", model)
    assert manifest_of(made)["model"]["form"] == "skops"
    return made


def edit_skops(artifact, edit):
    """Change a skops file: `edit` gets its schema and its other entries."""
    path = artifact / "model.skops"
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(entries.pop("schema.json"))
    edit(schema, entries)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
        archive.writestr("schema.json", json.dumps(schema))
    sign(artifact)


def nodes_of(value):
    if isinstance(value, dict):
        if "__loader__" in value:
            yield value
        for item in value.values():
            yield from nodes_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from nodes_of(item)


def harm_tree(field, value):
    """An edit of the first array of tree nodes."""

    def edit(_, entries):
        for name, data in entries.items():
            if name.endswith(".npy"):
                array = np.load(io.BytesIO(data))
                if array.dtype.names and "left_child" in array.dtype.names:
                    array[field][value[0]] = value[1]
                    stream = io.BytesIO()
                    np.save(stream, array)
                    entries[name] = stream.getvalue()
                    return
        raise AssertionError

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        harm_tree("left_child", (1, 0)),
        harm_tree("left_child", (0, 0)),
        harm_tree("left_child", (0, 10**6)),
        harm_tree("right_child", (0, -5)),
        harm_tree("feature", (0, 10**6)),
        harm_tree("feature", (0, -3)),
    ],
    ids=["a cycle", "a loop", "a child too far", "a child below", "a feature too far", "none"],
)
def test_a_skops_tree_that_runs_wild_is_refused(forest, tmp_path, edit):
    damaged = saved.copy(forest, tmp_path / "damaged")
    edit_skops(damaged, edit)
    with pytest.raises(ArtifactCorrupt, match=r"model\.skops: a tree"):
        load(damaged)


def first(schema, **wanted):
    return next(n for n in nodes_of(schema) if all(n.get(k) == v for k, v in wanted.items()))


def as_call(kind, module, name, *arguments):
    """A node that asks skops to call something while it reads."""
    items = [{"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode",
              "content": json.dumps(a), "is_json": True, "__id__": 10**6 + k}
             for k, a in enumerate(arguments)]  # fmt: skip
    content = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode",
               "content": items, "__id__": 10**6 - 1}  # fmt: skip
    return {"__class__": name, "__module__": module, "__loader__": kind, "content": content,
            "attrs": content, "__id__": 10**6 - 2}  # fmt: skip


@pytest.mark.parametrize(
    "node",
    [
        as_call("ConstructorFromReduceNode", "lightgbm.basic", "Booster", {}, None, "/etc/passwd"),
        as_call("ConstructorFromReduceNode", "builtins", "open", "/etc/passwd"),
        as_call("ListNode", "lightgbm.basic", "Booster"),
        as_call("SetNode", "xgboost.core", "Booster"),
        as_call("DictNode", "xgboost.core", "Booster"),
        as_call("NdArrayNode", "xgboost.core", "Booster"),
        as_call("TypeNode", "lightgbm.basic", "Booster"),
        as_call("FunctionNode", "lightgbm.basic", "Booster"),
        as_call("FunctionNode", "os", "system"),
        as_call("ObjectNode", "subprocess", "Popen"),
        as_call("ObjectNode", "sklearn.neighbors._kd_tree", "KDTree"),
        as_call("MethodNode", "sklearn.tree._classes", "DecisionTreeClassifier", "fit"),
        as_call("OperatorFuncNode", "operator", "methodcaller", "system"),
        as_call("CachedNode", "builtins", "int"),
        as_call("SparseMatrixNode", "scipy.sparse._csr", "csr_matrix"),
    ],
    ids=lambda node: f"{node['__class__']} as {node['__loader__']}",
)
def test_a_skops_file_makes_only_what_the_list_says(forest, tmp_path, node):
    damaged = saved.copy(forest, tmp_path / "damaged")
    edit_skops(damaged, lambda schema, _: schema["content"]["content"].update(extra=node))
    # What skops would refuse by itself is left to skops; the rest is refused before skops is asked.
    ours = (
        node["__loader__"] not in {"FunctionNode", "ObjectNode"} or "Booster" in node["__class__"]
    )
    problem = "asks for" if ours else "Untrusted types"
    with pytest.raises(ArtifactUntrusted, match=rf"model\.skops.*{problem}"):
        load(damaged)


def test_skops_nodes_that_share_an_id_are_equal(forest, tmp_path):
    damaged = saved.copy(forest, tmp_path / "damaged")

    def edit(schema, _):
        one, other = (n for k, n in enumerate(nodes_of(schema)) if k in {5, 9})
        other["__id__"] = one["__id__"]

    edit_skops(damaged, edit)
    with pytest.raises(ArtifactCorrupt, match="share an id"):
        load(damaged)


def test_an_older_skops_protocol_is_refused(forest, tmp_path):
    damaged = saved.copy(forest, tmp_path / "damaged")
    edit_skops(damaged, lambda schema, _: schema.update(protocol=0))
    with pytest.raises(ArtifactCorrupt, match="protocol"):
        load(damaged)


NOT_NUMBERS = {"text", "dates", "a structure", "the other byte order"}  # a model may hold them


@pytest.mark.parametrize("name", sorted(ARRAYS.keys() - NOT_NUMBERS))
def test_the_arrays_in_a_skops_file_are_plain_too(forest, tmp_path, name):
    damaged = saved.copy(forest, tmp_path / "damaged")

    def edit(_, entries):
        entries[next(iter(entries))] = ARRAYS[name]

    edit_skops(damaged, edit)
    with pytest.raises(ArtifactCorrupt, match=r"model\.skops"):
        load(damaged)


def test_a_compressed_or_doubled_entry_is_refused(forest, tmp_path):
    for name, compression, twice in (("deflated", zipfile.ZIP_DEFLATED, 1), ("twice", 0, 2)):
        damaged = saved.copy(forest, tmp_path / name)
        with zipfile.ZipFile(damaged / "model.skops") as archive:
            schema = archive.read("schema.json")
        with zipfile.ZipFile(damaged / "model.skops", "w", compression) as archive:
            for _ in range(twice):
                with pytest.warns() if archive.namelist() else open(os.devnull):  # noqa: PTH123
                    archive.writestr("schema.json", schema)
        sign(damaged)
        with pytest.raises(ArtifactCorrupt, match=r"model\.skops"):
            load(damaged)


# --- Boosters -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lightgbm(tmp_path_factory):
    booster = pytest.importorskip("lightgbm").LGBMClassifier(
        n_estimators=2, num_leaves=4, verbose=-1
    )
    return saved.saved(tmp_path_factory.mktemp("artifacts") / "lightgbm", booster)


def change_line(name, line, *, tree_only=True):
    """An edit of a LightGBM model's text that keeps its own bookkeeping true."""

    def edit(schema, _):
        node = first(schema, __class__="Booster")["content"]["content"]["_handle"]
        words = json.loads(node["content"])
        start = words.index("Tree=0") if tree_only else 0
        position = words.index(f"\n{name}=", start) + 1
        end = words.index("\n", position)
        grown = len(line) + len(name) + 1 - (end - position)
        words = words[:position] + f"{name}={line}" + words[end:]
        if tree_only:
            sizes = words[words.index("tree_sizes=") + 11 :].split("\n", 1)[0]
            first_size, *others = sizes.split()
            told = " ".join([str(int(first_size) + grown), *others])
            words = words.replace(f"tree_sizes={sizes}", f"tree_sizes={told}")
        for n in nodes_of(schema):
            if n["__id__"] == node["__id__"]:
                n["content"] = json.dumps(words)

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        change_line("left_child", "0 0 0"),
        change_line("left_child", "9999 1 1"),
        change_line("left_child", "-9999 1 1"),
        change_line("left_child", "1"),
        change_line("split_feature", "9999 1 1"),
        change_line("num_leaves", "9999"),
        change_line("num_leaves", "0"),
        change_line("num_cat", "5"),
        change_line("decision_type", "1 1 1"),
        change_line("threshold", "nan nan nan nan"),
        change_line("shrinkage", "1\nleft_child=0 0 0"),
        change_line("is_linear", "1"),
        change_line("tree_sizes", "5 5", tree_only=False),
        change_line("max_feature_idx", "-1", tree_only=False),
        change_line("num_class", "99\nnum_class=1", tree_only=False),
    ],
)
def test_a_lightgbm_model_that_would_end_the_process_is_refused(lightgbm, tmp_path, edit):
    damaged = saved.copy(lightgbm, tmp_path / "damaged")
    edit_skops(damaged, edit)
    with pytest.raises(ArtifactCorrupt, match=r"model\.skops"):
        load(damaged)


@pytest.mark.parametrize(
    ("key", "value"),
    [("left_children", 0), ("left_children", 10**6), ("right_children", -7),
     ("split_indices", 10**6)],
)  # fmt: skip
def test_an_xgboost_tree_that_runs_wild_is_refused(tmp_path, key, value):
    xgboost = pytest.importorskip("xgboost")
    x, y = saved.rows()
    model = xgboost.XGBClassifier(n_estimators=2, max_depth=2).fit(x, y)
    said = json.loads(model.get_booster().save_raw("json"))
    tree = said["learner"]["gradient_booster"]["model"]["trees"][0]
    tree[key][0] = value
    wild = xgboost.Booster()
    wild.load_model(bytearray(json.dumps(said).encode()))
    from scoring.forms import skops

    model._Booster = wild
    with pytest.raises(ArtifactCorrupt, match="tree"):
        skops.read(skops.write(model))


# --- ONNX -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def boosted(tmp_path_factory):
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=2)
    made = saved.saved(tmp_path_factory.mktemp("artifacts") / "boosted", model)
    assert manifest_of(made)["model"]["form"] == "onnx"
    return made


def tree_attribute(model, name):
    node = next(n for n in model.graph.node if n.op_type.startswith("TreeEnsemble"))
    return next(a for a in node.attribute if a.name == name)


def external(model):
    tensor = model.graph.initializer.add()
    tensor.CopyFrom(model.graph.initializer[0] if len(model.graph.initializer) > 1 else
                    __import__("onnx").numpy_helper.from_array(np.zeros(2), "zeros"))  # fmt: skip
    tensor.name = "outside"
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def external_in_attribute(model):
    attribute = model.graph.node[0].attribute.add()
    attribute.name, attribute.type = "value", 4
    attribute.t.data_location = 1


def custom_node(model):
    model.graph.node.add(op_type="Steal", domain="com.microsoft")


def custom_in_branch(model):
    attribute = model.graph.node[0].attribute.add()
    attribute.name, attribute.type = "then_branch", 5
    attribute.g.node.add(op_type="Steal", domain="evil")


def custom_in_function(model):
    model.functions.add(name="f", domain="ai.onnx").node.add(op_type="Steal", domain="evil")


def cycle(model):
    ids = tree_attribute(model, "nodes_truenodeids").ints
    ids[ids[1]] = 1


def out_of_range(model):
    tree_attribute(model, "nodes_truenodeids").ints[0] = 10**6


def shorter(model):
    del tree_attribute(model, "nodes_truenodeids").ints[-1]


def doubled(model):
    tree_attribute(model, "nodes_nodeids").ints[1] = 0


def empty(model):
    del model.graph.node[:]


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (external, "data outside"),
        (external_in_attribute, "data outside"),
        (custom_node, "domain 'com.microsoft'"),
        (custom_in_branch, "domain 'evil'"),
        (custom_in_function, "domain 'evil'"),
        (cycle, "cycle"),
        (out_of_range, "children outside"),
        (shorter, "different lengths"),
        (doubled, "share an id"),
        (empty, "not an ONNX model"),
    ],
)
def test_an_onnx_model_that_reaches_out_or_runs_in_circles_is_refused(
    boosted, tmp_path, monkeypatch, edit, problem
):
    import onnx
    import onnxruntime

    damaged = saved.copy(boosted, tmp_path / "damaged")
    model = onnx.load_model_from_string((damaged / "model.onnx").read_bytes())
    edit(model)
    (damaged / "model.onnx").write_bytes(model.SerializeToString())
    sign(damaged)
    monkeypatch.setattr(onnxruntime, "InferenceSession", os.abort)  # refused before it is asked
    with pytest.raises((ArtifactCorrupt, ArtifactUntrusted), match=rf"model\.onnx.*{problem}"):
        load(damaged)


def test_the_runtimes_own_format_is_not_read(boosted, tmp_path):
    import onnx

    damaged = saved.copy(boosted, tmp_path / "damaged")
    model = onnx.load_model_from_string((damaged / "model.onnx").read_bytes())
    model.producer_name = "ORTM"
    data = model.SerializeToString()
    assert data[4:8] == b"ORTM"
    (damaged / "model.onnx").write_bytes(data)
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match=r"model\.onnx"):
        load(damaged)
    (damaged / "model.onnx").write_bytes(b"\x08\x0aORTM" + os.urandom(100))
    sign(damaged)
    with pytest.raises(ArtifactCorrupt, match=r"model\.onnx"):
        load(damaged)
