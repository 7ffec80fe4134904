"""To and from shap's own form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scoring import LocalExplanation, ParameterError
from scoring.predictor import OutputSpace
from tests.explanations import OUTPUTS, every_task, local


@every_task
def test_shaps_own_form_and_back(task):
    explanation = local(task)
    there = explanation.to_shap(x=np.zeros((4, 5)))
    one = task == "value"
    assert there.values.shape == ((4, 5) if one else (4, 5, len(OUTPUTS[task])))
    np.testing.assert_allclose(there.abs.mean(0).values.reshape(5, -1),
                               np.abs(explanation.values).mean(axis=0))  # fmt: skip
    space: OutputSpace = "value" if one else "probability"
    back = LocalExplanation.from_shap(there, output_space=space)
    np.testing.assert_array_equal(back.values, explanation.values)
    np.testing.assert_array_equal(back.base_values, explanation.base_values)
    np.testing.assert_allclose(back.outputs, explanation.outputs)
    assert back.features == explanation.features
    assert back.output_names == explanation.output_names
    assert back.classification is not one
    np.testing.assert_array_equal(explanation.to_shap(sparse.eye_array(4, 5)).data, np.eye(4, 5))
    with pytest.raises(ParameterError, match="x must be the rows"):
        explanation.to_shap(x=np.zeros((3, 5)))
    with pytest.raises(ParameterError, match="must be of rows"):
        LocalExplanation.from_shap(there[0] if one else there[0, :, 0], output_space="value")


@every_task
def test_shaps_form_of_a_selection_adds_up(task):
    part = local(task).select([3, 1])
    there = part.to_shap(pd.DataFrame(np.zeros((4, 2))))
    assert there.feature_names == ["f3", "f1", "all others"]
    assert there.data.shape == (4, 3)
    total = there.base_values + there.values.sum(axis=1)
    np.testing.assert_allclose(total.reshape(part.outputs.shape), part.outputs)


def test_shaps_own_results_are_read():
    import shap
    from sklearn.linear_model import LinearRegression

    x = np.random.default_rng(0).normal(size=(20, 3))
    model = LinearRegression().fit(x, x @ [1.0, -2.0, 0.5])
    found = shap.LinearExplainer(model, shap.maskers.Independent(x))(x[:4])
    explanation = LocalExplanation.from_shap(found, output_space="value")
    np.testing.assert_allclose(explanation.values[..., 0], (x[:4] - x.mean(axis=0)) * model.coef_)
    np.testing.assert_allclose(explanation.outputs[:, 0], model.predict(x[:4]))
    assert (explanation.classification, explanation.output_names) == (False, ("value",))


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"base_values": np.arange(4.0)}, "the same base values for all rows"),
        ({"base_values": None}, "must have 1 base values"),
        ({"base_values": np.ones(3)}, "must have 1 base values"),
        ({"base_values": 0.0, "feature_names": ["one"]}, "must name 5 features, not 1"),
    ],
)
def test_what_shap_leaves_open_is_not_guessed(given, rule):
    import shap

    with pytest.raises(ParameterError, match=rule):
        LocalExplanation.from_shap(shap.Explanation(np.ones((4, 5)), **given), output_space="value")


def test_only_shaps_form_and_our_spaces_are_read():
    with pytest.raises(ParameterError, match=r"must be a shap\.Explanation"):
        LocalExplanation.from_shap(np.ones((4, 5)), output_space="value")
    with pytest.raises(ParameterError, match="output_space must be one of"):
        LocalExplanation.from_shap(
            local().to_shap(),
            output_space="logit",  # type: ignore[arg-type]  # the point
        )
