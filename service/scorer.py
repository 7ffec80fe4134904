"""A served model: the scoring explainer of one artifact, under a name.

Nothing is assigned after `__init__`, so any number of threads may score at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring import artifact
from scoring.errors import ParameterError
from scoring.explanation import Scored
from scoring.predictor import OutputSpace, Predictor
from scoring.schema import FeatureSchema
from scoring.table import Table
from service.options import Options
from service.settings import NAME, Source

__all__ = ["Explainer", "Scorer", "load_scorers"]


class Explainer(Protocol):
    """What is served: any scoring explainer."""

    @property
    def predictor(self) -> Predictor:
        """The model with its schema and output space."""

    @property
    def sample(self) -> NDArray[np.float64]:
        """Codes (n_features,) of a synthetic row."""

    @property
    def name(self) -> str:
        """The name given at distillation."""

    @property
    def version(self) -> str:
        """The version given at distillation."""

    @property
    def output_spaces(self) -> tuple[OutputSpace, ...]:
        """The output spaces that it explains, the default first."""

    def in_space(self, output_space: str) -> Explainer:
        """Return the explainer of one of them."""

    def score(self, rows: Table, deadline_ms: float | None = None) -> Scored:
        """Predict and explain."""


@dataclass(frozen=True, eq=False)
class Scorer:
    """One model as it is served.

    Parameters
    ----------
    name : how clients call it, in `/models/{name}/score`.
    artifact_sha256 : digest of the artifact's manifest.
    """

    name: str
    explainer: Explainer
    artifact_sha256: str

    @property
    def schema(self) -> FeatureSchema:
        """What a row must look like."""
        return self.explainer.predictor.schema

    @property
    def sample(self) -> NDArray[np.float64]:
        """Codes (n_features,) of a synthetic row."""
        return self.explainer.sample

    @property
    def model(self) -> dict[str, str]:
        """Which model answers, for every answer."""
        return {
            "name": self.name,
            "version": self.explainer.version,
            "artifact_sha256": self.artifact_sha256,
        }

    @property
    def outputs(self) -> dict[str, Any]:
        """What is explained: the classes with the model's own labels, and the output space."""
        predictor = self.explainer.predictor
        pairs = zip(predictor.model.labels, predictor.classes, strict=True)
        return {
            "classes": [{"label": label, "name": name} for label, name in pairs],
            "outputs": predictor.output_names,
            "output_space": predictor.space,
            "output_spaces": self.output_spaces,
        }

    @property
    def output_spaces(self) -> tuple[str, ...]:
        """What a request may choose from, the default first."""
        return self.explainer.output_spaces

    def score(self, table: Table, options: Options | None = None) -> Scored:
        """Predict and explain rows."""
        options = options or Options()
        space = options.output_space
        explainer = self.explainer if space is None else self.explainer.in_space(space)
        return explainer.score(table, options.deadline_ms)

    def warm_up(self) -> None:
        """Score the sample in every space: what cannot answer is found before a client comes."""
        sample = Table(self.sample[np.newaxis], self.schema.code_tables)
        for space in self.output_spaces:
            self.score(sample, Options(space))


def load_scorers(sources: Iterable[Source]) -> dict[str, Scorer]:
    """Load artifacts and let each answer once; the first is the one that `/score` speaks to.

    Raises
    ------
    ShapserveError
        An artifact cannot be used, or a name is not fit for a URL or given twice.
    """
    scorers: dict[str, Scorer] = {}
    for name, directory, sha256 in sources:
        explainer = artifact.load(directory, expect_sha256=sha256)
        scorer = Scorer(name or explainer.name, explainer, artifact.artifact_sha256(directory))
        if not NAME.fullmatch(scorer.name):
            rule = "must have a name of letters, digits, dots, dashes and underscores"
            raise ParameterError("artifact", rule, f"Give it as NAME=DIR for {directory}.")
        if scorer.name in scorers:
            rule = f"must not bring two models called {scorer.name}"
            raise ParameterError("artifact", rule, "Give them as NAME=DIR.")
        scorer.warm_up()
        scorers[scorer.name] = scorer
    return scorers
