"""Scored rows to a response's body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from scoring.errors import Violation
from scoring.explanation import LocalExplanation, Scored
from scoring.student import interval_factor
from service.codec.rows import Rows

__all__ = ["answer", "to_json", "to_response"]

LEVEL = 0.95

NOT_FINITE = "the model's answer is not a finite number; null stands in its place"
TOO_FAR = "the row is too far from those of training to be explained; null stands for its values"


def to_response(scored: Scored, rows: Rows, model: dict[str, str]) -> bytes:
    """Write the answer to a request; see `service.documents` for what it holds."""
    return to_json(answer(scored, rows.index, rows.table.notes, model))


def to_json(content: Any) -> bytes:
    """Write JSON; NumPy arrays may be in it, and what is not finite becomes null."""
    return orjson.dumps(content, _as_lists, orjson.OPT_SERIALIZE_NUMPY)


def _as_lists(value: Any) -> Any:
    """Arrays that orjson does not read in place: of another order in memory, or another dtype."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")


def answer(
    scored: Scored, index: Sequence[Any], notes: Sequence[Violation], model: dict[str, str]
) -> dict[str, Any]:
    """The answer's content, in the order in which people read it."""
    explanation = scored.explanation
    optional = {"remainder": explanation.remainder, "reason_codes": explanation.reason_codes}
    return {
        "predictions": scored.predictions.tolist(),
        "probabilities": scored.probabilities,
        "local_importance_values": explanation.layout(),
        "base_values": explanation.base_values,
        "features": explanation.features,
        "classes": explanation.output_names,
        "index": list(index),
        "output_space": explanation.output_space,
        "axes": explanation.axes,
        "additivity_gap": explanation.additivity_gap,
        "method": explanation.method,
        "coalitions_used": explanation.n_coalitions,
        "standard_errors": _standard_errors(explanation),
        "interval": _interval(explanation.degrees_of_freedom),
        "background_error": explanation.background_error,
        **{name: value for name, value in optional.items() if value is not None},
        "warnings": [{"row": n.row, "column": n.column, "rule": n.rule} for n in notes],
        "errors": _errors(scored),
        "model": model,
    }


def _standard_errors(explanation: LocalExplanation) -> NDArray[np.float64] | float | None:
    """Nested like the values; one for all of them, mostly 0, where nothing was sampled."""
    errors = explanation.standard_errors
    if errors is None or explanation.degrees_of_freedom is not None:
        return None if errors is None else explanation.layout(errors)
    return float(errors.max(initial=0.0))


def _interval(degrees_of_freedom: int | None) -> dict[str, float] | None:
    """How many standard errors to each side hold the exact value; None where these are 0."""
    if degrees_of_freedom is None:
        return None
    factor = interval_factor(LEVEL, degrees_of_freedom)
    return {"level": LEVEL, "degrees_of_freedom": degrees_of_freedom, "factor": factor}


def _errors(scored: Scored) -> list[dict[str, Any]]:
    """Rows for which the model, or else what explains it, has no finite number."""
    explanation = scored.explanation
    n_rows = len(explanation.outputs)
    model = _broken(n_rows, explanation.outputs, scored.predictions, scored.probabilities)
    values = _broken(n_rows, explanation.values, explanation.remainder)
    return [
        {"row": int(row), "rule": NOT_FINITE if model[row] else TOO_FAR}
        for row in np.flatnonzero(model | values)
    ]


def _broken(n_rows: int, *answers: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Rows (n_rows,) of which something is not a finite number."""
    broken = np.zeros(n_rows, dtype=bool)
    for numbers in answers:
        if numbers is not None and numbers.dtype.kind == "f":
            broken |= ~np.isfinite(numbers.reshape(n_rows, -1)).all(axis=1)
    return broken
