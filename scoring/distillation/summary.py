"""The summary of a background: few training rows for all, chosen by what the model makes of them.

Values are linear in the background: those against weighted rows are the weighted mean of those
against each row alone. So it does not matter whether rows look like the training rows, as
centroids of clusters do; what matters is that the game averages over them as it does over all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import WHOLE_ROWS, Background, drawn, whole
from scoring.distillation.coreset import Coreset, coresets
from scoring.games.columns import ColumnsGame
from scoring.games.game import Game
from scoring.players import Players
from scoring.table import Table

__all__ = ["Summary", "summarise"]

SIZES = (25, 50, 100)
"""Rows of a summary whose size is ours to choose; the last bounds what a value costs."""

TARGET = 0.025
"""The relative RMS error that makes a size enough: beside the 5 % or so that sampling coalitions
costs, and independent of it, 2.5 % adds an eighth."""

POOL = 2000
"""Training rows to choose from, and to be like; of more, as many are drawn."""

FITTED_ROWS = 64
"""Rows that are explained against every row of the pool, for the weights."""

MEASURED_ROWS = 16
"""Others, for the error."""

PAIRS = 8
"""Coalitions, each with its complement, that one of these rows is asked about, at most."""

CALLS = 1_000_000
"""Masked rows that the model is asked about, about; fewer pairs where the pool is large."""

TOGETHER = 16
"""Rows explained whose functions are multiplied together."""

CHECKED = 8
"""Rows of the pool that the game is held against its model on."""

METHOD = "rows weighted by the model's answers"

NOISE = 1e-12
"""What rounding makes of a constant model's answers, as a share of them."""

GameOf = Callable[[Background], Game]
"""A model's value function against a background."""


@dataclass(frozen=True, eq=False)
class Summary:
    """A background of few rows, and how it was chosen.

    Parameters
    ----------
    tried : the sizes tried and their relative RMS errors, on rows that no weight was fitted to.
    n_calls : masked rows that the model was asked about.
    """

    background: Background
    tried: tuple[dict[str, float], ...] = ()
    n_calls: int = 0

    @property
    def report(self) -> dict[str, Any]:
        """How the rows were chosen, for a distillation's report."""
        return {"target": TARGET, "tried": list(self.tried), "n_calls": self.n_calls}


@dataclass(frozen=True, eq=False)
class Products:
    """Inner products of the pool's rows as the game sees them, around their mean.

    Parameters
    ----------
    gram : float64 (n_pool, n_pool).
    mean : the mean's product with itself.
    """

    gram: NDArray[np.float64]
    mean: float

    def error(self, coreset: Coreset) -> float:
        """How far weighted rows are from the mean, as a share of it."""
        some, weights = coreset
        far = max(0.0, float(weights @ self.gram[np.ix_(some, some)] @ weights))
        return float(np.sqrt(far / self.mean)) if self.mean > 0 else 0.0


def summarise(
    game_of: GameOf, rows: Table, players: Players, n_background: int | None, seed: int = 0
) -> Summary:
    """Let a few weighted rows stand for many in a model's game.

    The rows are real ones. At most `WHOLE_ROWS`, or no more than asked for, are kept whole.

    Parameters
    ----------
    rows : the training rows.
    n_background : how many to keep; None for the smallest of `SIZES` whose error is within
        `TARGET`, or else the last.
    """
    if rows.n_rows <= max(WHOLE_ROWS, n_background or 0):
        return Summary(whole(rows))
    rng = np.random.default_rng(seed)
    order = rng.permutation(rows.n_rows)
    pool = rows.take(np.sort(order[:POOL]))
    probes = rows.take(order[-FITTED_ROWS - MEASURED_ROWS :])
    n_pairs = max(1, min(PAIRS, CALLS // (2 * probes.n_rows * pool.n_rows)))
    n_calls = 2 * n_pairs * probes.n_rows * pool.n_rows
    masks = _coalitions(players, probes.n_rows * n_pairs, rng).reshape(probes.n_rows, n_pairs, -1)
    game = game_of(whole(pool.take(slice(0, CHECKED))))
    functions = _functions(game, pool, probes, masks)
    fitted = _products(islice(functions, FITTED_ROWS))
    measured = _products(functions)
    nobody = _products(iter([game.predictor.outputs(pool)]))
    gram = fitted.gram + nobody.gram  # the base values weigh as much as all the others
    if not np.diag(gram).mean() > NOISE**2 * nobody.mean:
        return Summary(drawn(rows, n_background, seed), n_calls=n_calls)
    tried = []
    for found in coresets(gram, SIZES if n_background is None else (n_background,)):
        error = measured.error(found)
        tried.append({"n_background": len(found[0]), "relative_rms": error})
        if error <= TARGET:
            break
    some, weights = found
    background = Background(pool.take(some), weights, METHOD, rows.n_rows)
    return Summary(background, tuple(tried), n_calls)


def _coalitions(players: Players, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Features (n, n_features) of random coalitions, of every size as many."""
    n_players = players.n_players
    sizes = rng.integers(1, max(2, n_players), n)
    ranks = rng.random((n, n_players)).argsort(axis=1)
    return players.features(ranks < sizes[:, np.newaxis])


def _functions(
    game: Game, pool: Table, probes: Table, masks: NDArray[np.bool_]
) -> Iterator[NDArray[np.float64]]:
    """What the pool's rows b are, (n_pool, n_functions), to each probe x and some coalitions S.

    They are f(x_S, b_notS) - f(x_notS, b_S): Shapley values depend on nothing else of a game. Row
    and background change places: in the game against x alone, the coalition notS is worth
    f(x_S, b_notS) to b.

    Parameters
    ----------
    game : checked before, against any background.
    masks : bool (n_probes, n_pairs, n_features).
    """
    if isinstance(game, ColumnsGame):  # so that a pipeline transforms the rows once
        pool, probes = game.engineering.table(pool), game.engineering.table(probes)
        masks = masks[:, :, game.engineering.owners]
        game = game.inner
    checked: Any = game  # a dataclass, whichever it is
    for r, pairs in enumerate(masks):
        one: Game = replace(checked, background=whole(probes.take(slice(r, r + 1))))
        v = one.values(pool, np.concatenate([pairs, ~pairs]))
        yield (v[:, : len(pairs)] - v[:, len(pairs) :]).reshape(pool.n_rows, -1)


def _products(functions: Iterator[NDArray[np.float64]]) -> Products:
    """Average the inner products over functions (n_pool, n_functions), those that are numbers."""
    gram, mean, n = np.zeros(()), 0.0, 0
    while some := list(islice(functions, TOGETHER)):
        values = np.concatenate(some, axis=1)
        values = values[:, np.isfinite(values).all(axis=0)]
        center = values.mean(axis=0)
        gram = gram + (values - center) @ (values - center).T
        mean += float(center @ center)
        n += values.shape[1]
    return Products(gram / max(1, n), mean / max(1, n))
