"""Numbers of an artifact that do not fit each other."""

import json
from dataclasses import replace

import numpy as np
import pytest

from scoring import ArtifactCorrupt, ArtifactError, load, save
from scoring.forms.refused import Unsound
from scoring.schema import FeatureSchema
from scoring.verify import check_model, check_state
from tests import saved
from tests.saved import manifest_of, sign


def break_array(artifact, name, change):
    path = artifact / "arrays" / f"{name}.npy"
    array = np.load(path)
    array = change(array)
    np.save(path, array)
    said = manifest_of(artifact)
    said["files"][f"arrays/{name}.npy"] |= {"dtype": str(array.dtype), "shape": list(array.shape)}
    (artifact / "manifest.json").write_text(json.dumps(said))
    sign(artifact)


def with_value(array, value):
    array[(0,) * array.ndim] = value
    return array


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("operator", lambda a: a[:, :-1]),
        ("operator", lambda a: with_value(a, np.nan)),
        ("operator", lambda a: a.astype(np.int64)),
        ("base_values", lambda a: a[:1]),
        ("base_values", lambda a: a + 0.1),
        ("base_values", lambda a: with_value(a, np.inf)),
        ("sample", lambda a: a[:2]),
        ("sample", lambda a: with_value(a, np.inf)),
        ("background.weights", lambda a: a * 2),
        ("background.weights", lambda a: -a),
        ("background.weights", lambda a: a[1:]),
        ("background.table.codes", lambda a: a[:, 1:]),
        ("background.table.codes", lambda a: a[:0]),
        ("background.table.codes", lambda a: with_value(a, -np.inf)),
        ("background.table.codes", lambda a: a.ravel()),
        ("design.masks", lambda a: a[:, 1:]),
        ("design.masks", lambda a: a.astype(np.float64)),
        ("design.weights", lambda a: with_value(a, np.nan)),
        ("design.weights", lambda a: -a),
    ],
)
def test_numbers_that_do_not_fit_each_other_are_refused(damaged, name, change):
    break_array(damaged, name, change)
    with pytest.raises(ArtifactCorrupt):
        load(damaged)


def with_weights(state, weights):
    return {"background": replace(state["background"], weights=np.asarray(weights))}


def with_feature(state, **changes):
    schema = state["predictor"].schema
    features = (replace(schema.features[0], **changes), *schema.features[1:])
    return {"predictor": replace(state["predictor"], schema=FeatureSchema(features))}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda s: with_weights(s, [1.5, -0.5] + [0.0] * 28), "sum to 1"),
        (lambda s: with_weights(s, [0.5] * 30), "sum to 1"),
        (lambda s: with_feature(s, name="feature_1"), "share one"),
        (lambda s: with_feature(s, minimum=5.0, maximum=1.0), "range"),
        (lambda s: with_feature(s, minimum=-np.inf), "range"),
        (lambda s: with_feature(s, categories=("a",)), "against its kind"),
        (lambda s: with_feature(s, kind="category"), "against its kind"),
        (lambda s: with_feature(s, kind="category", categories=("a", 1)), "mix text and numbers"),
        (lambda s: with_feature(s, kind="category", categories=("a", "a")), "repeat"),
        (lambda s: with_feature(s, kind="category", categories=("a",)), "not the schema's"),
        (lambda s: {"predictor": replace(s["predictor"], output_names=())}, "base_values"),
        (lambda s: {"block_bytes": 0}, "no room"),
    ],
)
def test_each_check_of_the_attributes_stands_alone(artifact, change, problem):
    state = vars(load(artifact))
    check_state(state)
    with pytest.raises(Unsound, match=problem):
        check_state(state | change(state))


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"space": "margin"}, "no output space"), ({"classes": ("a", "b", "c")}, "2 classes")],
    ids=str,
)
def test_the_model_fits_the_explainer(artifact, change, problem):
    loaded = load(artifact)
    check_model(loaded.predictor, loaded.background, loaded.base_values)
    with pytest.raises(Unsound, match=problem):
        check_model(replace(loaded.predictor, **change), loaded.background, loaded.base_values)


def test_category_codes_point_into_the_categories(mixed, tmp_path):
    from scoring import KernelScoringExplainer, TabularExplainer

    x, _, model = mixed
    artifact = save(KernelScoringExplainer(TabularExplainer(model, x[:20])), tmp_path)
    region = list(x.columns).index("region")
    for code in (3.0, -1.0, 0.5):
        damaged = saved.copy(artifact, tmp_path / f"code{code}")

        def point(array, code=code):
            array[0, region] = code
            return array

        break_array(damaged, "background.table.codes", point)
        with pytest.raises(ArtifactCorrupt, match="point outside"):
            load(damaged)


def test_every_refusal_names_file_problem_and_remedy(damaged):
    (damaged / "scoring_explainer.pkl").unlink()
    with pytest.raises(ArtifactError) as caught:
        load(damaged)
    error = caught.value
    assert error.file == "scoring_explainer.pkl"
    assert str(error) == f"{error.file}: {error.problem}. {error.remedy}"
