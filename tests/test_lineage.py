"""Column lineage: sources, forms and vocabularies, read from fitted transformers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from scoring.lineage import Column, Form, lineage_of
from scoring.schema import FeatureSchema

RNG = np.random.default_rng(0)
X = pd.DataFrame({
    "a": RNG.normal(size=60),
    "b": RNG.normal(size=60),
    "s": RNG.choice(list("xyz"), 60),
    "t": RNG.choice(["one two", "two three"], 60),
    "n": RNG.integers(0, 4, 60),
})  # fmt: skip
X.loc[3, "a"] = np.nan
Y = (X["b"] > 0).astype(int)
A, B, S, T, N = range(5)


class Swapping(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped library
    """Columns the other way round: nothing about this type says so."""

    def fit(self, x, y=None):
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x):
        return np.asarray(x)[:, ::-1]


class Scaled(StandardScaler):  # type: ignore[misc]  # untyped library
    """A subclass may do anything."""

    def transform(self, x, copy=None):
        return super().transform(x, copy)[:, ::-1]


def columns(*described):
    return tuple(Column(frozenset(sources), form) for sources, form in described)


VALUE, AFFINE, CODED, OTHER = Form.VALUE, Form.AFFINE, Form.CODED, Form.OTHER
BOTH = {A, B}
CASES = {
    "scaled": (
        make_column_transformer((StandardScaler(), ["a", "b"])),
        columns(({A}, AFFINE), ({B}, AFFINE)),
    ),
    "clipped": (
        make_column_transformer((MinMaxScaler(clip=True), ["b", "a"])),
        columns(({B}, OTHER), ({A}, OTHER)),
    ),
    "imputed with flags, then scaled": (
        make_column_transformer(
            (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["b", "a"])
        ),
        columns(({B}, AFFINE), ({A}, AFFINE), ({A}, AFFINE)),
    ),
    "flags only": (
        make_column_transformer((MissingIndicator(), ["b", "a"])),
        columns(({A}, AFFINE)),
    ),
    "imputed by neighbours": (
        make_column_transformer((KNNImputer(), ["a", "b"])),
        columns((BOTH, OTHER), (BOTH, OTHER)),
    ),
    "one-hot": (
        make_column_transformer((OneHotEncoder(drop="first"), ["s"]), ("passthrough", ["a"])),
        columns(({S}, CODED), ({S}, CODED), ({A}, VALUE)),
    ),
    "rotated": (
        make_column_transformer((make_pipeline(SimpleImputer(), PCA(2)), ["a", "b"])),
        columns((BOTH, AFFINE), (BOTH, AFFINE)),
    ),
    "powers": (
        make_pipeline(make_column_transformer((SimpleImputer(), ["a", "b"])), PolynomialFeatures()),
        columns((set(), AFFINE), ({A}, AFFINE), ({B}, AFFINE), ({A}, OTHER), (BOTH, OTHER),
                ({B}, OTHER)),
    ),
    "bins and splines": (
        make_column_transformer(
            (KBinsDiscretizer(2, quantile_method="averaged_inverted_cdf"), ["b"]),
            (SplineTransformer(2, degree=1, include_bias=False), ["n"]),
        ),
        columns(({B}, OTHER), ({B}, OTHER), ({N}, OTHER)),
    ),
    "a function of numbers one by one": (
        make_column_transformer((FunctionTransformer(np.exp), ["n", "b"])),
        columns(({N}, OTHER), ({B}, OTHER)),
    ),
    "a function of rows": (
        make_column_transformer((FunctionTransformer(np.cumsum, kw_args={"axis": 1}), ["n", "b"])),
        columns(({N, B}, OTHER), ({N, B}, OTHER)),
    ),
    "somebody's own": (
        make_column_transformer((Swapping(), ["a", "b"])),
        columns((BOTH, OTHER), (BOTH, OTHER)),
    ),
    "a subclass": (
        make_column_transformer((Scaled(), ["a", "b"])),
        columns((BOTH, OTHER), (BOTH, OTHER)),
    ),
    "side by side": (
        make_pipeline(
            make_column_transformer((SimpleImputer(), ["a", "b"])),
            make_union("passthrough", SelectKBest(f_classif, k=1), PCA(1)),
        ),
        columns(({A}, VALUE), ({B}, VALUE), ({B}, VALUE), (BOTH, AFFINE)),
    ),
    "nested, by a selector": (
        make_column_transformer(
            (
                make_column_transformer((StandardScaler(), ["b"]), remainder="passthrough"),
                make_column_selector(dtype_include=float),
            )
        ),
        columns(({B}, AFFINE), ({A}, VALUE)),
    ),
    "text": (
        make_column_transformer((TfidfVectorizer(), "t"), (OrdinalEncoder(), ["s"])),
        columns(({T}, OTHER), ({T}, OTHER), ({T}, OTHER), ({S}, CODED)),
    ),
}  # fmt: skip


def read(head, x=X):
    head.fit(x, Y)
    return lineage_of(head, FeatureSchema.infer(x).features, x[:4])


@pytest.mark.parametrize("name", CASES)
def test_columns_have_their_sources_and_forms(name):
    head, expected = CASES[name]
    assert read(head).columns == expected


@pytest.mark.parametrize("name", CASES)
def test_no_column_moves_with_a_feature_that_is_none_of_its_sources(name):
    head, _ = CASES[name]
    lineage = read(head)
    before = np.asarray(head.transform(X), dtype=float)
    for j, feature in enumerate(X):
        moved = X.copy()
        moved[feature] = X[feature].sample(frac=1, random_state=1).to_numpy()
        after = np.asarray(head.transform(moved), dtype=float)
        same = ((before == after) | (np.isnan(before) & np.isnan(after))).all(axis=0)
        sources = lineage.sources(len(X.columns))[j]
        assert not (~same & ~sources).any(), feature


def test_places_are_found_by_name_where_rows_have_names():
    head = make_column_transformer((StandardScaler(), ["b"]), remainder="drop").fit(X, Y)
    shuffled = X[["n", "t", "b", "a", "s"]]
    lineage = lineage_of(head, FeatureSchema.infer(shuffled).features, shuffled[:4])
    assert lineage.columns == columns(({2}, AFFINE))


def test_a_one_hot_column_has_no_more_than_its_category():
    lineage = read(make_column_transformer((OneHotEncoder(), ["s"]), remainder="passthrough"))
    assert lineage.columns[:3] == columns(*[({S}, CODED)] * 3)
    [vocabulary] = lineage.vocabularies
    assert (vocabulary.feature, vocabulary.values, vocabulary.strict) == (S, tuple("xyz"), True)


@pytest.mark.parametrize(
    ("encoder", "strict"),
    [
        (OneHotEncoder(handle_unknown="ignore"), False),
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30), False),
        (OrdinalEncoder(), True),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), False),
        (TargetEncoder(), False),
    ],
)
def test_encoders_say_what_they_learnt_and_whether_they_take_more(encoder, strict):
    x = X.assign(s=X["s"].where(X["s"] != "z", None))
    lineage = read(make_column_transformer((encoder, ["s"])), x)
    [vocabulary] = lineage.vocabularies
    assert vocabulary.values == ("x", "y")
    assert len(vocabulary.gaps) == 1
    assert vocabulary.strict == strict
    assert lineage.opened == set()
    assert all(column.form == CODED for column in lineage.columns)


def test_text_that_something_else_reads_too_is_open():
    head = make_column_transformer(
        (OneHotEncoder(), ["s"]),
        (FunctionTransformer(lambda f: f["s"].str.len().to_frame()), ["s"]),
    )
    lineage = read(head)
    assert lineage.opened == {S}
    assert [column.form for column in lineage.columns] == [CODED] * 3 + [OTHER]
