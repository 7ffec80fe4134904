"""Results: counts, sums to raw features, selections and ranks."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scoring import ModelError, ParameterError
from tests.explanations import OUTPUTS, every_task, local, overall


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
    shares = np.arange(10.0).reshape(2, 5)
    mapped = local(task, feature_map=shares, raw_features=("l", "r")).select([3, 1])
    np.testing.assert_array_equal(mapped.feature_map, shares[:, [3, 1]])
    for wrong in ([1, 1], [5], [-1]):
        with pytest.raises(ParameterError, match="indices must be different"):
            explanation.select(wrong)


def test_explanations_are_frozen_and_compare_by_identity():
    for explanation in (local(), overall()):
        with pytest.raises(FrozenInstanceError):
            explanation.method = "another"
        assert explanation != replace(explanation)  # arrays have no one truth value
        assert {explanation: 1}[explanation] == 1


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
    table = pd.DataFrame(shares, columns=list(plain.features))
    for given in (shares, sparse.csr_matrix(shares), table, [np.eye(2), shares], [table],
                  [shares.tolist()]):  # fmt: skip
        found = plain.get_raw_explanation(given, raw_feature_names=["left", "right"])
        np.testing.assert_allclose(found.values, raw.values)
    assert plain.get_raw_explanation(shares).features == ("raw_0", "raw_1")
    assert plain.get_raw_feature_importances(shares) == raw.local_importance_values
    named = pd.DataFrame(shares, index=["left", "right"])
    assert plain.get_raw_explanation(named).features == ("left", "right")
    index = pd.Index(["l", "r"])
    assert plain.get_raw_explanation(named, index).features == ("l", "r")
    with pytest.raises(ModelError, match="no map to raw features"):
        plain.get_raw_explanation()
    with pytest.raises(ModelError, match="of raw features already"):
        raw.get_raw_explanation()
    with pytest.raises(ParameterError, match=r"feature_maps must be maps .* 5 columns"):
        plain.get_raw_explanation(shares[:, :4])
    with pytest.raises(ParameterError, match="in their order"):
        plain.get_raw_explanation(table[["f1", "f0", "f2", "f3", "f4"]])
    for names in (["one"], []):
        with pytest.raises(ParameterError, match="raw_feature_names must name 2, not"):
            plain.get_raw_explanation(shares, names)
    with pytest.raises(ParameterError, match="not one text"):
        plain.get_raw_explanation(shares, "ab")


@pytest.mark.parametrize(
    "given",
    ["x", [], [[1.0, 2.0], [3.0]], np.full((2, 5), np.nan), [np.eye(3), np.ones((2, 5))],
     [[[1.0, 0.0], [0.0, 1.0]], "x"], np.ones(5), np.ones((1, 2, 5)), 3],
)  # fmt: skip
def test_what_is_no_map_is_refused(given):
    with pytest.raises(ParameterError, match="feature_maps must"):
        local().get_raw_explanation(given)


def test_raw_importance_comes_from_sums_and_not_from_importances():
    raw = overall(raw_features=("left", "right"), raw_per_output=np.ones((2, 2)))
    assert raw.get_raw_explanation().get_feature_importance_dict() == {"left": 1.0, "right": 1.0}
    assert raw.get_raw_feature_importances() == [1.0, 1.0]
    assert raw.get_raw_explanation(raw_feature_names=["l", "r"]).features == ("l", "r")
    with pytest.raises(ParameterError, match="raw_feature_names must name 2, not 3"):
        raw.get_raw_explanation(raw_feature_names=["l", "r", "s"])
    for explanation, given in ((overall(), None), (overall(), np.ones((2, 5))),
                               (raw, np.ones((2, 5)))):  # fmt: skip
        with pytest.raises(ModelError, match="Leave get_raw out"):
            explanation.get_raw_explanation(given)


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


@pytest.mark.parametrize("top_k", [0, -1, 1.5, 2.0, True, "2", "a", float("nan"), [2]])
def test_top_k_is_a_count(top_k):
    with pytest.raises(ParameterError, match="top_k must be a whole number"):
        local().get_ranked_local_names(top_k)
    with pytest.raises(ParameterError, match="top_k must be a whole number"):
        overall().get_ranked_global_values(top_k)


def test_top_k_may_be_of_numpy_and_more_than_there_are():
    assert local("value").get_ranked_local_names(np.int64(2)) == [
        names[:2] for names in local("value").get_ranked_local_names()
    ]
    assert len(overall().get_ranked_global_names(99)) == 5
