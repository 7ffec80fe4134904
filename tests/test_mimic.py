"""The mimic explainer: a surrogate's exact values, and how well it stands for the model."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from sklearn import ensemble, linear_model, svm

from scoring import (
    DecisionTreeExplainableModel,
    KernelScoringExplainer,
    LGBMExplainableModel,
    LinearExplainableModel,
    MimicExplainer,
    ModelError,
    ParameterError,
    SGDExplainableModel,
    load,
    save,
)
from scoring.trees.read import forest_in
from service.cli import run
from tests import oracles
from tests.saved import manifest_of

MODELS = [
    LGBMExplainableModel,
    LinearExplainableModel,
    SGDExplainableModel,
    DecisionTreeExplainableModel,
]
every_model = pytest.mark.parametrize("surrogate", MODELS, ids=lambda kind: kind.name)


def table(task, n=150):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 4))
    score = x[:, 0] - x[:, 1] * x[:, 2]
    if task == "value":
        return x, score
    if task == "binary":
        return x, np.where(score > 0, "yes", "no")
    return x, np.array(["low", "mid", "high"])[np.digitize(score, [-0.6, 0.6])]


def against_the_definition(explainer, rows):
    """The surrogate's game over codes, by all coalitions."""
    codes = explainer.predictor.schema.encode(rows).codes

    def f(masked):
        return explainer._fitted.estimator.predict(masked).reshape(len(masked), -1)

    return oracles.shapley_rows(f, codes, explainer.initialization.codes)


@every_model
@pytest.mark.parametrize("task", ["binary", "three", "value"])
def test_local_values_are_those_of_the_surrogate(surrogate, task):
    x, y = table(task)
    model = {"value": linear_model.LinearRegression()}.get(task, linear_model.LogisticRegression())
    explainer = MimicExplainer(model.fit(x, y), x, surrogate)
    found = explainer.explain_local(x[:3])
    expected = against_the_definition(explainer, x[:3])
    np.testing.assert_allclose(found.values, expected, atol=1e-10 * np.abs(expected).max())
    teacher = explainer.predictor.outputs(explainer.predictor.schema.encode(x[:3]))
    np.testing.assert_array_equal(found.outputs, teacher)
    surrogate_says = explainer.surrogate.outputs(explainer.predictor.schema.encode(x[:3]))
    gap = np.abs(surrogate_says - teacher).max(axis=1)
    np.testing.assert_allclose(found.additivity_gap, gap, atol=1e-12)
    assert found.output_space == ("value" if task == "value" else "probability")
    if task != "value":
        np.testing.assert_allclose(surrogate_says.sum(axis=1), 1, atol=1e-12)


@every_model
def test_categories_and_gaps_are_features_like_any_other(surrogate, mixed):
    x, _, model = mixed
    x = x[["age", "balance", "region", "plan"]]
    from sklearn.base import clone

    steps = clone(model)
    steps.set_params(
        prepare__transformers=[
            ("num", steps["prepare"].transformers[0][1], ["age", "balance"]),
            ("cat", steps["prepare"].transformers[1][1], ["region", "plan"]),
        ]
    )
    explainer = MimicExplainer(steps.fit(x, mixed[1]), x, surrogate)
    rows = x.iloc[[0, 5, 9]].reset_index(drop=True)
    rows.loc[0, "balance"] = np.nan
    rows.loc[1, "plan"] = "a plan that nobody had"
    found = explainer.explain_local(rows)
    expected = against_the_definition(explainer, rows)
    np.testing.assert_allclose(found.values, expected, atol=1e-10)
    assert found.features == tuple(x.columns)


@every_model
def test_fidelity_is_measured_on_held_out_rows(surrogate, breast_cancer):
    x_train, x_test, y_train, _, _, classes = breast_cancer
    labels = np.array(classes)[y_train]  # class names are text: the original ends at 0.0 or raises
    model = ensemble.RandomForestClassifier(20, random_state=0).fit(x_train, labels)
    explainer = MimicExplainer(model, x_train, surrogate)
    told = explainer.fidelity
    assert told["rows"] == len(x_train) // 5
    assert told["measured_on"] == "initialization examples held out"
    assert told["agreement"] > 0.85
    assert set(told["r2"]) == {"benign", "malignant"}
    assert min(told["r2"].values()) > 0.6
    assert set(told["agreement_per_class"]) == {"benign", "malignant"}
    # Rows that neither half of the examples held say about the same.
    rows = explainer.predictor.schema.encode(x_test)
    truth, answers = explainer.predictor.outputs(rows), explainer.surrogate.outputs(rows)
    same = (truth.argmax(axis=1) == answers.argmax(axis=1)).mean()
    assert abs(same - told["agreement"]) < 0.1
    # Raw columns reach 4,000 and more; values stay of the size of what they explain.
    assert np.abs(explainer.explain_local(x_test).values).max() < 2


def test_fidelity_of_a_constant_and_of_a_perfect_surrogate():
    x, y = table("value")
    perfect = MimicExplainer(
        linear_model.LinearRegression().fit(x, y), x, LinearExplainableModel, {"alpha": 1e-12}
    )
    assert perfect.fidelity["r2"]["value"] == pytest.approx(1, abs=1e-9)
    constant = MimicExplainer(lambda rows: np.full(len(rows), 3.0), x, LinearExplainableModel,
                              is_function=True)  # fmt: skip
    assert constant.fidelity["r2"] == {"value": 1.0}
    assert np.abs(constant.explain_local(x[:5]).values).max() < 1e-12


@every_model
def test_global_is_the_mean_of_local_with_and_without_rows(surrogate):
    x, y = table("three")
    explainer = MimicExplainer(linear_model.LogisticRegression().fit(x, y), x, surrogate)
    local = np.abs(explainer.explain_local(x).values).mean(axis=0).T
    for told in (explainer.explain_global(), explainer.explain_global(x)):
        np.testing.assert_allclose(told.per_output, local, atol=1e-12)
        assert told.fidelity == explainer.fidelity


@every_model
def test_it_pickles_and_two_are_the_same(surrogate):
    x, y = table("binary")
    model = linear_model.LogisticRegression().fit(x, y)
    one, two = (MimicExplainer(model, x, surrogate) for _ in range(2))
    values = one.explain_local(x[:4]).values
    again = pickle.loads(pickle.dumps(one))
    assert (again.explain_local(x[:4]).values == values).all()
    assert (two.explain_local(x[:4]).values == values).all()


@every_model
def test_a_scoring_explainer_predicts_with_the_model_and_explains_the_surrogate(
    surrogate, tmp_path, capsys
):
    x, y = table("three")
    model = linear_model.LogisticRegression().fit(x, y)
    explainer = MimicExplainer(model, x[:90], surrogate)
    scoring = KernelScoringExplainer(explainer, name="mimic")
    save(scoring, tmp_path / "artifact")
    loaded = load(tmp_path / "artifact")
    rows = loaded.predictor.schema.encode(x[-5:])
    scored = loaded.score(rows)
    assert (scored.predictions == model.predict(x[-5:])).all()
    assert scored.probabilities is not None  # for the type checker
    np.testing.assert_allclose(scored.probabilities, model.predict_proba(x[-5:]), atol=1e-5)
    told = explainer.surrogate.outputs(rows)
    gap = np.abs(told - model.predict_proba(x[-5:])).max(axis=1)
    np.testing.assert_allclose(scored.explanation.additivity_gap, gap, atol=1e-5)
    background, weights = explainer.summary.table.codes, explainer.summary.weights

    def f(masked):
        return explainer._fitted.estimator.predict(masked)

    expected = oracles.shapley_rows(f, x[-5:], background, weights)
    np.testing.assert_allclose(scored.explanation.values, expected, atol=1e-5)
    assert loaded.method == "exact enumeration of a surrogate"
    assert scored.explanation.output_space == "probability"
    said = manifest_of(tmp_path / "artifact")
    assert said["surrogate"]["form"] in {"onnx", "skops"}
    assert said["fidelity"]["surrogate"]["r2"].keys() == {"high", "low", "mid"}
    assert run(["inspect", str(tmp_path / "artifact")]) == 0
    assert "agreement_per_class" in capsys.readouterr().out


def test_a_subset_leaves_the_rest_as_remainder():
    x, y = table("binary")
    model = linear_model.LogisticRegression().fit(x, y)
    whole = MimicExplainer(model, x, LinearExplainableModel).explain_local(x[:3])
    part = MimicExplainer(model, x, LinearExplainableModel, explain_subset=[2, 0])
    found = part.explain_local(x[:3])
    assert found.features == ("feature_2", "feature_0")
    np.testing.assert_array_equal(found.values, whole.values[:, [2, 0]])
    np.testing.assert_allclose(found.additivity_gap, whole.additivity_gap, atol=1e-12)


def test_few_rows_are_joined_by_mixed_ones():
    x, y = table("value", n=15)
    seen = []

    def model(rows):
        seen.append(len(rows))
        return rows[:, 0]

    for augment in (False, True):
        seen.clear()
        MimicExplainer(model, x, LinearExplainableModel, is_function=True, augment_data=augment)
        assert (40 in seen) is augment  # ten for each of four features
    assert y.shape == (15,)


def test_numbers_that_stand_for_categories():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 6, 400), rng.normal(size=400)]).astype(float)
    effect = np.array([0.0, 5, 1, 4, 2, 3])

    def model(rows):
        return effect[rows[:, 0].astype(int)] + rows[:, 1]

    plain = MimicExplainer(model, x, LinearExplainableModel, is_function=True)
    told = MimicExplainer(
        model, x, LinearExplainableModel, is_function=True, categorical_features=["feature_0"]
    )
    assert plain.fidelity["r2"]["value"] < 0.6
    assert told.fidelity["r2"]["value"] > 0.99


def test_the_guides_svc_in_margin_space(breast_cancer):
    x_train, x_test, y_train, _, names, classes = breast_cancer
    model = svm.SVC(gamma=0.001, C=100.0).fit(x_train, y_train)
    explainer = MimicExplainer(
        model, x_train, LGBMExplainableModel, None, False, True, 10,
        features=names, classes=classes,
    )  # fmt: skip
    found = explainer.explain_local(x_test[:5])
    assert found.output_space == "margin"
    assert found.output_names == ("benign",)
    assert len(found.get_ranked_local_names(top_k=3)[0][0]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"explainable_model": linear_model.Ridge()}, "explainable_model must be one of our"),
        ({"explainable_model": LinearExplainableModel()}, "without calling it"),
        ({"max_num_of_augmentations": 0}, "max_num_of_augmentations must be at least 1"),
        ({"explainable_model_args": {"depth": 3}}, "which has no depth"),
        ({"explainable_model_args": ["alpha"]}, "must be names with values"),
        ({"categorical_features": ["age"]}, "categorical_features must hold indices"),
        ({"explain_subset": [9]}, "explain_subset must hold indices from 0 to 3"),
        ({"model_task": "ranking"}, "model_task must be one of classification, regression"),
        ({"is_function": True}, "model must be callable"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    x, y = table("binary")
    given = {"explainable_model": LinearExplainableModel} | arguments
    with pytest.raises(ParameterError, match=message):
        MimicExplainer(linear_model.LogisticRegression().fit(x, y), x, **given)


def test_a_tree_compares_in_single_precision_and_so_do_its_values():
    x = np.random.default_rng(0).normal(size=(60, 3))
    explainer = MimicExplainer(
        lambda rows: rows[:, 0] + rows[:, 1] ** 2, x, DecisionTreeExplainableModel, is_function=True
    )
    tree = explainer._fitted.components[0].named_steps["regress"].tree_
    inner = np.flatnonzero(tree.feature >= 0)[:12]
    rows = np.repeat(x[:1], len(inner), axis=0)
    for r, node in enumerate(inner):  # above the threshold in double precision only
        rows[r, tree.feature[node]] = np.nextafter(tree.threshold[node], np.inf)
    found = explainer.explain_local(rows).values
    np.testing.assert_allclose(found, against_the_definition(explainer, rows), atol=1e-12)


def test_leaves_that_are_not_the_surrogate_are_not_explained(monkeypatch):
    x, y = table("value")
    model = linear_model.LinearRegression().fit(x, y)
    explainer = MimicExplainer(model, x, LGBMExplainableModel)

    def other(regressor, space):
        forest = forest_in(regressor, space)
        assert forest is not None
        return replace(forest, values=2 * forest.values)

    monkeypatch.setattr("scoring.surrogates.trees.forest_in", other)
    with pytest.raises(ParameterError, match="explainable_model_args must leave the trees"):
        explainer.explain_local(x[:2])


def test_it_has_no_engineered_columns():
    x, y = table("binary")
    explainer = MimicExplainer(
        linear_model.LogisticRegression().fit(x, y), x, LinearExplainableModel
    )
    with pytest.raises(ModelError, match="learns from raw features"):
        explainer.explain_local(x, get_raw=False)
    with pytest.raises(ParameterError, match="only a TabularExplainer of a pipeline has columns"):
        KernelScoringExplainer(explainer, engineered=True)
