"""Rows that a model does not answer: found one by one, and named in one error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError, RowsError, Violation
from scoring.predictor import Predictor
from scoring.table import Table

__all__ = ["answered", "finite_answers"]

T = TypeVar("T")


def answered(predictor: Predictor, rows: Table, work: Callable[[], T]) -> T:
    """Do what needs the model's answers about rows; name the rows that it refuses.

    Raises
    ------
    RowsError
        The model answers some of the rows with an error of its own.
    """
    try:
        return work()
    except ModelError as error:
        refused = _refused(predictor, rows)
        if not len(refused):
            raise
        rule = "the model does not answer this row"
        violations = [Violation(int(row), None, rule) for row in refused]
        raise RowsError(violations) from error


def _refused(predictor: Predictor, rows: Table) -> NDArray[np.intp]:
    """Rows that the model does not answer, found by halving a block that it refuses."""
    try:
        predictor.predictions(rows)
        predictor.outputs(rows)
    except ModelError:
        if rows.n_rows == 1:
            return np.zeros(1, dtype=np.intp)
        middle = rows.n_rows // 2
        first = _refused(predictor, rows.take(slice(0, middle)))
        second = _refused(predictor, rows.take(slice(middle, None)))
        return np.concatenate([first, second + middle])
    return np.zeros(0, dtype=np.intp)


def finite_answers(predictor: Predictor, rows: Table) -> tuple[Table, NDArray[np.float64]]:
    """Rows that a model answers with finite numbers, and its outputs (n_rows, n_outputs)."""
    refused = _refused(predictor, rows)
    kept = rows.take(np.setdiff1d(np.arange(rows.n_rows), refused))
    outputs = predictor.outputs(kept)
    finite = np.flatnonzero(np.isfinite(outputs).all(axis=1))
    return kept.take(finite), outputs[finite]
