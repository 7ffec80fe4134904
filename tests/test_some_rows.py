"""Explaining some of the rows only: the same values, and no work for the others."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB

from scoring import KernelScoringExplainer, ModelError, TabularExplainer, load, save
from scoring.exact import Exact
from scoring.kernel import Kernel

DATA = load_breast_cancer()
X = DATA.data[:, :14]
ROWS = X[:40]


@pytest.fixture(scope="module")
def explainers(tmp_path_factory):
    """Sampled ones of a model that answers, and exact ones that predict by themselves."""
    root = tmp_path_factory.mktemp("some")
    bayes = GaussianNB().fit(X, DATA.target)
    forest = RandomForestClassifier(5, max_depth=4, random_state=0).fit(X, DATA.target)
    sampled = KernelScoringExplainer(
        TabularExplainer(bayes, X, n_background=5), n_coalitions=200, strict=False
    )
    exact = KernelScoringExplainer(TabularExplainer(forest, X), interactions=True)
    save(exact, root / "exact")
    return {"sampled": sampled, "exact": exact, "loaded": load(root / "exact")}


KINDS = ["sampled", "exact", "loaded"]


@pytest.mark.parametrize("kind", KINDS)
def test_some_rows_have_the_values_that_they_have_among_all(explainers, kind):
    explainer = explainers[kind]
    rows = explainer.predictor.schema.encode(ROWS)
    every = explainer.score(rows)
    some = explainer.score(rows, explain=lambda predictions, chances: chances[:, 1] > 0.5)
    expected = np.flatnonzero(every.probabilities[:, 1] > 0.5)
    assert 0 < len(expected) < len(ROWS)
    np.testing.assert_array_equal(some.explained, expected)
    np.testing.assert_array_equal(some.predictions, every.predictions)
    np.testing.assert_allclose(some.probabilities, every.probabilities, atol=1e-15)
    whole, part = every.explanation, some.explanation
    np.testing.assert_allclose(part.values, whole.values[expected], atol=1e-12)
    np.testing.assert_allclose(part.standard_errors, whole.standard_errors[expected], atol=1e-12)
    np.testing.assert_allclose(part.outputs, whole.outputs[expected], atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("explain", [False, lambda predictions, chances: predictions > 7])
def test_no_explanation_is_no_work(explainers, kind, explain, monkeypatch):
    explainer = explainers[kind]
    rows = explainer.predictor.schema.encode(ROWS)
    every = explainer.score(rows)
    for owner, name in (
        (Kernel, "estimate"),
        (Exact, "values"),
        (Exact, "outputs_and_values"),
    ):
        monkeypatch.setattr(owner, name, None)
    scored = explainer.score(rows, explain=explain)
    np.testing.assert_array_equal(scored.predictions, every.predictions)
    assert scored.explanation.values.shape == (0, *every.explanation.values.shape[1:])
    assert scored.explanation.features == every.explanation.features
    assert len(scored.explained) == scored.explanation.n_coalitions == 0


def test_explaining_by_a_filter_asks_for_no_more_than_its_rows(explainers, monkeypatch):
    explainer, asked = explainers["sampled"], []
    really = Kernel.estimate

    def counted(self, rows, *args, **kwargs):
        asked.append(rows.n_rows)
        return really(self, rows, *args, **kwargs)

    monkeypatch.setattr(Kernel, "estimate", counted)
    rows = explainer.predictor.schema.encode(ROWS)
    explainer.score(rows, explain=lambda predictions, chances: np.arange(len(ROWS)) < 3)
    assert asked == [3]


def test_interactions_come_with_the_rows_that_are_explained(explainers):
    explainer = explainers["loaded"]
    rows = explainer.predictor.schema.encode(ROWS)
    wanted = np.arange(len(ROWS)) % 7 == 0
    scored = explainer.score(rows, explain=lambda predictions, chances: wanted, interactions=True)
    np.testing.assert_allclose(
        scored.interactions, explainer.explain_interactions(ROWS[wanted]), atol=1e-12
    )
    np.testing.assert_allclose(
        scored.interactions.sum(axis=2), scored.explanation.values, atol=1e-9
    )
    assert explainer.explains_interactions
    assert not explainers["sampled"].explains_interactions
    with pytest.raises(ModelError):
        explainers["sampled"].score(rows, interactions=True)


@pytest.mark.parametrize("kind", ["sampled", "loaded"])
@pytest.mark.parametrize("wanted", [None, np.arange(len(ROWS)) % 3 == 1, np.arange(len(ROWS)) < 5])
def test_parts_of_what_was_scored_together(explainers, kind, wanted):
    explainer = explainers[kind]
    rows = explainer.predictor.schema.encode(ROWS)

    def score(some):
        if wanted is None:
            return explainer.score(rows.take(some))
        return explainer.score(rows.take(some), explain=lambda predictions, chances: wanted[some])

    together = score(slice(0, len(ROWS)))
    for some in (slice(0, 4), slice(4, 11), slice(11, 12), slice(12, 40)):
        part, alone = together.take(some), score(some)
        np.testing.assert_array_equal(part.predictions, alone.predictions)
        assert (part.explained is None) == (wanted is None)
        if wanted is not None:
            np.testing.assert_array_equal(part.explained, alone.explained)
        np.testing.assert_allclose(part.probabilities, alone.probabilities, atol=1e-15)
        np.testing.assert_allclose(part.explanation.values, alone.explanation.values, atol=1e-12)
        np.testing.assert_allclose(part.explanation.outputs, alone.explanation.outputs, atol=1e-15)
        errors = alone.explanation.standard_errors
        np.testing.assert_allclose(part.explanation.standard_errors, errors, atol=1e-12)
