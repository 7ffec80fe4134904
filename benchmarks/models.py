"""Models by name, fitted alike in every environment: what one version pickles, no other reads."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC


class Blend:
    """A function of rows that shows no structure: the mean of two models' probabilities."""

    def fit(self, x, y):
        self.parts = [
            LogisticRegression().fit(x, y),
            MLPClassifier((16,), max_iter=2000, random_state=0).fit(x, y),
        ]
        return self

    def __call__(self, rows):
        return np.mean([part.predict_proba(rows)[:, 1] for part in self.parts], axis=0)


def _lightgbm(**sizes):
    from lightgbm import LGBMClassifier

    return LGBMClassifier(verbosity=-1, n_jobs=1, random_state=0, **sizes)


MODELS = {
    # The guide's own, and a seed: libsvm draws the folds that its probabilities are fitted on.
    "SVC": lambda: SVC(gamma=0.001, C=100.0, probability=True, random_state=0),
    "LogisticRegression": lambda: LogisticRegression(max_iter=1000),
    "RandomForest(100)": lambda: RandomForestClassifier(100, random_state=0),
    "HistGradientBoosting": lambda: HistGradientBoostingClassifier(random_state=0),
    "LightGBM(100)": lambda: _lightgbm(n_estimators=100),
    "LightGBM(300), 63 leaves": lambda: _lightgbm(n_estimators=300, num_leaves=63),
    "MLP(64, 64)": lambda: MLPClassifier((64, 64), max_iter=1000, random_state=0),
    "KernelRidge": lambda: KernelRidge(kernel="rbf", gamma=1 / 30, alpha=0.1),
    "callable": Blend,
}


def fit(name, x, y):
    """The model of that name, fitted."""
    with warnings.catch_warnings():  # SVC(probability=True) is the guide's; 1.11 drops it
        warnings.filterwarnings("ignore", "The `probability` parameter", FutureWarning)
        return MODELS[name]().fit(x, y)


def outputs(model, space):
    """The function of rows that is explained: (n, n_columns) to (n, n_outputs)."""
    if space == "probability":
        return model.predict_proba
    if space == "value":
        ask = model if callable(model) else model.predict
    elif hasattr(model, "decision_function"):
        ask = model.decision_function
    else:  # LightGBM's own name for it

        def ask(rows):
            return model.predict(rows, raw_score=True)

    return lambda rows: np.asarray(ask(rows), dtype=float).reshape(len(rows), -1)
