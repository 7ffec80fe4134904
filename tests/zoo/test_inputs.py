"""Tables of every kind that people hand over, and arguments as they give them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn import ensemble, linear_model, naive_bayes, svm, tree
from sklearn.base import TransformerMixin
from sklearn.pipeline import Pipeline

from scoring import (
    LinearExplainableModel,
    MimicExplainer,
    ParameterError,
    PFIExplainer,
    RowsError,
    TabularExplainer,
)
from tests.zoo import zoo

NAMES = ["age", "income", "a b", "x5=ROMÁNIA"]
Y = zoo.TARGETS["three"]
FRAME, ROWS = (pd.DataFrame(x, columns=NAMES) for x in (zoo.X, zoo.ROWS))
OF_ARRAYS = linear_model.LogisticRegression().fit(zoo.X, Y)
OF_FRAMES = linear_model.LogisticRegression().fit(FRAME, Y)
DATES = pd.date_range("2018-01-01", periods=len(zoo.X), freq="D", tz="UTC")


def dated(frame):
    return frame.set_index(DATES[: len(frame)])


def indexed(frame):
    return frame.set_index(pd.MultiIndex.from_product([[1, 2], range(len(frame) // 2)]))


SHAPES = {
    "lists": (OF_ARRAYS, lambda x: x.tolist()),
    "floats of 32 bits": (OF_ARRAYS, lambda x: x.astype(np.float32)),
    "objects": (OF_ARRAYS, lambda x: x.astype(object)),
    "columns first": (OF_ARRAYS, np.asfortranarray),
    "numbered columns": (OF_ARRAYS, pd.DataFrame),
    "names, though trained without": (OF_ARRAYS, lambda x: pd.DataFrame(x, columns=NAMES)),
    "names": (OF_FRAMES, lambda x: pd.DataFrame(x, columns=NAMES)),
    "dates for an index": (OF_FRAMES, lambda x: dated(pd.DataFrame(x, columns=NAMES))),
    "two levels of index": (OF_FRAMES, lambda x: indexed(pd.DataFrame(x, columns=NAMES))),
    "sparse rows": (OF_ARRAYS, scipy.sparse.csr_matrix),
    "sparse columns": (OF_ARRAYS, scipy.sparse.csc_array),
    "sparse coordinates": (OF_ARRAYS, scipy.sparse.coo_matrix),
}


@pytest.mark.parametrize(("model", "shape"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("explainer", [TabularExplainer, MimicExplainer])
def test_one_table_has_one_explanation_however_it_is_written(explainer, model, shape):
    more = (LinearExplainableModel,) if explainer is MimicExplainer else ()
    plain = explainer(OF_ARRAYS, zoo.X, *more).explain_local(zoo.ROWS)
    found = explainer(model, shape(zoo.X), *more).explain_local(shape(zoo.ROWS))
    zoo.near(found.values, plain.values, 1e-5)
    zoo.near(found.outputs, model.predict_proba(ROWS if model is OF_FRAMES else zoo.ROWS), 1e-6)


def sparse_table():
    x = scipy.sparse.random(60, 20, density=0.15, random_state=0, format="csr")
    return x, (np.asarray(x.sum(axis=1)).ravel() > 1.4).astype(int)


OF_SPARSE = {
    "logistic": linear_model.LogisticRegression(),
    "linear": linear_model.LinearRegression(),
    "forest": ensemble.RandomForestClassifier(4, max_depth=3, random_state=0),
    "bayes": naive_bayes.MultinomialNB(),
    "support vectors": svm.SVC(),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in {"bayes", "support vectors"}))
        for name in OF_SPARSE
    ],
)
@pytest.mark.parametrize("background", ["rows", "one row of zeros"])
def test_models_of_sparse_rows(name, background, tmp_path):
    x, y = sparse_table()
    model = OF_SPARSE[name].fit(x, y)
    examples = x if background == "rows" else scipy.sparse.csr_matrix((1, x.shape[1]))
    explainer = TabularExplainer(model, examples)
    local = explainer.explain_local(x[:3])
    outputs = zoo.says(model, x[:3], local.output_space)
    zoo.adds_up(local, outputs)
    one = explainer.explain_local(x[0, :])
    np.testing.assert_allclose(one.values, local.values[:1], atol=1e-12)
    zoo.keeps_to_the_layouts(one, classification=name != "linear")
    if background == "rows":
        scoring = zoo.served(explainer, tmp_path / "artifact")
        zoo.answers_what_the_model_answers(scoring, model, x[:3], outputs)


@pytest.mark.parametrize("surrogate", zoo.SURROGATES, ids=lambda kind: kind.name)
def test_surrogates_of_sparse_rows_with_and_without_more_of_them(surrogate):
    x, y = sparse_table()
    x = x[:, :8]
    model = linear_model.LogisticRegression().fit(x, y)
    options = zoo.QUIET.get(surrogate.name, {})
    for augmented in (True, False):
        explainer = MimicExplainer(model, x, surrogate, options, augment_data=augmented)
        local = explainer.explain_local(x[:3])
        zoo.near(local.outputs, model.predict_proba(x[:3]), 1e-12)
        zoo.is_the_mean_of(explainer.explain_global(x[:3], show_progress=False), local)
    with pytest.raises(ParameterError, match="which has no sparse_data"):
        MimicExplainer(model, x, surrogate, {"sparse_data": True})


def test_names_may_be_numbers_and_a_subset_those_that_were_ranked_first():
    explainer = TabularExplainer(OF_ARRAYS, zoo.X, features=list(range(4)))
    best = explainer.explain_global(zoo.ROWS, show_progress=False).get_ranked_global_names(2)
    every = explainer.explain_local(zoo.ROWS)
    places = [int(name) for name in best]
    for subset in (best, places):
        few = TabularExplainer(
            OF_ARRAYS, zoo.X, features=list(range(4)), explain_subset=subset
        ).explain_local(zoo.ROWS)
        np.testing.assert_allclose(few.values, every.values[:, places], atol=1e-12)


@pytest.mark.parametrize("write", [list, np.array, pd.Index], ids=["list", "array", "index"])
def test_names_of_features_and_classes_in_any_list(write):
    explainer = TabularExplainer(
        OF_ARRAYS, zoo.X, features=write(NAMES), classes=write(["low", "mid", "high"])
    )
    assert explainer.features == tuple(NAMES)
    assert explainer.classes == ("low", "mid", "high")
    assert TabularExplainer(OF_ARRAYS, zoo.X, classes=write([0, 1, 2])).classes == ("0", "1", "2")
    assert TabularExplainer(OF_FRAMES, FRAME, features=write(NAMES)).features == tuple(NAMES)


def test_rows_of_a_frame_whose_names_the_examples_never_had_are_refused():
    explainer = TabularExplainer(OF_ARRAYS, zoo.X)
    with pytest.raises(RowsError, match="'feature_0': is missing"):
        explainer.explain_local(ROWS)
    named = TabularExplainer(OF_ARRAYS, zoo.X, features=NAMES)
    np.testing.assert_array_equal(
        named.explain_local(ROWS[NAMES[::-1]]).values, explainer.explain_local(zoo.ROWS).values
    )


class FramesOnly(TransformerMixin):  # type: ignore[misc] # scikit-learn has no types
    """Takes nothing but DataFrames."""

    def fit(self, x, y=None):
        return self

    def transform(self, x):
        assert isinstance(x, pd.DataFrame)
        return x


class Answering:
    """A model whose answers are of another type than arrays."""

    def __init__(self, model, write):
        self.model, self.write = model, write

    def predict(self, x):
        return self.write(self.model.predict(x))


class AnsweringProbabilities(Answering):
    """The same, of a classifier that does not tell its classes' names."""

    def predict_proba(self, x):
        return self.write(self.model.predict_proba(x))


@pytest.mark.parametrize("explainer", [TabularExplainer, MimicExplainer])
def test_models_that_take_frames_only(explainer):
    model = Pipeline([("frames", FramesOnly()), ("model", svm.SVC())]).fit(FRAME, Y)
    more = (LinearExplainableModel,) if explainer is MimicExplainer else ()
    explained = explainer(model, FRAME, *more, features=NAMES, classes=["low", "mid", "high"])
    zoo.near(explained.explain_local(ROWS).outputs, model.decision_function(ROWS), 1e-12)
    zoo.near(explained.explain_local(zoo.ROWS).outputs, model.decision_function(ROWS), 1e-12)


@pytest.mark.parametrize(
    "write", [pd.DataFrame, np.ndarray.tolist, np.asfortranarray], ids=["frame", "list", "array"]
)
def test_answers_may_be_frames_and_lists(write):
    regression = linear_model.Ridge().fit(zoo.X, zoo.TARGETS["value"])
    local = TabularExplainer(Answering(regression, write), zoo.X).explain_local(zoo.ROWS)
    zoo.adds_up(local, regression.predict(zoo.ROWS)[:, np.newaxis], 1e-9)
    local = TabularExplainer(AnsweringProbabilities(OF_ARRAYS, write), zoo.X).explain_local(
        zoo.ROWS
    )
    zoo.adds_up(local, OF_ARRAYS.predict_proba(zoo.ROWS), 1e-9)


def test_a_class_that_never_comes_has_values_of_zero():
    class Certain:
        def predict(self, x):
            return (x[:, 0] > 0).astype(int)

        def predict_proba(self, x):
            return np.eye(3)[self.predict(x)]

    explainer = TabularExplainer(Certain(), zoo.X)
    local = explainer.explain_local(zoo.ROWS)
    zoo.adds_up(local, Certain().predict_proba(zoo.ROWS), 1e-9)
    assert (local.values[:, :, 2] == 0).all()


@pytest.mark.parametrize("n_features", [2, 13])
def test_nothing_explains_a_model_that_says_nothing(n_features):
    explainer = TabularExplainer(lambda x: np.zeros(len(x)), np.ones((2, n_features)))
    assert (explainer.explain_local(np.ones((1, n_features))).values == 0).all()


@pytest.mark.parametrize("surrogate", zoo.SURROGATES, ids=lambda kind: kind.name)
def test_one_feature_and_two_rows_are_enough(surrogate):
    x = zoo.X[:2, :1]
    model = linear_model.Ridge().fit(x, [0.0, 1.0])
    local = TabularExplainer(model, x).explain_local(x)
    zoo.adds_up(local, model.predict(x)[:, np.newaxis], 1e-9)
    options = zoo.QUIET.get(surrogate.name, {})
    mimic = MimicExplainer(model, x, surrogate, options, augment_data=False)
    assert mimic.explain_local(x).values.shape == (2, 1, 1)


def test_a_gap_goes_where_the_tree_sends_it():
    x = np.array([[1.0], [np.nan], [np.nan], [np.nan], [100.0]])
    model = tree.DecisionTreeClassifier().fit(x, [1, 0, 0, 0, 0])
    values = TabularExplainer(model, x).explain_local(x).values[:, 0, 1]
    np.testing.assert_allclose(values, [0.8, -0.2, -0.2, -0.2, -0.2], atol=1e-12)


@pytest.mark.parametrize("model", ["linear", "forest"])
def test_the_values_of_a_published_example(model):
    """One leaf of four says 80: Lundberg and others, "Consistent individualized feature
    attribution" (2018), the first figure."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    expected = [[-10, -10], [-30, 10], [10, -30], [30, 30]]
    if model == "forest":
        fitted = ensemble.RandomForestRegressor(2, bootstrap=False).fit(x, [0, 0, 0, 80])
    else:
        fitted = lambda rows: 80 * rows[:, 0] * rows[:, 1]  # noqa: E731 a model in a line
    found = TabularExplainer(fitted, x).explain_local(x).values[:, :, 0]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("row", "told"),
    [(zoo.ROWS[0], re.escape("One row is x[0:1], not x[0]")), (ROWS.iloc[0], "x must be")],
    ids=["a flat array", "a line of a frame"],
)
def test_a_line_is_no_table(row, told):
    with pytest.raises(ParameterError, match=told):
        TabularExplainer(OF_FRAMES, FRAME).explain_local(row)


@pytest.mark.parametrize("truth", [list, pd.Series, pd.DataFrame, np.asarray])
@pytest.mark.parametrize("shape", ["array", "frame", "sparse"])
def test_shuffling_takes_the_truth_in_any_list_and_rows_of_any_kind(shape, truth):
    model = OF_FRAMES if shape == "frame" else OF_ARRAYS
    x = {"array": zoo.X, "frame": FRAME, "sparse": scipy.sparse.csr_matrix(zoo.X)}[shape]
    found = PFIExplainer(model, n_repeats=2, show_progress=False).explain_global(x, truth(Y))
    plain = PFIExplainer(OF_ARRAYS, n_repeats=2, show_progress=False).explain_global(zoo.X, Y)
    np.testing.assert_array_equal(found.per_output, plain.per_output)
    with pytest.raises(TypeError):
        PFIExplainer(model).explain_global(x)  # type: ignore[call-arg] # what is tested
