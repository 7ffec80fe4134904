"""What the skops form trusts and writes."""

import os

import numpy as np
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
)
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from scoring import ArtifactUntrusted
from scoring.forms import skops
from scoring.forms.refused import Unsound
from tests.forms.fitted import VALUES, X, Y


def test_the_trusted_list_names_no_other_functions_than_one_validator():
    import importlib
    import types

    functions = []
    for name in skops.TRUSTED:
        module, _, attribute = name.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except ImportError:
            continue
        if isinstance(found, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
            functions.append(name)
    assert functions == ["sklearn.utils.validation.check_array"]


def test_every_trusted_name_exists():
    import importlib

    for name in skops.TRUSTED:
        module, _, attribute = name.rpartition(".")
        pytest.importorskip(module.partition(".")[0])
        assert hasattr(importlib.import_module(module), attribute), name


def test_a_function_of_ones_own_is_refused():
    from sklearn.preprocessing import FunctionTransformer

    skops.read(skops.write(make_pipeline(FunctionTransformer(np.arctan), Ridge()).fit(X, VALUES)))
    own = make_pipeline(FunctionTransformer(os.path.join), Ridge())
    with pytest.raises(ArtifactUntrusted, match="join"):
        skops.read(skops.write(own))


def test_equal_models_are_equal_bytes():
    first, second = (
        skops.write(HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(X, Y))
        for _ in range(2)
    )
    assert first == second


def test_categories_of_lightgbm_are_checked_and_kept():
    lightgbm = pytest.importorskip("lightgbm")
    from scoring.forms.lightgbm_text import check_lightgbm

    rng = np.random.default_rng(0)
    x = np.column_stack([X, rng.integers(0, 30, len(X))])
    y = Y ^ (x[:, 4] % 3 == 0)
    options = {"min_data_per_group": 1, "cat_smooth": 0.1, "min_child_samples": 2, "verbose": -1}
    model = lightgbm.LGBMClassifier(n_estimators=5, max_cat_to_onehot=1, **options)
    text = model.fit(x, y, categorical_feature=[4]).booster_.model_to_string()
    assert "num_cat=1" in text
    check_lightgbm(text)
    words = text[text.index("cat_boundaries=") :].split("\n", 1)[0]
    with pytest.raises(Unsound):
        check_lightgbm(text.replace(words, "cat_boundaries=" + "9" * (len(words) - 15), 1))
