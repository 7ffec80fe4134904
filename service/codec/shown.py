"""What of an explanation a request wants to see: some outputs, and the strongest features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.additivity import additivity_gap
from scoring.explanation import LocalExplanation, Scored
from scoring.ranks import strongest
from service.options import Options
from service.row_filter import predicted_classes

__all__ = ["Shown", "probability_names", "shown"]


@dataclass(frozen=True, eq=False)
class Shown:
    """The part of an explanation that is told.

    Parameters
    ----------
    values : float64 (n_explained, n_listed, n_shown).
    base_values : float64 (n_shown,), or (n_explained, 1) where each row has an output of its own.
    outputs : float64 (n_explained, n_shown).
    names : of the outputs, in order; those of all of them where each row has its own.
    standard_errors : like the values; None where they are unknown, or one for all.
    remainder : float64 (n_explained, n_shown), what is not listed; None where everything is.
    listed : intp like the values, which features they are; None where all are listed in order.
    classes : per row the class that is explained; None where all rows have the same ones.
    interactions : float64 (n_explained, n_features, n_features, n_shown), where asked for.
    whole : the explanation, where all its outputs are told: then its gap is theirs.
    """

    values: NDArray[np.float64]
    base_values: NDArray[np.float64]
    outputs: NDArray[np.float64]
    names: tuple[str, ...]
    standard_errors: NDArray[np.float64] | None
    remainder: NDArray[np.float64] | None
    listed: NDArray[np.intp] | None = None
    classes: tuple[str, ...] | None = None
    interactions: NDArray[np.float64] | None = None
    whole: LocalExplanation | None = None

    @property
    def additivity_gap(self) -> NDArray[np.float64]:
        """Per row the largest |base value + sum of values - output|; (n_explained,)."""
        if self.whole is not None:  # where the metrics asked before, it is known
            return self.whole.additivity_gap
        return additivity_gap(self.base_values, self.values, self.remainder, self.outputs)


def shown(scored: Scored, options: Options, classes: Mapping[Any, str]) -> Shown:
    """Choose what is told.

    Parameters
    ----------
    classes : per label of the model the name of its class.
    """
    explanation = scored.explanation
    every = Shown(
        explanation.values,
        explanation.base_values,
        explanation.outputs,
        explanation.output_names,
        explanation.standard_errors if explanation.degrees_of_freedom is not None else None,
        explanation.remainder,
        interactions=scored.interactions,
        whole=explanation,
    )
    if options.outputs == "predicted":
        every = _of_each_row(every, scored, classes)
    elif options.outputs != "all":
        every = _of_outputs(every, explanation, options.outputs)
    return every if options.top_k is None else _strongest(every, options.top_k)


def _of_outputs(every: Shown, explanation: LocalExplanation, names: tuple[str, ...]) -> Shown:
    """Some outputs, in the order in which they are asked for."""
    some = [explanation.output_names.index(name) for name in names]
    errors, others, pairs = every.standard_errors, every.remainder, every.interactions
    return replace(
        every,
        values=every.values[..., some],
        base_values=every.base_values[some],
        outputs=every.outputs[:, some],
        names=names,
        standard_errors=None if errors is None else errors[..., some],
        remainder=None if others is None else others[:, some],
        interactions=None if pairs is None else pairs[..., some],
        whole=None,
    )


def _of_each_row(every: Shown, scored: Scored, classes: Mapping[Any, str]) -> Shown:
    """Of each row the class that the model predicts for it."""
    predictions = scored.predictions
    if scored.explained is not None:
        predictions = predictions[scored.explained]
    places = predicted_classes(predictions, classes)
    rows = np.arange(len(places))
    errors, others, pairs = every.standard_errors, every.remainder, every.interactions
    return replace(
        every,
        values=every.values[rows, :, places][..., np.newaxis],
        base_values=every.base_values[places][:, np.newaxis],
        outputs=every.outputs[rows, places][:, np.newaxis],
        standard_errors=None if errors is None else errors[rows, :, places][..., np.newaxis],
        remainder=None if others is None else others[rows, places][:, np.newaxis],
        classes=tuple(every.names[place] for place in places.tolist()),
        interactions=None if pairs is None else pairs[rows, :, :, places][..., np.newaxis],
        whole=None,
    )


def _strongest(every: Shown, top_k: int) -> Shown:
    """The strongest features of each row and output; the others go to the remainder."""
    listed = strongest(every.values, top_k)
    values = np.take_along_axis(every.values, listed, axis=1)
    rest = every.values.copy()
    np.put_along_axis(rest, listed, 0.0, axis=1)
    others, errors = rest.sum(axis=1), every.standard_errors
    return replace(
        every,
        values=values,
        standard_errors=None if errors is None else np.take_along_axis(errors, listed, axis=1),
        remainder=others if every.remainder is None else others + every.remainder,
        listed=listed,
        whole=None,
    )


def probability_names(scored: Scored, classes: Mapping[Any, str]) -> tuple[str, ...]:
    """Return what to call the columns of the probabilities; () where there are none.

    These are the classes, save for a function's answers, which need not be one for each.
    """
    if scored.probabilities is None:
        return ()
    n_columns, outputs = scored.probabilities.shape[1], scored.explanation.output_names
    for names in (tuple(classes.values()), outputs):
        if len(names) == n_columns:
            return names
    return tuple(map(str, range(n_columns)))
