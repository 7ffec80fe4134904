"""Random preprocessing for random tables; steps that do not go together are drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 makes the next import work
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from tests.fuzz import functions
from tests.fuzz.tables import Column

Rng = np.random.Generator


def pick(rng: Rng, choices: Sequence[Any]) -> Any:
    """One of them, as it is: `rng.choice` would make NumPy scalars of it."""
    return choices[int(rng.integers(len(choices)))]


def pipeline(rng: Rng, columns: Sequence[Column], estimator: Any, *, dense: bool) -> Pipeline:
    """Put random steps before an estimator."""
    prepare = _prepared(rng, columns, dense=dense)
    steps = [("prepare", prepare), *_second_stage(rng), ("model", estimator)]
    if len(steps) > 2 and rng.random() < 0.3:  # nested
        steps = [("before", Pipeline(steps[:-1])), steps[-1]]
    made = Pipeline(steps)
    if rng.random() < 0.1:
        made.set_output(transform="pandas")
    return made


def array_pipeline(rng: Rng, estimator: Any) -> Any:
    """The same for a table that is an array of numbers."""
    second = [step for _, step in _second_stage(rng)]
    steps = _imputed(rng, needed=rng.random() < 0.3) + _scaled(rng) + second
    named = [(f"step{k}", step) for k, step in enumerate(steps)]
    return Pipeline([*named, ("model", estimator)]) if named else estimator


def _prepared(rng: Rng, columns: Sequence[Column], *, dense: bool) -> ColumnTransformer:
    """A transformer of columns, in which those of a kind may share steps."""
    groups: dict[tuple[str, int], list[Column]] = {}
    together = rng.random() < 0.5
    left = columns[-1] if len(columns) > 1 and rng.random() < 0.2 else None
    for j, column in enumerate(columns):
        if column is not left:
            alone = not together or column.kind == "prose"
            groups.setdefault((column.kind, j if alone else -1), []).append(column)
    branches: list[tuple[str, Any, Any]] = []
    for (kind, j), members in groups.items():
        names = [member.name for member in members]
        name = f"{kind.replace(' ', '_')}{abs(j)}"
        branches.append((name, _steps(rng, kind, members), names[0] if kind == "prose" else names))
    rest: Any = pick(rng, ["passthrough", "drop", StandardScaler()])
    if len(branches) > 1 and rng.random() < 0.12:  # one in another
        inner = [name for _, _, names in branches[1:] for name in np.atleast_1d(names).tolist()]
        within = ColumnTransformer(branches[1:], remainder="drop", sparse_threshold=0)
        branches = [branches[0], ("within", within, inner)]
    threshold = 0 if dense else pick(rng, [0, 0.3, 1.0])
    short = bool(rng.random() < 0.5)
    return ColumnTransformer(
        branches, remainder=rest, sparse_threshold=threshold, verbose_feature_names_out=not short
    )


def _steps(rng: Rng, kind: str, members: Sequence[Column]) -> Any:
    gaps = any(member.gaps for member in members)
    match kind:
        case "number" | "days":
            if kind == "days" and rng.random() < 0.5:
                return FunctionTransformer(functions.day_parts)
            steps = _imputed(rng, needed=gaps and rng.random() < 0.8) + _scaled(rng)
        case "boolean":
            steps = _imputed(rng, needed=gaps, numeric=False)
            choices = ["passthrough", FunctionTransformer(functions.as_float), *_encoders(rng)]
            steps.append(pick(rng, choices))
        case "label" | "category" | "digits":
            steps = _imputed(rng, needed=gaps and rng.random() < 0.4, numeric=False)
            if kind == "digits" and rng.random() < 0.5:
                steps = [FunctionTransformer(functions.number_in_text)]
            elif rng.random() < 0.2:
                steps += _text_function(rng)
            else:
                steps.append(pick(rng, _encoders(rng)))
        case "prose":
            return pick(rng, _vectorizers(rng))
        case _:
            steps = [FunctionTransformer(functions.date_parts)]
    steps = [step for step in steps if step != "passthrough"]
    if not steps:
        return "passthrough"
    return steps[0] if len(steps) == 1 else Pipeline([(f"s{k}", s) for k, s in enumerate(steps)])


def _imputed(rng: Rng, *, needed: bool, numeric: bool = True) -> list[Any]:
    if not needed and rng.random() < 0.85:
        return []
    indicator = bool(rng.random() < 0.25)
    if not numeric:
        strategy = pick(rng, ["most_frequent", "constant"])
        fill = "missing" if rng.random() < 0.5 else None
        return [
            SimpleImputer(
                strategy=strategy, fill_value=fill, missing_values=pick(rng, [np.nan, np.nan, None])
            )
        ]
    return [
        pick(
            rng,
            [
                SimpleImputer(strategy="mean", add_indicator=indicator),
                SimpleImputer(strategy="median", add_indicator=indicator),
                SimpleImputer(strategy="most_frequent", add_indicator=indicator),
                SimpleImputer(strategy="constant", fill_value=-1, add_indicator=indicator),
                KNNImputer(n_neighbors=3, add_indicator=indicator),
                IterativeImputer(max_iter=2, random_state=0),
            ],
        )
    ]


def _scaled(rng: Rng) -> list[Any]:
    """One transformer of numbers, or two side by side."""
    one = pick(rng, _of_numbers(rng))
    if rng.random() < 0.1:
        return [FeatureUnion([("one", one), ("two", pick(rng, _of_numbers(rng)))])]
    return [] if rng.random() < 0.25 else [one]


def _of_numbers(rng: Rng) -> list[Any]:
    bins = {"strategy": pick(rng, ["uniform", "quantile", "kmeans"]), "random_state": 0}
    if bins["strategy"] == "quantile":
        bins["quantile_method"] = "averaged_inverted_cdf"
    encode = pick(rng, ["onehot", "onehot-dense", "ordinal"])
    extrapolation = pick(rng, ["constant", "linear", "continue", "periodic"])
    return [
        StandardScaler(),
        StandardScaler(with_mean=False),
        MinMaxScaler(clip=bool(rng.random() < 0.5)),
        RobustScaler(),
        MaxAbsScaler(),
        QuantileTransformer(n_quantiles=10, output_distribution=pick(rng, ["uniform", "normal"])),
        PowerTransformer(),
        Normalizer(norm=pick(rng, ["l1", "l2", "max"])),
        KBinsDiscretizer(int(rng.integers(2, 6)), encode=encode, **bins),
        SplineTransformer(n_knots=3, degree=2, extrapolation=extrapolation),
        PolynomialFeatures(2, interaction_only=bool(rng.random() < 0.5)),
        Binarizer(threshold=0.5),
        FunctionTransformer(functions.log_of_size),
        FunctionTransformer(functions.is_positive),
    ]


def _encoders(rng: Rng) -> list[Any]:
    rare = {
        "min_frequency": pick(rng, [None, None, 5, 0.1]),
        "max_categories": pick(rng, [None, None, 2, 3]),
    }
    one_hot = OneHotEncoder(
        handle_unknown=pick(rng, ["error", "ignore", "infrequent_if_exist", "warn"]),
        drop=pick(rng, [None, None, "first", "if_binary"]),
        sparse_output=bool(rng.random() < 0.5),
        **rare,
    )
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=pick(rng, [-1, 99, np.nan]),
        encoded_missing_value=pick(rng, [np.nan, -2]),
        **rare,
    )
    strict = OrdinalEncoder(encoded_missing_value=pick(rng, [np.nan, -2]), **rare)
    target = TargetEncoder(cv=2, smooth=pick(rng, ["auto", 0.0, 5.0]), shuffle=False)
    return [one_hot, one_hot, one_hot, ordinal, ordinal, strict, target]


def _text_function(rng: Rng) -> list[Any]:
    function = pick(rng, [functions.length, functions.first_letter, functions.upper])
    if function is functions.length:
        return [FunctionTransformer(function)]
    return [FunctionTransformer(function), OneHotEncoder(handle_unknown="ignore")]


def _vectorizers(rng: Rng) -> list[Any]:
    grams = pick(rng, [(1, 1), (1, 2)])
    return [
        CountVectorizer(binary=bool(rng.random() < 0.5), ngram_range=grams, max_features=25),
        TfidfVectorizer(ngram_range=grams, max_features=20),
        TfidfVectorizer(analyzer="char", max_features=20),
        HashingVectorizer(n_features=8),
        FunctionTransformer(functions.words),
    ]


def _second_stage(rng: Rng) -> list[Any]:
    if rng.random() < 0.6:
        return []
    step = pick(
        rng,
        [
            StandardScaler(with_mean=False),
            MaxAbsScaler(),
            TruncatedSVD(2, random_state=0),
            PCA(2),
            SelectKBest(k=2),
            VarianceThreshold(),
            PolynomialFeatures(2),
            Normalizer(),
        ],
    )
    return [("second", step)]
