"""Results: shapes, sums, ranks, tables, pictures, files, and shap's own form."""

from __future__ import annotations

import json
import pickle
from dataclasses import fields, replace
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import sparse

from scoring.errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactMissing,
    ArtifactUnsupported,
    ArtifactUntrusted,
    ModelError,
    ParameterError,
)
from scoring.explanation import GlobalExplanation, LocalExplanation
from scoring.explanation_files import load_explanation, save_explanation
from scoring.shap_conversion import from_shap

OUTPUTS = {"binary": ("no", "yes"), "value": ("value",), "three": ("a", "b", "c")}


def local(task="binary", n_rows=4, n_features=5, **more):
    rng = np.random.default_rng(0)
    names = OUTPUTS[task]
    values = rng.normal(size=(n_rows, n_features, len(names)))
    base = rng.normal(size=len(names))
    given = {"features": tuple(f"f{j}" for j in range(n_features))} | more
    return LocalExplanation(
        values, base, base + values.sum(axis=1), given.pop("features"), names,
        "value" if task == "value" else "probability", task != "value", "exact enumeration",
        30, "10 k-means centroids for 99 rows", **given,
    )  # fmt: skip


def overall(task="binary", **more):
    explanation = local(task)
    return GlobalExplanation(
        np.abs(explanation.values).mean(axis=0).T, explanation.features, explanation.output_names,
        explanation.output_space, explanation.method, 4, explanation.background,
        base_values=explanation.base_values, **more,
    )  # fmt: skip


every_task = pytest.mark.parametrize("task", OUTPUTS)


@every_task
def test_counts_and_expected_values(task):
    explanation = local(task)
    assert (explanation.num_features, explanation.num_examples) == (5, 4)
    assert explanation.expected_values == explanation.base_values.tolist()
    assert overall(task).num_features == 5
    assert overall(task).expected_values == explanation.expected_values
    assert replace(overall(task), base_values=None).expected_values == []


@every_task
def test_a_selection_leaves_the_rest_as_remainder(task):
    explanation = local(task)
    part = explanation.select([3, 1])
    assert part.features == ("f3", "f1")
    np.testing.assert_array_equal(part.values, explanation.values[:, [3, 1]])
    assert part.remainder is not None  # for the type checker
    np.testing.assert_allclose(part.remainder, explanation.values[:, [0, 2, 4]].sum(axis=1))
    again = part.select([1])
    for each in (part, again):
        assert each.additivity_gap.max() < 1e-12
    assert replace(again, remainder=None).additivity_gap.max() > 0.1


def test_raw_values_are_sums_of_columns():
    shares = np.array([[1, 1, 0, 0, 0.5], [0, 0, 1, 1, 0.5]])
    explanation = local("three", feature_map=shares, raw_features=("left", "right"))
    raw = explanation.get_raw_explanation()
    v = explanation.values
    np.testing.assert_allclose(raw.values[:, 0], v[:, 0] + v[:, 1] + v[:, 4] / 2)
    np.testing.assert_allclose(raw.values[:, 1], v[:, 2] + v[:, 3] + v[:, 4] / 2)
    assert raw.features == ("left", "right")
    assert raw.additivity_gap.max() < 1e-12
    plain = local("three")
    for given in (shares, sparse.csr_matrix(shares), [np.eye(2), shares]):
        found = plain.get_raw_explanation(given, raw_feature_names=["left", "right"])
        np.testing.assert_allclose(found.values, raw.values)
    assert plain.get_raw_explanation(shares).features == ("raw_0", "raw_1")
    with pytest.raises(ModelError, match="no map to raw features"):
        plain.get_raw_explanation()
    with pytest.raises(ParameterError, match=r"feature_maps must be maps .* 5 columns"):
        plain.get_raw_explanation(shares[:, :4])
    with pytest.raises(ParameterError, match="raw_feature_names must name 2, not 1"):
        plain.get_raw_explanation(shares, ["one"])


def test_raw_importance_comes_from_sums_and_not_from_importances():
    raw = overall(raw_features=("left", "right"), raw_per_output=np.ones((2, 2)))
    assert raw.get_raw_explanation().get_feature_importance_dict() == {"left": 1.0, "right": 1.0}
    for given in (None, np.ones((2, 5))):
        with pytest.raises(ModelError, match="Leave get_raw out"):
            overall().get_raw_explanation(given)


@every_task
def test_ranks_are_signed_from_the_highest_to_the_lowest(task):
    explanation = local(task)
    layout = explanation.layout()
    values = np.array(explanation.get_ranked_local_values())
    np.testing.assert_array_equal(values, -np.sort(-layout, axis=-1))
    ranks = np.array(explanation.get_local_importance_rank())
    np.testing.assert_array_equal(np.take_along_axis(layout, ranks, -1), values)
    names = np.array(explanation.get_ranked_local_names(top_k=2))
    np.testing.assert_array_equal(names, np.array(explanation.features)[ranks[..., :2]])
    whole = overall(task)
    assert whole.get_ranked_global_values() == sorted(whole.global_importance_values, reverse=True)
    assert list(whole.get_feature_importance_dict(3)) == whole.get_ranked_global_names(3)
    assert len(whole.get_ranked_per_class_names(2)) == len(OUTPUTS[task])
    per_class = np.array(whole.get_ranked_per_class_values(2))
    np.testing.assert_array_equal(per_class, -np.sort(-whole.per_output, axis=1)[:, :2])


@pytest.mark.parametrize("top_k", [0, -1, 1.5, True])
def test_top_k_is_a_count(top_k):
    with pytest.raises(ParameterError, match="top_k must be a whole number"):
        local().get_ranked_local_names(top_k)
    with pytest.raises(ParameterError, match="top_k must be a whole number"):
        overall().get_ranked_global_values(top_k)


def test_tables():
    explanation = local("three")
    for output, k in (("b", 1), (0, 0), (None, 2)):
        frame = explanation.to_frame(output)
        np.testing.assert_array_equal(frame.to_numpy(), explanation.values[..., k])
        assert list(frame.columns) == list(explanation.features)
    with pytest.raises(ParameterError, match="output must be one of a, b, c"):
        explanation.to_frame("d")
    whole = overall("three")
    frame = whole.to_frame()
    assert list(frame.index) == whole.get_ranked_global_names()
    assert list(frame.columns) == ["importance", "a", "b", "c"]
    np.testing.assert_array_equal(frame["importance"], whole.get_ranked_global_values())
    deviations = replace(overall("value"), standard_deviations=np.arange(5.0))
    assert list(deviations.to_frame().columns) == ["importance", "standard deviation"]


class Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], set(), ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", "x" * 500])
def test_pictures_escape_names_and_close_what_they_open(name):
    features = (name, *(f"f{j}" for j in range(1, 40)))
    explanation = local("binary", n_rows=30, n_features=40, features=features)
    whole = GlobalExplanation(
        np.abs(explanation.values).mean(axis=0).T * np.arange(40, 0, -1), features,
        explanation.output_names, "probability", "method <i>", 30,
    )  # fmt: skip
    for page in (explanation._repr_html_(), whole._repr_html_()):
        parser = Parser()
        parser.feed(page)
        assert not parser.open
        assert parser.seen == {"div", "style", "b", "span", "table", "tbody", "tr", "td"}
        assert len(page) < 20_000
    assert "and 30 more features" in whole._repr_html_()
    assert "and 25 more rows" in explanation._repr_html_()


def test_the_others_of_a_picture_are_one_line():
    page = local("value", n_rows=1, n_features=15)._repr_html_()
    assert page.count("<tr>") == 11
    assert "all others" in page
    assert "all others" not in local("value", n_rows=1)._repr_html_()


@every_task
def test_a_line_of_text(task):
    for explanation in (local(task, n_rows=100, n_features=300), local(task, n_rows=0)):
        text = repr(explanation)
        assert len(text) < 400
        assert f"{explanation.num_examples} rows × {explanation.num_features} features" in text
        assert explanation.output_space in text
        assert "k-means" in text
    assert "5 features over 4 rows" in repr(overall(task))


def everything(task):
    shares, n_outputs = np.full((2, 5), 0.5), len(OUTPUTS[task])
    reasons = [[{"feature": "f1", "direction": "increases", "value": 0.5, "text": "…"}]]
    mapped = {"feature_map": shares, "raw_features": ("l", "r")}
    return [
        local(task),
        local(task, n_rows=0),
        local(task, remainder=np.ones((4, n_outputs)), reason_codes=reasons * 4),
        local(task, **mapped, fidelity={"r2": {"a": None}}),
        overall(task),
        overall(task, **mapped, raw_per_output=np.ones((n_outputs, 2))),
        overall(task, standard_deviations=np.arange(5.0)),
    ]


@every_task
def test_saved_and_loaded_are_the_same(task, tmp_path):
    for number, explanation in enumerate(everything(task)):
        path = tmp_path / str(number)
        save_explanation(explanation, path)
        found = load_explanation(path)
        assert type(found) is type(explanation)
        for field in fields(explanation):
            one, two = getattr(found, field.name), getattr(explanation, field.name)
            if isinstance(two, np.ndarray):
                np.testing.assert_array_equal(one, two, strict=True)
            else:
                assert one == two, field.name
        assert repr(found) == repr(explanation)
        again = pickle.loads(pickle.dumps(explanation))
        assert repr(again) == repr(explanation)


def test_saving_over_another_leaves_nothing_of_it(tmp_path):
    save_explanation(everything("binary")[2], tmp_path)
    with pytest.raises(ArtifactUnsupported, match="exist_ok=True"):
        save_explanation(local(), tmp_path)
    save_explanation(local("three"), tmp_path, exist_ok=True)
    assert {p.name for p in tmp_path.iterdir()} == {
        "explanation.json", "values.npy", "base_values.npy", "outputs.npy",
    }  # fmt: skip
    assert load_explanation(tmp_path).output_names == ("a", "b", "c")
    with pytest.raises(ParameterError, match="explanation must be"):
        save_explanation([1, 2], tmp_path, exist_ok=True)  # type: ignore[arg-type]  # the point


def changed(**changes):
    def change(path):
        told = json.loads((path / "explanation.json").read_text())
        (path / "explanation.json").write_text(json.dumps(told | changes))

    return change


def link(path):
    (path / "values.npy").rename(path / "elsewhere.npy")
    (path / "values.npy").symlink_to(path / "elsewhere.npy")


DAMAGES = {
    "no index": (ArtifactMissing, lambda path: (path / "explanation.json").unlink()),
    "no array": (ArtifactMissing, lambda path: (path / "values.npy").unlink()),
    "another array": (ArtifactCorrupt, lambda path: np.save(path / "values.npy", np.ones(3))),
    "objects": (
        ArtifactCorrupt,
        lambda path: np.save(path / "values.npy", np.array([{}]), allow_pickle=True),
    ),
    "a link": (ArtifactUntrusted, link),
    "another format": (ArtifactUnsupported, changed(format_version=2)),
    "no format": (ArtifactCorrupt, changed(format_version="1")),
    "another kind": (ArtifactCorrupt, changed(kind="os.system")),
    "an unknown array": (ArtifactCorrupt, changed(arrays={"../values": "0"})),
    "fewer arrays": (ArtifactCorrupt, changed(arrays={})),
    "fewer names": (ArtifactCorrupt, changed(features=["f0"])),
    "names that are none": (ArtifactCorrupt, changed(features=[1, 2, 3, 4, 5])),
    "another type": (ArtifactCorrupt, changed(n_coalitions=True)),
    "cut": (ArtifactCorrupt, lambda path: (path / "explanation.json").write_text('{"a"')),
    "twice": (ArtifactCorrupt, lambda path: (path / "explanation.json").write_text('{"":1,"":1}')),
    "deep": (ArtifactCorrupt, lambda path: (path / "explanation.json").write_text("[" * 100_000)),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_explanation_is_refused(damage, tmp_path):
    kind, change = DAMAGES[damage]
    save_explanation(local(), tmp_path)
    change(tmp_path)
    with pytest.raises(kind) as caught:
        load_explanation(tmp_path)
    assert isinstance(caught.value, ArtifactError)


@every_task
def test_shaps_own_form_and_back(task):
    explanation = local(task)
    there = explanation.to_shap(x=np.zeros((4, 5)))
    one = task == "value"
    assert there.values.shape == ((4, 5) if one else (4, 5, len(OUTPUTS[task])))
    np.testing.assert_allclose(there.abs.mean(0).values.reshape(5, -1),
                               np.abs(explanation.values).mean(axis=0))  # fmt: skip
    back = from_shap(there, output_space="value" if one else "probability")
    np.testing.assert_array_equal(back.values, explanation.values)
    np.testing.assert_array_equal(back.base_values, explanation.base_values)
    np.testing.assert_allclose(back.outputs, explanation.outputs)
    assert back.features == explanation.features
    assert back.output_names == explanation.output_names
    assert back.classification is not one
    with pytest.raises(ParameterError, match="x must be the rows"):
        explanation.to_shap(x=np.zeros((3, 5)))
    with pytest.raises(ParameterError, match="must be of rows"):
        from_shap(there[0] if one else there[0, :, 0], output_space="value")
