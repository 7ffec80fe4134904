"""`transformations=` before models that scikit-learn's Pipeline does not take."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from scoring import (
    KernelScoringExplainer,
    LinearExplainableModel,
    MimicExplainer,
    ParameterError,
    PFIExplainer,
    TabularExplainer,
    artifact_sha256,
    load,
    save,
)
from tests import oracles
from tests.models.agreement import X, labelled
from tests.models.test_recognise import Keras, Probable, Wrapped

Y = labelled([0, 1, 2])
TABLE = pd.DataFrame(X, columns=["a", "b", "c"]).assign(d=np.array(["x", "y", "z"])[Y[::-1]])
HEAD = ColumnTransformer([
    ("numbers", StandardScaler(), ["a", "b", "c"]), ("texts", OneHotEncoder(), ["d"]),
]).fit(TABLE)  # fmt: skip
TAIL = LogisticRegression().fit(HEAD.transform(TABLE), Y)
LIKELY = TAIL.predict_proba(HEAD.transform(TABLE))
LISTED = [([name], StandardScaler().fit(TABLE[[name]])) for name in "abc"]
LISTED += [(["d"], OneHotEncoder(sparse_output=False).fit(TABLE[["d"]]))]


class AloneWith(Probable):
    def predict_proba(self, rows):
        return TAIL.predict_proba(rows)


MODELS: dict[str, Any] = {
    "an object": lambda: (Wrapped(TAIL), {}),
    "its bound method": lambda: (Wrapped(TAIL).predict_proba, {}),
    "probabilities alone": lambda: (AloneWith(), {}),
    "a network": lambda: (Keras(TAIL), {"model_task": "classification"}),
    "a function": lambda: (lambda rows: TAIL.predict_proba(rows), {"model_task": "classification"}),  # noqa: PLW0108 a function is what is meant
    "an estimator": lambda: (TAIL, {}),
    "an estimator's method": lambda: (TAIL.predict_proba, {}),
}


@pytest.mark.parametrize("given", [HEAD, LISTED], ids=["transformer", "list"])
@pytest.mark.parametrize("name", MODELS)
def test_any_model_takes_transformations(name, given, tmp_path):
    model, options = MODELS[name]()
    explainer = TabularExplainer(model, TABLE[:6], transformations=given, **options)
    found = explainer.explain_local(TABLE[30:32])
    np.testing.assert_allclose(found.outputs, LIKELY[30:32], atol=1e-6)

    def f(rows):
        frame = pd.DataFrame(rows, columns=TABLE.columns).astype(TABLE.dtypes.to_dict())
        return TAIL.predict_proba(HEAD.transform(frame))

    raw = TABLE.to_numpy(dtype=object)
    expected = oracles.shapley_rows(f, raw[30:32], raw[:6])
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    if name == "a function":
        return
    assert explainer.explain_local(TABLE[:2], get_raw=False).values.shape == (2, 6, 3)
    save(KernelScoringExplainer(explainer), tmp_path, exist_ok=True)
    loaded = load(tmp_path, artifact_sha256(tmp_path))
    assert loaded.predict(TABLE).tolist() == LIKELY.argmax(axis=1).tolist()
    np.testing.assert_allclose(loaded.explain_local(TABLE).outputs, LIKELY, atol=1e-6)


@pytest.mark.parametrize("name", ["an object", "a network", "a function"])
def test_mimic_and_permutation_take_transformations_too(name, tmp_path):
    model, options = MODELS[name]()
    options["transformations"] = HEAD
    mimic = MimicExplainer(model, TABLE, LinearExplainableModel, **options)
    np.testing.assert_allclose(mimic.explain_local(TABLE).outputs, LIKELY, atol=1e-6)
    found = PFIExplainer(model, show_progress=False, **options).explain_global(TABLE, Y)
    assert found.features == ("a", "b", "c", "d")
    if name != "a function":
        save(KernelScoringExplainer(mimic), tmp_path, exist_ok=True)
        loaded = load(tmp_path, artifact_sha256(tmp_path))
        assert loaded.predict(TABLE).tolist() == LIKELY.argmax(axis=1).tolist()


def test_a_booster_behind_transformations_needs_no_pickle(tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    data = lightgbm.Dataset(HEAD.transform(TABLE), (Y > 0).astype(float))
    options = {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    booster = lightgbm.train(options, data, 4)
    explainer = TabularExplainer(booster, TABLE, transformations=HEAD)
    save(KernelScoringExplainer(explainer), tmp_path, exist_ok=True)
    assert json.loads((tmp_path / "manifest.json").read_text())["model"]["form"] in {
        "skops",
        "arrays",
    }
    likely = booster.predict(HEAD.transform(TABLE))
    loaded = load(tmp_path)
    np.testing.assert_allclose(loaded.explain_local(TABLE).outputs[:, 1], likely, atol=1e-9)


class Stateless(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped, so its classes are Any
    """Transforms without being fitted, and scikit-learn guesses otherwise."""

    def fit(self, x, y=None):
        return self

    def transform(self, rows):
        return np.asarray(rows) * 2


def test_a_transformer_is_fitted_if_it_transforms():
    model = LogisticRegression().fit(X * 2, Y)
    for given in (Stateless(), [([0, 1, 2], Stateless())]):
        found = TabularExplainer(model, X[:9], transformations=given).explain_local(X)
        np.testing.assert_allclose(found.outputs, model.predict_proba(X * 2))
    with pytest.raises(ParameterError, match="entry 0, StandardScaler, is not fitted"):
        TabularExplainer(model, X[:9], transformations=[([0, 1, 2], StandardScaler())])


def test_a_transformers_own_error_is_told():
    class Broken(Stateless):
        def transform(self, rows):
            raise ZeroDivisionError("halves of nothing\nand more")

    with pytest.raises(ParameterError, match=r"raised ZeroDivisionError: halves of nothing\. Pass"):
        TabularExplainer(Wrapped(TAIL), X[:9], transformations=Broken())
