"""Does a copy of a model answer what the original answers? Labels exactly, numbers closely."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.forms.refused import FormRefused, first_line
from scoring.predictor import Model, OutputSpace
from scoring.table import Table

__all__ = ["TOLERANCE", "Answers", "Parity", "ask"]

TOLERANCE = 1e-5
"""Largest error allowed, as a share of the output's scale."""

BLOCK = 4096


@dataclass(frozen=True)
class Answers:
    """What a model says of some rows: its labels, and its outputs in each space."""

    labels: NDArray[Any]
    outputs: dict[OutputSpace, NDArray[np.float64]]


@dataclass(frozen=True)
class Parity:
    """The original's answers, to hold copies against.

    Parameters
    ----------
    asked : tables with what the original said of them; the held-out rows first.
    n_refused : rows that the original itself refuses, and which are left out.
    labelled : whether `predict` answers labels; numbers are outputs, and measured as such.
    """

    asked: tuple[tuple[Table, Answers], ...]
    n_refused: int
    labelled: bool

    @classmethod
    def of(
        cls, model: Model, spaces: Sequence[OutputSpace], held_out: Table, *edges: Table
    ) -> Parity:
        """Ask the original about the held-out rows, then about tables of edge rows."""
        asked = [(held_out, ask(model, spaces, held_out))]
        for table in edges:
            for start in range(0, table.n_rows, BLOCK):
                asked += _answered(model, spaces, table.take(slice(start, start + BLOCK)))
        total = held_out.n_rows + sum(table.n_rows for table in edges)
        n_refused = total - sum(table.n_rows for table, _ in asked)
        labelled = bool(model.labels) or asked[0][1].labels.dtype.kind != "f"
        return cls(tuple(asked), n_refused, labelled)

    def check(self, copy: Model) -> dict[str, Any]:
        """Hold a copy against the original.

        Returns
        -------
        A report: rows of each kind, labels that differ, the largest error in each output space.

        Raises
        ------
        FormRefused
            The copy differs in a label, or by more than the tolerance.
        """
        differing, worst = 0, dict.fromkeys(self.scales, 0.0)
        for table, original in self.asked:
            try:
                copied = ask(copy, tuple(self.scales), table)
            except Exception as error:
                why = f"it does not take rows that the model takes: {first_line(error)}"
                raise FormRefused(why) from error
            if self.labelled:
                differing += _count_differing(original.labels, copied.labels)
            for space, scale in self.scales.items():
                gap = scale.error(original.outputs[space], copied.outputs[space])
                worst[space] = max(worst[space], gap)
        first, *others = (table.n_rows for table, _ in self.asked)
        report = {
            "held_out_rows": first,
            "edge_rows": sum(others),
            "edge_rows_refused_by_model": self.n_refused,
            "label_differences": differing,
            "max_error": worst,
            "tolerance": TOLERANCE,
        }
        if differing or not max(worst.values()) <= TOLERANCE:
            largest = max(worst.values())
            raise FormRefused(
                f"{differing} labels differ and the largest error is {largest:.2g} of the output's "
                f"scale, above {TOLERANCE:g}"
            )
        return report

    @property
    def scales(self) -> dict[OutputSpace, Scale]:
        """Where each output space's numbers lie, by the held-out rows."""
        return {space: Scale.of(out, space) for space, out in self.asked[0][1].outputs.items()}


@dataclass(frozen=True)
class Scale:
    """What an error is measured by: how far the outputs of ordinary rows spread.

    A row far outside, which an edge row may be, is measured by its own distance instead.
    """

    center: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, outputs: NDArray[np.float64], space: OutputSpace) -> Scale:
        """Take the scale of outputs (n_rows, n_outputs); classes share one, targets do not."""
        center = np.median(outputs, axis=0)
        spread = np.ptp(outputs, axis=0)
        if space != "value":
            spread = np.full_like(spread, spread.max())
        constant = np.maximum(np.abs(center), np.finfo(np.float64).tiny)
        return cls(center, np.where(spread > 0, spread, constant))

    def error(self, original: NDArray[np.float64], copied: NDArray[np.float64]) -> float:
        """Return the largest error as a share of the scale; where one is NaN, both have to be."""
        if original.shape != copied.shape:
            return float("inf")
        same = (original == copied) | (np.isnan(original) & np.isnan(copied))
        with np.errstate(invalid="ignore", over="ignore"):
            share = np.abs(original - copied)
            share /= np.maximum(self.spread, np.abs(original - self.center))
        share = np.where(same, 0.0, np.where(np.isnan(share), np.inf, share))
        return float(share.max(initial=0.0))


def ask(model: Model, spaces: Sequence[OutputSpace], table: Table) -> Answers:
    """Ask a model for everything it will have to answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an encoder warns of what it then accepts
        labels = model.predict(table)
        outputs = {space: model.outputs(table, space) for space in spaces}
    return Answers(np.asarray(labels), outputs)


def _answered(
    model: Model, spaces: Sequence[OutputSpace], table: Table
) -> list[tuple[Table, Answers]]:
    """The rows that the model takes, found by halving a block that it refuses."""
    try:
        return [(table, ask(model, spaces, table))]
    except Exception:  # noqa: BLE001 whatever a user's model raises is its way of saying no
        if table.n_rows == 1:
            return []
        middle = table.n_rows // 2
        halves = table.take(slice(0, middle)), table.take(slice(middle, None))
        return [answer for half in halves for answer in _answered(model, spaces, half)]


def _count_differing(original: NDArray[Any], copied: NDArray[Any]) -> int:
    """Labels that differ, in any of the columns of several targets."""
    if original.shape != copied.shape:
        return len(original)
    return int((original != copied).sum())
