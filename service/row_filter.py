"""Which rows of a request are worth an explanation: by their class, or how likely one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowFilter", "predicted_classes"]


@dataclass(frozen=True)
class RowFilter:
    """Rows that keep to everything that is set.

    Parameters
    ----------
    classes : names of predicted classes; None for any.
    of, above, below : a class's name, and what its probability must exceed or stay under.
    """

    classes: tuple[str, ...] | None = None
    of: str | None = None
    above: float | None = None
    below: float | None = None

    def mask(
        self,
        predictions: NDArray[Any],
        probabilities: NDArray[np.float64] | None,
        classes: Mapping[Any, str],
    ) -> NDArray[np.bool_]:
        """Return which rows (n_rows,) they are.

        Parameters
        ----------
        predictions : (n_rows,), labels of the model.
        probabilities : float64 (n_rows, n_classes), which a threshold needs.
        classes : per label the class's name, in the order of the model.
        """
        kept = np.ones(len(predictions), bool)
        names = list(classes.values())
        if self.classes is not None:
            wanted = [names.index(name) for name in self.classes]
            kept &= np.isin(predicted_classes(predictions, classes), wanted)
        if self.of is not None and probabilities is not None:
            likely = probabilities[:, names.index(self.of)]  # NaN keeps to no threshold
            if self.above is not None:
                kept &= likely > self.above
            if self.below is not None:
                kept &= likely < self.below
        return kept


def predicted_classes(predictions: NDArray[Any], classes: Mapping[Any, str]) -> NDArray[np.intp]:
    """Return the place of each predicted class (n_rows,) among the model's; -1 for none."""
    places = np.full(len(predictions), -1)
    for k, label in enumerate(classes):
        places[predictions == label] = k
    return places
