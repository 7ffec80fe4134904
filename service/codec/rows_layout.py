"""The `rows` layout: one object for each row, whose numbers stand under their features' names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from scoring.explanation import Scored
from service.codec.shown import Shown

__all__ = ["rows_of"]


def rows_of(
    scored: Scored, told: Shown, index: Sequence[Any], gap: Any, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the rows; those that are not explained have null for an explanation.

    Parameters
    ----------
    gap : float64 (n_explained,).
    classes : names of what `probabilities` count through.
    """
    predictions, n_rows = scored.predictions.tolist(), len(scored.predictions)
    chances: list[Any] = [None] * n_rows
    if scored.probabilities is not None:
        every = scored.probabilities.tolist()
        chances = [dict(zip(classes, each, strict=True)) for each in every]
    codes = scored.explanation.reason_codes
    nothing = {"explanation": None, "additivity_gap": None}
    nothing |= {} if codes is None else {"reason_codes": None}
    rows = [
        {"index": label, "prediction": predicted, "probabilities": chance, **nothing}
        for label, predicted, chance in zip(index, predictions, chances, strict=True)
    ]
    places = range(n_rows) if scored.explained is None else scored.explained.tolist()
    parts = zip(places, _explanations(scored, told), gap.tolist(), strict=True)
    for place, explanation, own_gap in parts:
        rows[place] |= {"explanation": explanation, "additivity_gap": own_gap}
    if codes is not None:
        for place, reasons in zip(places, codes, strict=True):
            rows[place]["reason_codes"] = reasons
    return rows


def _explanations(scored: Scored, told: Shown) -> Iterator[dict[str, Any]]:
    """Per explained row an object for each output that is told."""
    explanation = scored.explanation
    n_explained, n_shown = told.outputs.shape
    features = np.asarray(explanation.features, dtype=object)
    base_values = np.broadcast_to(told.base_values, told.outputs.shape).tolist()
    values = told.values.transpose(0, 2, 1).tolist()  # (n_explained, n_shown, n_listed)
    outputs = told.outputs.tolist()
    optional: dict[str, list[Any]] = {}
    if told.standard_errors is not None:
        optional["standard_errors"] = told.standard_errors.transpose(0, 2, 1).tolist()
    if told.remainder is not None:
        optional["remainder"] = told.remainder.tolist()
    if told.interactions is not None:
        optional["interaction_values"] = np.moveaxis(told.interactions, -1, 1).tolist()
    listed = None if told.listed is None else features[told.listed.transpose(0, 2, 1)].tolist()
    names = explanation.features
    for row in range(n_explained):
        shown_outputs = told.names if told.classes is None else (told.classes[row],)
        answer = {}
        for k in range(n_shown):
            own = names if listed is None else listed[row][k]
            part = {
                "base_value": base_values[row][k],
                "output": outputs[row][k],
                "values": dict(zip(own, values[row][k], strict=True)),
            }
            for name, each in optional.items():
                told_ = each[row][k]
                named = name == "standard_errors"
                part[name] = dict(zip(own, told_, strict=True)) if named else told_
            answer[shown_outputs[k]] = part
        yield answer
