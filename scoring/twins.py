"""Which models are known by their numbers: read from types, and held against answers."""

from __future__ import annotations

import numpy as np

from scoring.background import whole
from scoring.features import Engineering
from scoring.games.choose import agrees
from scoring.games.expansion import expansion_of
from scoring.games.layered import layers_of
from scoring.games.twin import Twin
from scoring.players import Players
from scoring.predictor import EstimatorModel, Predictor
from scoring.readings import readings
from scoring.table import Table

__all__ = ["twin_of"]

CHECKED_ROWS = 8
"""Examples that a twin is held against, as rows and as background."""


def twin_of(predictor: Predictor, engineering: Engineering | None, examples: Table) -> Twin | None:
    """Read a model's numbers, or None where it is not known by them.

    Parameters
    ----------
    engineering : where the model is cut, if it is a pipeline.
    examples : rows that it takes.
    """
    if not isinstance(predictor.model, EstimatorModel):
        return None
    own = predictor.model.estimator if engineering is None else engineering.tail
    numbers = expansion_of(own, predictor.space) or layers_of(own, predictor.space)
    if numbers is None:
        return None
    spread = np.linspace(0, examples.n_rows - 1, min(CHECKED_ROWS, examples.n_rows))
    few = whole(examples.take(spread.astype(np.intp)))
    players = Players.of(predictor.schema.names)
    for estimator, encoding, _ in readings(predictor, engineering, examples, players):
        if estimator is own and encoding is not None and encoding.n_columns == numbers.n_columns:
            twin = Twin(numbers, encoding)
            if agrees(predictor, few, twin):
                return twin
    return None
