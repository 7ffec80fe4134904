"""skops files that make something else than estimators, or estimators that run wild."""

import io
import json
import warnings
import zipfile

import numpy as np
import pytest

from scoring import ArtifactCorrupt, ArtifactUntrusted, load
from tests import saved
from tests.malice.hostile import ARRAYS
from tests.malice.skops_files import edit_skops, nodes_of
from tests.saved import manifest_of, sign


@pytest.fixture(scope="module")
def forest(tmp_path_factory):
    """An artifact whose model travels as skops, because no converter knows such a vote."""
    from sklearn.ensemble import RandomForestClassifier, VotingClassifier

    trees = RandomForestClassifier(3, max_depth=3, random_state=0)
    model = VotingClassifier([("trees", trees)], voting="soft")
    made = saved.saved(tmp_path_factory.mktemp("artifacts") / "forest", model)
    assert manifest_of(made)["model"]["form"] == "skops"
    return made


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


def rezip(artifact, edit, compression=zipfile.ZIP_STORED):
    """Write a skops file's entries again; `edit` may add to them before the file is closed."""
    path = artifact / "model.skops"
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a name that is there twice
        for name, data in entries.items():
            archive.writestr(name, data)
        edit(archive)
    sign(artifact)


def nothing(_):
    pass


def double(archive):
    archive.writestr("schema.json", "{}")


def overlap(archive):
    archive.writestr("bomb", "")
    archive.filelist[-1].file_size = 10**9


@pytest.mark.parametrize(
    ("edit", "compression", "problem"),
    [
        (nothing, zipfile.ZIP_DEFLATED, "compressed"),
        (double, zipfile.ZIP_STORED, "share a name"),
        (overlap, zipfile.ZIP_STORED, "overlap"),
    ],
)
def test_a_skops_file_is_no_bomb(forest, tmp_path, edit, compression, problem):
    damaged = saved.copy(forest, tmp_path / "damaged")
    rezip(damaged, nothing)
    load(damaged)
    rezip(damaged, edit, compression)
    with pytest.raises(ArtifactCorrupt, match=rf"model\.skops.*{problem}"):
        load(damaged)
