"""Categorical columns of pandas as boosting libraries look at them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scoring import KernelScoringExplainer, TabularExplainer, artifact_sha256, load, save
from scoring.schema import FeatureSchema
from scoring.table import to_frame


@pytest.mark.parametrize("dtype", ["int8", "int64", "float64", "str"])
@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_categories_come_back_with_the_dtype_that_training_had(package, dtype, tmp_path):
    module = pytest.importorskip(package, reason="an optional extra")
    if (package, dtype) == ("xgboost", "float64"):
        pytest.skip("XGBoost itself refuses categories that are floats")
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, 200)
    x = pd.DataFrame({"n": rng.normal(size=200), "c": pd.Series(codes).astype(dtype)})
    x["c"] = x["c"].astype("category")
    y = ((codes % 2) + x["n"] > 0.5).astype(int)
    if package == "lightgbm":
        model = module.LGBMClassifier(n_estimators=10, min_child_samples=5, verbose=-1)
    else:
        model = module.XGBClassifier(n_estimators=10, enable_categorical=True)
    explainer = TabularExplainer(model.fit(x, y), x[:40])
    save(KernelScoringExplainer(explainer), tmp_path / "artifact")
    loaded = load(tmp_path / "artifact", artifact_sha256(tmp_path / "artifact"))
    for each in (explainer, loaded):
        outputs = each.explain_local(x[50:80]).outputs
        np.testing.assert_allclose(outputs, model.predict_proba(x[50:80]), atol=1e-6)
        feature = each.predictor.schema.features[1]
        again = to_frame(each.predictor.schema.encode(x[50:80]), each.predictor.schema.features)
        assert again["c"].dtype == x["c"].dtype
        assert feature.is_category


def test_ordered_categories_keep_their_order():
    x = pd.DataFrame({"size": pd.Categorical(["s", "l", "m"] * 9, ["s", "m", "l"], ordered=True)})
    schema = FeatureSchema.infer(x)
    again = to_frame(schema.encode(x), schema.features)
    assert again["size"].dtype == x["size"].dtype
    assert again["size"].max() == "l"


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("divisor", [2, None], ids=["fractions", "booleans"])
def test_boosters_take_categories_that_are_no_text(package, divisor):
    module = pytest.importorskip(package, reason="an optional extra")
    codes = np.arange(120) * 7 % 5
    x = pd.DataFrame({"n": np.linspace(-1, 1, 120), "c": codes / divisor if divisor else codes > 2})
    x["c"] = x["c"].astype("category")
    kind, quiet = ("LGBM", {"verbose": -1}) if package == "lightgbm" else ("XGB", {})
    quiet |= {} if package == "lightgbm" else {"enable_categorical": True}
    model = getattr(module, f"{kind}Classifier")(n_estimators=5, n_jobs=1, **quiet)
    try:
        model.fit(x, (codes % 2 == 1) ^ (x["n"] > 0.5))
    except (TypeError, ValueError):
        pytest.skip(f"{package} itself refuses such categories")
    explainer = TabularExplainer(model, x[:50])
    outputs = explainer.explain_local(x).outputs
    np.testing.assert_allclose(outputs, model.predict_proba(x), atol=1e-6)
