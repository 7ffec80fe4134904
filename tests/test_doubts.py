"""What only looks like a known model is asked itself, and the report says why."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import ensemble, linear_model, neural_network, svm, tree
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scoring import KernelScoringExplainer, TabularExplainer
from scoring.games.masked import MaskedGame
from tests import oracles

ROWS, KNOWN = slice(-2, None), slice(0, 12)


def table():
    x = np.random.default_rng(0).normal(size=(90, 4))
    return x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int)


class Rounded(linear_model.LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    def predict_proba(self, x):
        return super().predict_proba(x).round(1)


class Bold(ensemble.RandomForestClassifier):  # type: ignore[misc]  # scikit-learn has no types
    def predict_proba(self, x):
        return super().predict_proba(x) ** 2


class Shifted(svm.SVC):  # type: ignore[misc]  # scikit-learn has no types
    def decision_function(self, x):
        return super().decision_function(x) ** 2


class Doubled(ensemble.GradientBoostingRegressor):  # type: ignore[misc]  # scikit-learn has no types
    def predict(self, x):
        return 2 * super().predict(x)


class Powered:
    """A monotone function of another model's probabilities."""

    def __init__(self, model):
        self.model, self.classes_ = model, model.classes_

    def predict(self, x):
        return self.model.predict(x)

    def predict_proba(self, x):
        powers = self.model.predict_proba(x) ** 3
        return powers / powers.sum(axis=1, keepdims=True)


def answered_otherwise(model, method):
    own = getattr(model, method)
    setattr(model, method, lambda rows: own(rows) ** 2)
    return model


def subclasses():
    x, y = table()
    return {
        "Rounded derives from LogisticRegression": (Rounded().fit(x, y), "predict_proba"),
        "Bold derives from RandomForestClassifier": (
            Bold(5, random_state=0).fit(x, y),
            "predict_proba",
        ),
        "Shifted derives from SVC": (Shifted().fit(x, y), "decision_function"),
        "Doubled derives from GradientBoostingRegressor": (
            Doubled(n_estimators=5).fit(x, x[:, 0]),
            "predict",
        ),
        "Rounded derives": (make_pipeline(StandardScaler(), Rounded()).fit(x, y), "predict_proba"),
    }


def mismatches():
    x, y = table()
    forest = ensemble.RandomForestClassifier(5, random_state=0).fit(x, y)
    network = neural_network.MLPClassifier((4,), solver="lbfgs", max_iter=2000, random_state=0)
    several = np.digitize(x[:, 0], [-0.5, 0.5])
    line = linear_model.LogisticRegression().fit(x, y)
    ridge = linear_model.Ridge().fit(x, x[:, 0])
    machine = svm.SVC().fit(x, y)
    softmax = linear_model.LogisticRegression().fit(x, several)
    proba = "predict_proba"
    return {
        "reads as tree": (answered_otherwise(forest, proba), proba),
        "reads as link": (answered_otherwise(line, proba), proba),
        "reads as linear": (answered_otherwise(ridge, "predict"), "predict"),
        "reads as rbf": (answered_otherwise(machine, "decision_function"), "decision_function"),
        "reads as a network": (answered_otherwise(network.fit(x, y), proba), proba),
        "as a network": (answered_otherwise(softmax, proba), proba),
    }


def silent():
    x, y = table()
    line = linear_model.LogisticRegression().fit(x, y)
    custom = svm.SVC(kernel=lambda a, b: (a @ b.T + 1) ** 2).fit(x, y)
    return {
        "wrapper": (Powered(line), "predict_proba"),
        "kernel": (custom, "decision_function"),
    }


def hold(model, method):
    """Distil, hold the values against the definition, and return the scoring explainer."""
    x, _ = table()
    explainer = TabularExplainer(model, x[KNOWN])
    assert explainer.method == "exact enumeration"
    assert isinstance(explainer.view.kernel.game, MaskedGame) or "Pipeline" in type(model).__name__
    scoring = KernelScoringExplainer(explainer)

    def f(rows):
        return np.asarray(getattr(model, method)(rows)).reshape(len(rows), -1)

    expected = oracles.shapley_rows(f, x[ROWS], x[KNOWN])
    for each in (explainer, scoring):
        np.testing.assert_allclose(each.explain_local(x[ROWS]).values, expected, atol=1e-9)
    return scoring


@pytest.mark.parametrize("note", subclasses())
def test_a_subclass_is_asked_itself_and_the_report_says_so(note):
    report = hold(*subclasses()[note]).report
    assert note in report["structure"]
    assert report["structure"].endswith("asked itself")


@pytest.mark.parametrize("note", mismatches())
def test_a_model_that_answers_otherwise_than_its_type_is_asked_itself(note):
    report = hold(*mismatches()[note]).report
    assert note in report["structure"]
    assert "answers otherwise" in report["structure"]


def unread():
    """Models of trees whose leaves are not what is explained, and what the report says of them."""
    x, y = table()
    days = np.exp(x[:, 0])
    line = ensemble.BaggingRegressor(linear_model.Ridge(), 3).fit(x, days)
    start = ensemble.GradientBoostingRegressor(n_estimators=3, init=tree.DecisionTreeRegressor())
    counts = ensemble.HistGradientBoostingRegressor(max_iter=3, loss="poisson").fit(x, days)
    turned = make_pipeline(PCA(3), ensemble.RandomForestRegressor(3, random_state=0)).fit(x, days)
    ada = ensemble.VotingClassifier(
        [("one", ensemble.AdaBoostClassifier(n_estimators=3))], voting="soft"
    ).fit(x, y)
    return {
        "a member, Ridge, is no sum of trees": (line, "predict"),
        "its init estimator's answers depend on the row": (start.fit(x, days), "predict"),
        "output_space='margin' has exact values": (counts, "predict"),
        "columns that several features share": (turned, "predict"),
        "a member, AdaBoostClassifier, is no sum of trees": (ada, "predict_proba"),
    }


@pytest.mark.parametrize("note", unread())
def test_trees_that_are_no_sum_of_leaves_are_asked_and_the_report_says_why(note):
    assert note in hold(*unread()[note]).report["structure"]


def test_a_path_of_too_many_features_is_told(monkeypatch):
    x, _ = table()
    monkeypatch.setattr("scoring.distillation.structure.MOST_PLAYERS", 2)
    model = ensemble.RandomForestRegressor(3, random_state=0).fit(x, x.sum(axis=1))
    assert "a path of its trees tests more than" in hold(model, "predict").report["structure"]


@pytest.mark.parametrize("name", silent())
def test_what_promises_nothing_is_asked_itself_without_a_note(name):
    assert hold(*silent()[name]).report["structure"] is None


def test_an_honest_model_leaves_no_note():
    x, y = table()
    network = neural_network.MLPClassifier((4,), solver="lbfgs", max_iter=2000).fit(x, y)
    for model in (network, svm.SVC().fit(x, y), linear_model.LogisticRegression().fit(x, y)):
        explainer = TabularExplainer(model, x[KNOWN], method="kernel")
        assert KernelScoringExplainer(explainer, method="kernel").report["structure"] is None
