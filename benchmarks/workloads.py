"""What is explained: fitted models and their rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


@dataclass(frozen=True, eq=False)
class Workload:
    """A fitted classifier, the rows it was trained on, and rows to explain."""

    name: str
    model: Any
    train: NDArray[np.float64]
    test: NDArray[np.float64]

    def fresh(self, n_rows, rng):
        """Rows that nobody has seen: test rows, each moved by a hundredth of a column's spread."""
        rows = self.test[rng.choice(len(self.test), n_rows, replace=n_rows > len(self.test))]
        return rows + 0.01 * self.train.std(axis=0) * rng.standard_normal(rows.shape)

    def spread(self, n_rows):
        """Test rows at equal distances."""
        return self.test[np.linspace(0, len(self.test) - 1, n_rows).astype(int)]


def breast_cancer():
    """Fit the four classifiers: the guide's own on raw columns, the others on scaled ones."""
    data = load_breast_cancer()
    train, test, labels, _ = train_test_split(data.data, data.target, test_size=0.2, random_state=0)
    scaler = StandardScaler().fit(train)
    raw, scaled = (train, test), (scaler.transform(train), scaler.transform(test))
    with warnings.catch_warnings():  # the guide's own line; scikit-learn 1.11 drops it
        warnings.filterwarnings("ignore", "The `probability` parameter", FutureWarning)
        svc = SVC(gamma=0.001, C=100.0, probability=True).fit(train, labels)
    return [
        Workload("SVC, the guide's", svc, *raw),
        _workload("RandomForest(100)", RandomForestClassifier(100, random_state=0), labels, scaled),
        _workload("LogisticRegression", LogisticRegression(), labels, scaled),
        _workload(
            "MLP(64, 64)", MLPClassifier((64, 64), max_iter=1000, random_state=0), labels, scaled
        ),
    ]


def _workload(name, model, labels, split):
    return Workload(name, model.fit(split[0], labels), *split)
