"""Tables of thousands of columns: what explainers ask of a model must not cost a call a column."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from sklearn import linear_model
from sklearn.preprocessing import OneHotEncoder

from scoring import (
    DecisionTreeExplainableModel,
    LGBMExplainableModel,
    LinearExplainableModel,
    MimicExplainer,
    SGDExplainableModel,
)
from scoring.predictor import EstimatorModel
from scoring.surrogates import linear

N_COLUMNS = 300
FEW_CALLS = 60
SURROGATES = [
    LGBMExplainableModel,
    LinearExplainableModel,
    SGDExplainableModel,
    DecisionTreeExplainableModel,
]


@pytest.mark.parametrize("surrogate", SURROGATES, ids=lambda kind: kind.name)
def test_a_surrogate_is_called_a_few_times_however_many_columns(surrogate, monkeypatch):
    x = scipy.sparse.random(20, N_COLUMNS, density=0.02, random_state=3, format="csr")
    model = linear_model.LinearRegression().fit(x, np.arange(20.0))
    estimators = []
    outputs = EstimatorModel.outputs

    def counted(self, table, space):
        estimators.append(self.estimator)
        return outputs(self, table, space)

    monkeypatch.setattr(EstimatorModel, "outputs", counted)
    transforms = []
    transform = OneHotEncoder.transform
    monkeypatch.setattr(
        OneHotEncoder, "transform", lambda self, x: transforms.append(x) or transform(self, x)
    )
    options = {"verbosity": -1} if surrogate is LGBMExplainableModel else {}
    explainer = MimicExplainer(model, x[:10], surrogate, options, categorical_features=[0])
    explained = explainer.explain_global(x[10:])
    surrogate_calls = sum(estimator is explainer._fitted.estimator for estimator in estimators)
    assert surrogate_calls <= FEW_CALLS
    assert len(transforms) <= FEW_CALLS
    assert explained.values.shape == (N_COLUMNS,)


@pytest.mark.parametrize("categorical", [[], [1], [0, 3], [0, 1, 2, 3]], ids=str)
def test_columns_of_a_linear_surrogate_have_the_owners_that_changing_them_shows(categorical):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (40, 4)).astype(float)
    codes[::5, 2] = codes[::7, 0] = np.nan
    flags = np.isin(np.arange(4), categorical)
    pipeline = LinearExplainableModel.pipeline(codes, flags, 0, {}).fit(codes, codes[:, 1])
    encoder = pipeline.named_steps["encode"]
    before = encoder.transform(codes)
    moved = np.zeros((4, before.shape[1]), dtype=bool)
    for j in range(4):
        for value in (0.0, 1.0, 2.0, np.nan):
            changed = codes.copy()
            changed[:, j] = value
            moved[j] |= (encoder.transform(changed) != before).any(axis=0)
    assert (moved.sum(axis=0) == 1).all()
    np.testing.assert_array_equal(linear._owners(encoder), moved.argmax(axis=0))
