"""The value function of boosted trees' probabilities, without masked rows.

The margins of masked rows come from the words of single players' tests
(`scoring.games.tree_margins`), so what is masked is never made and the trees are never walked. What
is left is the link, once for every coalition and background row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.games.game import blocks
from scoring.games.tree_margins import TreeMargins, with_nobody
from scoring.games.tree_plan import plan
from scoring.predictor import OutputSpace
from scoring.trees.forest import Forest
from scoring.trees.game import answers
from scoring.trees.leaf_words import LeafWords, fits
from scoring.trees.read import forest_in

__all__ = ["ColumnWorth", "TreeScores", "tree_scores_of"]

ColumnWorth = Callable[[NDArray[np.float64], slice], NDArray[np.float64]]
"""From rows (n_rows, n_columns) and some of fixed coalitions to v (n_rows, n_some, n_outputs)."""

PAIRS = 128
"""Pairs of a row and a background row at a time: enough to forget what a call of NumPy costs, and
few enough for a tree's tables to stay near the processor."""

TOLERANCE = 1e-5
"""How far a probability may be from the library's own, which may add up in single precision."""


@dataclass(frozen=True, eq=False)
class TreeScores:
    """Class probabilities from the margins that trees add up to.

    Parameters
    ----------
    forest : of trees that fit (`scoring.trees.leaf_words.fits`), with the margin of the second of
        two classes or one margin a class.
    link : the logistic function, which answers both of two classes, or the softmax.
    """

    forest: Forest
    link: Literal["logistic", "softmax"]

    @property
    def n_columns(self) -> int:
        """How many columns the trees look at, at least."""
        return int(self.forest.columns.max(initial=-1)) + 1

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        """The output spaces that it answers in."""
        return ("probability",)

    @property
    def n_outputs(self) -> int:
        """How many classes there are."""
        return 2 if self.link == "logistic" else len(self.forest.base)

    def outputs(
        self,
        columns: NDArray[np.float64],
        space: OutputSpace = "probability",  # noqa: ARG002 it has one
    ) -> NDArray[np.float64]:
        """Return probabilities (n_rows, n_outputs) of rows (n_rows, n_columns)."""
        found = self._linked(answers(self.forest, columns).T.copy())
        return self._both(found, 1.0).T

    def predict(self, columns: NDArray[np.float64], labels: Sequence[Any]) -> NDArray[Any]:
        """Return the likeliest class."""
        return np.asarray(np.asarray(labels)[self.outputs(columns).argmax(axis=1)])

    def prepared(
        self,
        background: NDArray[np.float64],
        weights: NDArray[np.float64],
        masks: NDArray[np.bool_],
        block_bytes: int,
    ) -> ColumnWorth:
        """Return the value function of fixed coalitions, with what depends on no row made once.

        Parameters
        ----------
        background : float64 (n_background, n_columns).
        weights : float64 (n_background,).
        masks : bool (n_coalitions, n_columns). Columns that are always present together are one
            player's.
        block_bytes : what a call may allocate at a time, beyond its answer and the tables of one
            tree.
        """
        players, owners = np.unique(masks, axis=1, return_inverse=True)
        words = LeafWords(self.forest, owners.ravel().astype(np.int64))
        margins = TreeMargins(words, plan(words, players), self.forest.base + words.constant)
        absent, n_known = with_nobody(words.left_open(background)), len(weights)
        room = max(1, block_bytes // 2 // margins.pair_bytes)
        per_background = min(n_known, PAIRS, room)
        per_rows = max(1, min(PAIRS, room) // per_background)
        per_coalitions = max(1, room // (per_background * per_rows))

        def worth(columns: NDArray[np.float64], asked: slice) -> NDArray[np.float64]:
            first, last, _ = asked.indices(len(masks))
            v = np.zeros((len(columns), last - first, self.n_outputs))
            for rows in blocks(len(columns), per_rows):
                own = with_nobody(words.left_open(columns[rows]))
                for known in blocks(n_known, per_background):
                    shape = own.shape[1], known.stop - known.start
                    pairs = np.repeat(own, shape[1], axis=1), np.tile(absent[:, known], shape[0])
                    for some in blocks(last - first, per_coalitions):
                        these = slice(first + some.start, first + some.stop)
                        linked = self._linked(margins.of(*pairs, these))
                        linked = linked.reshape(len(linked), -1, *shape)
                        v[rows, some] += self._averaged(linked, weights[known]).transpose(2, 1, 0)
            return v

        return worth

    def _linked(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """From margins (n_margins, ...), overwritten, to probabilities of the same shape.

        Of two classes it is the second one's.
        """
        if self.link == "logistic":
            np.negative(margins, out=margins)
            with np.errstate(over="ignore"):  # beyond the largest number the probability is 0
                np.exp(margins, out=margins)
            margins += 1.0
            return np.divide(1.0, margins, out=margins)
        margins -= margins.max(axis=0)
        np.exp(margins, out=margins)
        margins /= margins.sum(axis=0)
        return margins

    def _averaged(
        self, linked: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Sum probabilities (n_margins, n_some, n_rows, n_background), overwritten, over the last.

        A product of matrices would add up in an order that depends on how many rows there are.
        """
        linked *= weights
        return self._both(np.add.reduce(linked, axis=-1), np.add.reduce(weights))

    def _both(self, found: NDArray[np.float64], whole: float) -> NDArray[np.float64]:
        """Of two classes the first one has what the second one leaves of the whole."""
        return np.concatenate([whole - found, found]) if self.link == "logistic" else found


def tree_scores_of(
    estimator: Any, columns: NDArray[np.float64], probabilities: NDArray[np.float64]
) -> TreeScores | None:
    """Read a boosted classifier of LightGBM, XGBoost or scikit-learn.

    Parameters
    ----------
    columns : float64 (n_rows, n_columns), ordinary rows as the trees see them.
    probabilities : float64 (n_rows, n_classes), what `predict_proba` says of them.

    Returns
    -------
    None for other estimators, for trees that do not fit, and where the link is another one: the
    probabilities tell.
    """
    forest = forest_in(estimator, "margin")
    if forest is None or not fits(forest):
        return None
    scores = TreeScores(forest, "logistic" if len(forest.base) == 1 else "softmax")
    found = scores.outputs(columns)
    if found.shape != probabilities.shape:
        return None
    return scores if bool(np.allclose(found, probabilities, rtol=0, atol=TOLERANCE)) else None
