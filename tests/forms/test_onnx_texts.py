"""Texts that an ONNX file cannot tell from a missing one, and whole numbers beyond doubles."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from scoring import KernelScoringExplainer, OnnxModel, TabularExplainer, load, save
from scoring.forms import onnx, order
from scoring.forms.refused import FormRefused
from scoring.predictor import OutputSpace
from tests.saved import manifest_of


@pytest.fixture(scope="module")
def model_with_gaps():
    """A pipeline that knows a missing text, and takes texts that it does not know."""
    rng = np.random.default_rng(0)
    city = rng.choice(["A", "B", "C"], 200).astype(object)
    city[:40] = np.nan
    rows = pd.DataFrame({"x": rng.normal(size=200), "city": city})
    encoder = OneHotEncoder(handle_unknown="ignore")
    steps = ColumnTransformer([("c", encoder, ["city"])], remainder="passthrough")
    model = make_pipeline(steps, LogisticRegression())
    return model.fit(rows, (rows["x"] > 0) | rows["city"].isna()), rows


@pytest.fixture(scope="module")
def explainer(model_with_gaps):
    return KernelScoringExplainer(TabularExplainer(*model_with_gaps), method="kernel")


def test_the_text_nan_is_no_missing_value(explainer, model_with_gaps, tmp_path):
    model, _ = model_with_gaps
    first = save(explainer, tmp_path / "first")
    again = save(load(first), tmp_path / "again")
    given: list[Any] = ["nan", "None", "", "Z", "A", np.nan]
    own = model.predict_proba(pd.DataFrame({"x": 0.1, "city": pd.Series(given, dtype=object)}))
    assert abs(own[0] - own[-1]).max() > 0.1
    for made in (first, again):
        assert manifest_of(made)["model"]["form"] == "onnx"
        served = load(made)
        columns = {"x": [0.1] * len(given), "city": given}
        told = served.score(served.predictor.schema.encode_columns(columns)).probabilities
        np.testing.assert_allclose(np.asarray(told), own, atol=1e-6)


def test_a_copy_that_takes_it_for_one_is_refused(explainer):
    """Where a form cannot tell the two apart, the rows at the edges show it."""
    predictor, background = explainer.predictor, explainer.background
    parity = order._original(predictor.model, predictor, background, explainer.sample)
    copy = order._to_onnx(predictor.model, "probability", parity)
    files: dict[OutputSpace, bytes] = {"probability": copy.files["model.onnx"]}
    parity.check(OnnxModel(files, predictor.model.labels, [0, 3]))
    with pytest.raises(FormRefused, match="above"):
        parity.check(OnnxModel(files, predictor.model.labels))


def test_whole_numbers_that_no_double_tells_apart_stay_apart():
    categories = (2**53, 2**53 + 1, -(2**63), 2**63 - 1)
    for code, category in enumerate(categories):
        told = onnx._column(np.array([float(code)]), categories, "tensor(int64)", 1)
        assert told.tolist() == [category]
