"""What is served: a model for each way of explaining, as an artifact and as a peer's job."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass

import numpy as np

from benchmarks.subjects import named
from scoring import KernelScoringExplainer, TabularExplainer, save

N_BODIES = 500
COALITIONS = 2108  # of shap's default for 30 features, and ours


@dataclass(frozen=True)
class Way:
    """A way of explaining.

    Parameters
    ----------
    name : of the way.
    subject : the benchmark's workload.
    n_background : rows, the same for everybody.
    peer : which of shap's explainers a user would call.
    """

    name: str
    subject: str
    n_background: int
    peer: str

    def save(self, directory):
        """Distil with the shipped defaults."""
        subject = named(self.subject)
        full = TabularExplainer(
            subject.model, self._background(subject), output_space=subject.space,
            n_background=self.n_background,
        )  # fmt: skip
        with warnings.catch_warnings(category=FutureWarning, action="ignore"):  # SVC's attributes
            save(KernelScoringExplainer(full, name=self.name), directory)
        return directory

    def job(self, file):
        """What a peer fits the same model from."""
        subject = named(self.subject)
        np.savez(
            file, model=subject.key, train=subject.train, labels=subject.labels,
            background=self._background(subject), explainer=self.peer, n_coalitions=COALITIONS,
        )  # fmt: skip
        return file

    def columns(self, n_rows=1):
        """Bodies of the guide's columns, as text."""
        rows = named(self.subject).fresh(N_BODIES * n_rows, 5)
        for start in range(0, len(rows), n_rows):
            some = rows[start : start + n_rows].tolist()
            yield json.dumps(
                {
                    f"feature_{j}": {str(i): row[j] for i, row in enumerate(some)}
                    for j in range(rows.shape[1])
                }
            )

    def tensors(self):
        """Bodies of the open inference protocol, a row each."""
        for row in named(self.subject).fresh(N_BODIES, 5).tolist():
            tensor = {"name": "rows", "shape": [1, len(row)], "datatype": "FP64", "data": row}
            yield json.dumps({"inputs": [tensor]})

    def _background(self, subject):
        return subject.background(self.n_background)


WAYS = (
    Way("tree", "RandomForest(100), probability", 100, "tree"),
    Way("linear", "LogisticRegression, probability", 10, "kernel"),
    Way("kernel", "SVC, probability", 10, "kernel"),
)
