"""The page of differences names tests; each is there. What no other test holds is held here."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, linear_model, svm
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scoring import (
    KernelScoringExplainer,
    LinearExplainableModel,
    MimicExplainer,
    ParameterError,
    PFIExplainer,
    RowsError,
    TabularExplainer,
    load,
    save,
)

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
N_ROWS = 150


def rows(n_features=4):
    """Numbers, and two classes that depend on two of them."""
    x = np.random.default_rng(0).normal(size=(N_ROWS, n_features))
    return x, (x[:, 0] * x[:, 1] + x[:, 0] > 0).astype(int)


def test_every_difference_is_held_by_a_test_that_is_there():
    assert len(NAMED) > 40
    for file, name in NAMED:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{file}::{name}"


def test_every_line_of_its_tables_names_one():
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    told = [line for line in lines if not line.startswith(("|---", "| there"))]
    assert told
    for line in told:
        assert len(re.findall(r"(?<!\\)\|", line)) == 5, line
        assert "`tests/" in line.rsplit("|", 2)[1], line


def test_every_test_below_is_named():
    below = Path(__file__).read_text(encoding="utf-8").split("SPACES = [", 1)[1]
    assert set(re.findall(r"^def (test_\w+)", below, re.MULTILINE)) <= {name for _, name in NAMED}


SPACES = [
    (linear_model.LogisticRegression(), "probability"),
    (ensemble.RandomForestClassifier(5), "probability"),
    (ensemble.GradientBoostingClassifier(n_estimators=5), "probability"),
    (ensemble.HistGradientBoostingClassifier(max_iter=5), "probability"),
    (svm.SVC(probability=True), "probability"),
    (make_pipeline(StandardScaler(), linear_model.LogisticRegression()), "probability"),
    (svm.SVC(), "margin"),
    (linear_model.RidgeClassifier(), "margin"),
    (linear_model.LinearRegression(), "value"),
    (ensemble.RandomForestRegressor(5), "value"),
]


@pytest.mark.parametrize(("model", "space"), SPACES)
def test_units_do_not_depend_on_how_a_model_is_explained(model, space):
    x, y = rows()
    found = TabularExplainer(model.fit(x, y), x[:20]).explain_local(x[:3])
    assert found.output_space == space
    asked = {"probability": "predict_proba", "margin": "decision_function", "value": "predict"}
    outputs = getattr(model, asked[space])(x[:3]).reshape(3, -1)
    np.testing.assert_allclose(found.outputs, outputs, atol=1e-12)


def test_exact_methods_take_all_rows_and_the_kernel_path_says_what_it_took():
    x, y = rows()
    forest = ensemble.RandomForestClassifier(5, random_state=0).fit(x, y)
    exact, kernel = (TabularExplainer(forest, x, method=name) for name in ("tree", "kernel"))
    found = exact.explain_local(x[:3])
    assert found.background == f"all rows ({N_ROWS})"
    np.testing.assert_allclose(found.base_values, forest.predict_proba(x).mean(axis=0), atol=1e-6)
    told = kernel.explain_local(x[:3]).background
    assert re.fullmatch(rf"\d+ rows weighted by the model's answers for {N_ROWS} rows", told)
    assert KernelScoringExplainer(kernel).report["background_error"]["relative_rms"] > 0


def test_nothing_that_matters_is_set_to_zero():
    x, _ = rows(14)  # more than are enumerated
    model = svm.SVC(gamma=0.05, probability=True).fit(x, x.sum(axis=1) > 0)
    explainer = TabularExplainer(model, x, n_background=5)
    assert explainer.method == "kernel kriging"
    one, two = (explainer.explain_local(x[:5]).values for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (np.abs(one) > 1e-6).all()


def test_a_subset_of_raw_features_works_with_transformations():
    x, y = rows()
    scaler = StandardScaler().fit(x)
    model = linear_model.LogisticRegression().fit(scaler.transform(x), y)
    whole = TabularExplainer(model, x[:20], transformations=scaler).explain_local(x[:3])
    part = TabularExplainer(model, x[:20], explain_subset=[2], transformations=scaler)
    found = part.explain_local(x[:3])
    np.testing.assert_array_equal(found.values, whole.values[:, [2]])
    assert found.additivity_gap.max() < 1e-9


def test_one_row_is_a_table_of_one_row():
    x, y = rows()
    explainer = TabularExplainer(linear_model.LogisticRegression().fit(x, y), x[:20])
    with pytest.raises((ParameterError, RowsError), match="two-dimensional"):
        explainer.explain_local(x[0])
    assert explainer.explain_local(x[:1]).num_examples == 1


def test_features_without_names_are_numbered_names():
    x, y = rows(2)
    explainer = TabularExplainer(linear_model.LogisticRegression().fit(x, y), x[:20])
    names = explainer.explain_global(x).get_ranked_global_names()
    assert sorted(names) == ["feature_0", "feature_1"]


def test_a_global_explanation_holds_no_local_ones():
    x, y = rows()
    told = TabularExplainer(linear_model.LogisticRegression().fit(x, y), x[:20]).explain_global(x)
    assert not hasattr(told, "local_importance_values")
    assert told.per_output.shape == (2, 4)
    assert told.n_rows == N_ROWS


@pytest.mark.parametrize(
    "model",
    [ensemble.RandomForestClassifier(5, random_state=0), linear_model.LogisticRegression()],
)
def test_one_scoring_explainer_for_all_that_needs_no_rows_again(model, tmp_path):
    x, y = rows()
    scoring = KernelScoringExplainer(TabularExplainer(model.fit(x, y), x))
    assert (scoring.predict(x) == model.predict(x)).all()  # there it explains
    assert save(scoring, tmp_path / "artifact") == tmp_path / "artifact"  # there the pickle
    for path in (tmp_path / "artifact", tmp_path / "artifact" / "scoring_explainer.pkl"):
        assert np.shape(load(path).explain(x[:3])) == (2, 3, 4)


def positional(kind):
    """The parameters that may be passed by position, in order."""
    parameters = inspect.signature(kind).parameters.values()
    return [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]


def test_arguments_by_position_stand_where_they_stood():
    first = ["model", "initialization_examples"]
    tail = ["explain_subset", "features", "classes", "transformations"]
    assert positional(TabularExplainer) == [*first, *tail]
    surrogate = ["explainable_model", "explainable_model_args", "is_function", "augment_data"]
    surrogate += ["max_num_of_augmentations"]
    assert positional(MimicExplainer) == [*first, *surrogate, *tail]
    metric = ["is_function", "metric", "metric_args", "is_error_metric", "explain_subset"]
    assert positional(PFIExplainer) == ["model", *metric]


NOT_THERE = [
    (TabularExplainer, {"use_gpu": True}),
    (MimicExplainer, {"reset_index": "reset"}),
    (MimicExplainer, {"shap_values_output": "probability"}),
    (KernelScoringExplainer, {"initialization_examples": None}),
    (KernelScoringExplainer, {"feature_maps": []}),
]


@pytest.mark.parametrize(("kind", "argument"), NOT_THERE)
def test_an_argument_that_is_not_there_is_refused_and_not_ignored(kind, argument):
    x, y = rows()
    model = linear_model.LogisticRegression().fit(x, y)
    given = {
        TabularExplainer: (model, x),
        MimicExplainer: (model, x, LinearExplainableModel),
        KernelScoringExplainer: (TabularExplainer(model, x[:20]),),
    }[kind]
    with pytest.raises(TypeError, match=next(iter(argument))):
        kind(*given, **argument)
    explainer = TabularExplainer(model, x[:20])
    for gone in ("sampling_policy", "include_local", "batch_size"):
        with pytest.raises(TypeError, match=gone):
            explainer.explain_global(x, **{gone: None})  # type: ignore[arg-type]  # it is refused


def test_lines_of_the_guide_that_nothing_can_run_today():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("sklearn.externals.joblib")
    with pytest.raises(FileNotFoundError):  # pandas 3 takes a text for a path
        pd.read_json('{"a": {"0": 1}}')
