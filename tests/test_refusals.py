"""Rows that the model itself refuses are named; the others of their request are answered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from scoring import KernelScoringExplainer, RowsError, TabularExplainer, artifact_sha256, load, save


def first_letters(frame):
    """Refuse words without letters, as an index of an empty text does."""
    return pd.DataFrame({"letter": [ord(word[0]) for word in frame["word"]]})


def mixed_logs(frame):
    """Refuse rows whose numbers do not go together."""
    if (frame["a"] + frame["b"] <= 0).any():
        raise ValueError("no logarithm of what is not above zero: 31337")
    return np.log(frame[["a"]].to_numpy() + frame[["b"]].to_numpy())


@pytest.fixture(scope="module")
def words():
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"word": rng.choice(["ab", "cd", "ef"], 80), "n": rng.normal(size=80)})
    encode = make_column_transformer(
        (FunctionTransformer(first_letters), ["word"]), remainder="passthrough"
    )
    model = make_pipeline(encode, LogisticRegression()).fit(x, (x["n"] > 0).astype(int))
    return model, x


def loaded(model, x, directory, **options):
    save(KernelScoringExplainer(TabularExplainer(model, x), **options), directory)
    return load(directory, artifact_sha256(directory))


def test_a_row_that_the_model_refuses_is_named(words, tmp_path):
    model, x = words
    explainer = loaded(model, x[:30], tmp_path / "a")
    rows = pd.DataFrame({"word": ["zz", "", "ab", ""], "n": [0.1, 0.2, 0.3, 0.4]})
    asks = explainer.predict, explainer.explain_local, TabularExplainer(model, x).explain_local
    for ask in asks:
        with pytest.raises(RowsError) as refused:
            ask(rows)
        named = [(each.row, each.column, each.rule) for each in refused.value.violations]
        assert named == [(row, None, "the model does not answer this row") for row in (1, 3)]
    kept = rows.iloc[[0, 2]]
    np.testing.assert_array_equal(explainer.predict(kept), model.predict(kept))
    local = explainer.explain_local(kept)
    np.testing.assert_allclose(local.outputs, model.predict_proba(kept), atol=1e-9)
    assert local.additivity_gap.max() < 1e-9


def test_a_row_whose_mixtures_the_model_refuses_has_no_values_and_the_others_have_theirs(tmp_path):
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"a": rng.uniform(1, 3, 60), "b": rng.uniform(-0.5, 3, 60)})
    y = (x["a"] + x["b"] > 3).astype(int)
    model = make_pipeline(FunctionTransformer(mixed_logs), LogisticRegression()).fit(x, y)
    explainer = loaded(model, x[:20], tmp_path / "a")
    rows = pd.DataFrame({"a": [2.0, 9.0, 2.0], "b": [1.0, -8.0, 2.0]})
    local = explainer.explain_local(rows)
    np.testing.assert_allclose(local.outputs, model.predict_proba(rows), atol=1e-9)
    assert np.isnan(local.values[1]).all()
    assert local.additivity_gap[[0, 2]].max() < 1e-9
    alone = explainer.explain_local(rows.iloc[[2]])
    np.testing.assert_allclose(alone.values[0], local.values[2], atol=1e-12)


def test_a_strict_encoder_refuses_by_row_column_and_rule(tmp_path):
    x = pd.DataFrame({"s": list("abc") * 20, "n": np.arange(60.0)})
    encode = make_column_transformer((OneHotEncoder(), ["s"]), remainder="passthrough")
    model = make_pipeline(encode, LogisticRegression()).fit(x, x.index % 2)
    explainer = loaded(model, x[x["s"] != "c"][:20], tmp_path / "a")
    rows = pd.DataFrame({"s": ["c", "d"], "n": [0.0, 0.0]})
    with pytest.raises(RowsError) as refused:
        explainer.predict(rows)
    [violation] = refused.value.violations
    assert (violation.row, violation.column) == (1, "s")
    assert violation.rule == "must be one of the categories that training saw"
    np.testing.assert_array_equal(explainer.predict(rows[:1]), model.predict(rows[:1]))
