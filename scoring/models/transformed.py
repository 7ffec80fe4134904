"""A fitted transformer and a model of what it makes, where the model is not scikit-learn's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from scoring.models.delegated import Delegated
from scoring.models.wrappers import Classifier, ValuesOnly

__all__ = ["Transformed", "halves"]


@dataclass(frozen=True, eq=False)
class Transformed:
    """Raw rows go through `head` to `model`; it travels in artifacts, by this name.

    scikit-learn's Pipeline refuses models that do not look fitted to it, or are no estimators.
    """

    head: Any
    model: Any

    @property
    def steps(self) -> list[tuple[str, Any]]:
        """Both halves, as a Pipeline names them."""
        return [("transformations", self.head), ("model", self.model)]

    @property
    def classes_(self) -> Any:
        """The model's classes, where it has some."""
        return self.model.classes_

    @property
    def n_features_in_(self) -> Any:
        """The width of raw rows, where the transformer knows it."""
        return self.head.n_features_in_

    @property
    def feature_names_in_(self) -> Any:
        """The names of raw columns, where the transformer knows them."""
        return self.head.feature_names_in_

    @Delegated
    def predict(self, rows: Any, **options: Any) -> Any:
        """Return the model's `predict`."""
        return self.model.predict(self.head.transform(rows), **options)

    @Delegated
    def predict_proba(self, rows: Any) -> Any:
        """Return the model's `predict_proba`."""
        return self.model.predict_proba(self.head.transform(rows))

    @Delegated
    def decision_function(self, rows: Any) -> Any:
        """Return the model's `decision_function`."""
        return self.model.decision_function(self.head.transform(rows))


def halves(estimator: Any) -> tuple[Any, Any] | None:
    """Cut a pipeline before its last step; None for what is no pipeline."""
    if isinstance(estimator, (Classifier, ValuesOnly)):
        cut = halves(estimator.model)
        return None if cut is None else (cut[0], replace(estimator, model=cut[1]))
    if isinstance(estimator, Transformed):
        return estimator.head, estimator.model
    if type(estimator).__module__ != "sklearn.pipeline" or len(estimator.steps) < 2:
        return None
    return estimator[:-1], estimator[-1]
