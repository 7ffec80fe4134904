"""Boosters whose indices would end the process."""

import json

import pytest

from scoring import ArtifactCorrupt, load, save
from tests import saved
from tests.malice.skops_files import edit_skops, first, nodes_of


@pytest.fixture(scope="module")
def lightgbm(tmp_path_factory):
    booster = pytest.importorskip("lightgbm").LGBMClassifier(
        n_estimators=2, num_leaves=4, min_child_samples=5, verbose=-1
    )
    carried = saved.in_a_file(saved.explainer(booster))
    return save(carried, tmp_path_factory.mktemp("artifacts") / "lightgbm")


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
    ("edit", "problem"),
    [
        (change_line("left_child", "0 0 0"), "runs in a cycle"),
        (change_line("left_child", "9999 1 1"), "children outside"),
        (change_line("left_child", "-9999 1 1"), "children outside"),
        (change_line("left_child", "1"), "left_child of another length"),
        (change_line("split_feature", "9999 1 1"), "features outside"),
        (change_line("split_feature", "0.5 1 1"), "not a whole number"),
        (change_line("num_leaves", "9999"), "another length"),
        (change_line("num_leaves", "0"), "another length"),
        (change_line("num_cat", "5"), "categories do not fit"),
        (change_line("decision_type", "1 1 1"), "sets of categories outside|not a whole number"),
        (change_line("decision_type", "99 2 2"), "kinds of tests outside"),
        (change_line("threshold", "nan nan nan nan"), "threshold of another length"),
        (change_line("leaf_count", "1 1 1 1 1"), "more numbers than leaves"),
        (change_line("shrinkage", "1\nleft_child=0 0 0"), "not understood"),
        (change_line("shrinkage", "one"), "not understood"),
        (change_line("is_linear", "1"), "linear leaves"),
        (change_line("tree_sizes", "5 5", tree_only=False), "do not start where"),
        (change_line("tree_sizes", "5", tree_only=False), "do not start where"),
        (change_line("num_tree_per_iteration", "3", tree_only=False), "incomplete round"),
        (change_line("max_feature_idx", "-1", tree_only=False), "else than numbers"),
        (change_line("num_class", "99\nnum_class=1", tree_only=False), "header is not in order"),
    ],
)
def test_a_lightgbm_model_that_would_end_the_process_is_refused(lightgbm, tmp_path, edit, problem):
    damaged = saved.copy(lightgbm, tmp_path / "damaged")
    edit_skops(damaged, edit)
    with pytest.raises(ArtifactCorrupt, match=rf"model\.skops: .*({problem})"):
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
