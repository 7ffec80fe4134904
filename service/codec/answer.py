"""Scored rows to a response's body, in the guide's layout or a row at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from scoring.errors import Violation
from scoring.explanation import LocalExplanation, Scored
from scoring.student import interval_factor
from service.codec.rows import Rows
from service.codec.rows_layout import rows_of
from service.codec.shown import Shown, probability_names, shown
from service.options import Options

__all__ = ["NO_CLASSES", "common", "errors", "interval", "plain_notes", "to_json", "to_response"]

LEVEL = 0.95

NOT_FINITE = "the model's answer is not a finite number; null stands in its place"
TOO_FAR = "the row is too far from those of training to be explained; null stands for its values"

NO_CLASSES: Mapping[Any, str] = MappingProxyType({})

_DEFAULT = Options()


def to_response(
    scored: Scored,
    rows: Rows,
    model: dict[str, str],
    options: Options = _DEFAULT,
    classes: Mapping[Any, str] = NO_CLASSES,
) -> bytes:
    """Write the answer to a request; see `service.documents` for what it holds.

    Parameters
    ----------
    classes : per label of the model the name of its class, in the model's order.
    """
    told = shown(scored, options, classes)
    notes = rows.table.notes
    if options.layout == "rows":
        return to_json(_by_row(scored, told, rows.index, notes, model, classes))
    return to_json(_guide(scored, told, rows.index, notes, model))


def to_json(content: Any) -> bytes:
    """Write JSON; NumPy arrays may be in it, and what is not finite becomes null."""
    return orjson.dumps(content, _as_lists, orjson.OPT_SERIALIZE_NUMPY)


def _as_lists(value: Any) -> Any:
    """Arrays that orjson does not read in place: of another order in memory, or another dtype."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")


def _guide(
    scored: Scored,
    told: Shown,
    index: Sequence[Any],
    notes: Sequence[Violation],
    model: dict[str, str],
) -> dict[str, Any]:
    """The answer's content, in the order in which people read it."""
    explanation, gap = scored.explanation, told.additivity_gap
    base_values = explanation.base_values if told.classes is not None else told.base_values
    return {
        "predictions": scored.predictions.tolist(),
        "probabilities": scored.probabilities,
        "local_importance_values": _nested(told.values, explanation),
        "base_values": base_values,
        "features": explanation.features,
        "classes": told.names,
        "index": list(index),
        "output_space": explanation.output_space,
        "axes": explanation.axes,
        "additivity_gap": gap,
        "method": explanation.method,
        "coalitions_used": explanation.n_coalitions,
        "standard_errors": _standard_errors(told, explanation),
        "interval": interval(explanation.degrees_of_freedom),
        "background_error": explanation.background_error,
        **_where_there_is_any(scored, told),
        "warnings": plain_notes(notes),
        "errors": errors(scored, gap),
        "model": model,
    }


def _where_there_is_any(scored: Scored, told: Shown) -> dict[str, Any]:
    """What only some answers have."""
    explanation, found = scored.explanation, dict[str, Any]()
    if scored.explained is not None:
        found["explained_rows"] = scored.explained
    if told.classes is not None:
        found["explained_classes"] = told.classes
    if told.listed is not None:
        names = np.asarray(explanation.features, dtype=object)[told.listed]
        found["top_features"] = _nested(names, explanation)
    if told.interactions is not None:
        found["interaction_values"] = _nested(told.interactions, explanation)
    if told.remainder is not None:
        found["remainder"] = told.remainder
    if explanation.reason_codes is not None:
        found["reason_codes"] = explanation.reason_codes
    return found


def _by_row(
    scored: Scored,
    told: Shown,
    index: Sequence[Any],
    notes: Sequence[Violation],
    model: dict[str, str],
    classes: Mapping[Any, str],
) -> dict[str, Any]:
    """One object for each row, and what is the same for all of them."""
    gap = told.additivity_gap
    return {
        "rows": rows_of(scored, told, index, gap, probability_names(scored, classes)),
        **common(scored, told),
        "warnings": plain_notes(notes),
        "errors": errors(scored, gap),
        "model": model,
    }


def common(scored: Scored, told: Shown) -> dict[str, Any]:
    """What all rows of an answer share."""
    explanation = scored.explanation
    sampled = {} if told.standard_errors is not None else {"standard_errors": _one(explanation)}
    return {
        "features": explanation.features,
        "classes": told.names,
        "output_space": explanation.output_space,
        "method": explanation.method,
        "coalitions_used": explanation.n_coalitions,
        **sampled,
        "interval": interval(explanation.degrees_of_freedom),
        "background_error": explanation.background_error,
    }


def _nested(values: NDArray[Any], explanation: LocalExplanation) -> NDArray[Any]:
    """Values (n_rows, ..., n_outputs) in the guide's order; one output may need no axis."""
    last = values.ndim - 1
    by_output = np.ascontiguousarray(values.transpose(last, *range(last)))
    return by_output if len(explanation.axes) == 3 else by_output[0]


def _standard_errors(told: Shown, explanation: LocalExplanation) -> NDArray[Any] | float | None:
    """Nested like the values; one for all of them, mostly 0, where nothing was sampled."""
    if told.standard_errors is not None:
        return _nested(told.standard_errors, explanation)
    return _one(explanation)


def _one(explanation: LocalExplanation) -> float | None:
    """The standard error that all values have; None where it is unknown."""
    errors = explanation.standard_errors
    return None if errors is None else float(errors.max(initial=0.0))


def interval(degrees_of_freedom: int | None) -> dict[str, float] | None:
    """How many standard errors to each side hold the exact value; None where these are 0."""
    if degrees_of_freedom is None:
        return None
    factor = interval_factor(LEVEL, degrees_of_freedom)
    return {"level": LEVEL, "degrees_of_freedom": degrees_of_freedom, "factor": factor}


def plain_notes(notes: Sequence[Violation]) -> list[dict[str, Any]]:
    """Return what was accepted but is unusual, as JSON has it."""
    return [{"row": n.row, "column": n.column, "rule": n.rule} for n in notes]


def errors(scored: Scored, gap: NDArray[np.float64] | None = None) -> list[dict[str, Any]]:
    """Rows for which the model, or else what explains it, has no finite number.

    Parameters
    ----------
    gap : float64 (n_explained,), the additivity gaps; a finite one has finite parts only.
    """
    explanation, n_rows = scored.explanation, len(scored.predictions)
    whole = gap is not None and bool(np.isfinite(gap).all())
    if whole and _all_finite(scored.predictions) and _all_finite(scored.probabilities):
        return []
    model = _broken(n_rows, scored.predictions, scored.probabilities)
    values = np.zeros(n_rows, dtype=bool)
    if not whole:
        places = slice(None) if scored.explained is None else scored.explained
        n_explained = len(explanation.outputs)
        model[places] |= _broken(n_explained, explanation.outputs)
        values[places] = _broken(n_explained, explanation.values, explanation.remainder)
    broken = model | values
    return [
        {"row": row, "rule": NOT_FINITE if model[row] else TOO_FAR}
        for row in np.flatnonzero(broken).tolist()
    ]


def _all_finite(numbers: NDArray[Any] | None) -> bool:
    return numbers is None or numbers.dtype.kind != "f" or bool(np.isfinite(numbers).all())


def _broken(n_rows: int, *answers: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Rows (n_rows,) of which something is not a finite number."""
    broken = np.zeros(n_rows, dtype=bool)
    for numbers in answers:
        if numbers is not None and numbers.dtype.kind == "f":
            broken |= ~np.isfinite(numbers.reshape(n_rows, -1)).all(axis=1)
    return broken
