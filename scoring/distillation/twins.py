"""Which models are known by their numbers: read from types, and held against answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from scoring.background import whole
from scoring.distillation.readings import readings
from scoring.encoding import Encoding
from scoring.features import Engineering
from scoring.forms.edges import covering_rows
from scoring.games.additive import Additive
from scoring.games.choose import TOLERANCE, agrees
from scoring.games.expansion import Expansion, expansion_of
from scoring.games.layers import Layers, layers_of
from scoring.games.tree_scores import TreeScores, tree_scores_of
from scoring.games.twin import Twin
from scoring.players import Players
from scoring.predictor import EstimatorModel, Predictor
from scoring.refusals import finite_answers
from scoring.table import Table

__all__ = ["twin_of"]

KINDS: dict[type, str] = {
    Expansion: "rbf",
    Layers: "a network",
    TreeScores: "boosted trees",
}
"""What numbers are called."""

CHECKED_ROWS = 8
"""Examples that a twin is held against, as rows and as background."""


def twin_of(
    predictor: Predictor, engineering: Engineering | None, examples: Table
) -> tuple[Twin | None, str | None]:
    """Read a model's numbers, or None where it is not known by them.

    Parameters
    ----------
    engineering : where the model is cut, if it is a pipeline.
    examples : rows that it takes.

    Returns
    -------
    The numbers; without them, what the type promises and the model's answers do not keep.
    """
    refused: str | None = None
    if not isinstance(predictor.model, EstimatorModel):
        return None, refused
    spread = np.linspace(0, examples.n_rows - 1, min(CHECKED_ROWS, examples.n_rows))
    few = whole(examples.take(spread.astype(np.intp)))
    players = Players.of(predictor.schema.names)
    for estimator, encoding, _ in readings(predictor, engineering, examples, players):
        if encoding is None or isinstance(estimator, Additive):
            continue
        numbers = _numbers(estimator, predictor, encoding, few.table)
        if numbers is None:
            continue
        twin = Twin(numbers, encoding)
        if agrees(predictor, few, twin) and _answers_like(twin, predictor, examples):
            return twin, None
        refused = KINDS[type(numbers)]
    return None, refused


def _answers_like(twin: Twin, predictor: Predictor, examples: Table) -> bool:
    """Whether a twin's outputs are the model's on all categories, gaps and ends of ranges."""
    rows, expected = finite_answers(predictor, covering_rows(predictor.schema, examples))
    outputs = twin.numbers.outputs(twin.encoding.columns(rows.codes), predictor.space)
    largest = np.abs(expected).max(initial=0.0)
    return bool(np.abs(outputs - expected).max(initial=0.0) <= TOLERANCE * largest)


def _numbers(
    estimator: Any, predictor: Predictor, encoding: Encoding, few: Table
) -> Expansion | Layers | TreeScores | None:
    """An estimator's numbers, where they are about the columns that the encoding makes."""
    space = predictor.space
    found = expansion_of(estimator, space) or layers_of(estimator, space)
    if found is not None:
        return found if found.n_columns == encoding.n_columns else None
    if space != "probability":
        return None
    return tree_scores_of(estimator, encoding.columns(few.codes), predictor.outputs(few))
