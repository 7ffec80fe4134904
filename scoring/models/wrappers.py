"""Models that lack scikit-learn's interface, wrapped to have it.

The wrappers travel in artifacts, by these names: as skops where the model inside can, else pinned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.models.delegated import Delegated
from scoring.models.labels import one_a_row
from scoring.models.outputs import probabilities

__all__ = ["Classifier", "ValuesOnly"]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A model that answers probabilities, with the classes that it does not name itself.

    Parameters
    ----------
    labels : the classes, in the order of the probabilities.
    method : the method that answers them.
    predicts : whether the model's own `predict` answers labels; else the likeliest class is taken.
    """

    model: Any
    labels: tuple[Any, ...]
    method: Literal["predict_proba", "predict"] = "predict_proba"
    predicts: bool = True

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, as scikit-learn's classifiers have them."""
        return np.asarray(self.labels)

    def predict_proba(self, rows: Any) -> NDArray[np.float64]:
        """Return probabilities (n_rows, n_classes)."""
        answer = self.model.predict_proba if self.method == "predict_proba" else self.model.predict
        return probabilities(answer(rows), len(rows))

    def predict(self, rows: Any) -> NDArray[Any]:
        """Return labels (n_rows,)."""
        if self.predicts:
            return one_a_row(self.model.predict(rows), len(rows))
        return np.asarray(self.classes_[self.predict_proba(rows).argmax(axis=1)])

    @Delegated
    def decision_function(self, rows: Any) -> Any:
        """Return the model's own margins."""
        return self.model.decision_function(rows)


@dataclass(frozen=True, eq=False)
class ValuesOnly:
    """A model of which only the numbers are explained that its `predict` answers."""

    model: Any

    def predict(self, rows: Any) -> Any:
        """Return what the model answers."""
        return self.model.predict(rows)
