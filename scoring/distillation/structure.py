"""Which exact game a model has, if any: read from its type, and held against its answers.

The rules look at the model's type and sizes only. What a type promises is believed where the
game's own outputs are the model's, on its rows and on mixtures of them; a subclass, a wrapper or a
custom kernel that answers otherwise takes the generic path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.distillation.probe import mixed_rows
from scoring.distillation.readings import readings
from scoring.distillation.rounding import Agreement, agreement
from scoring.encoding import Encoding
from scoring.errors import ModelError
from scoring.exact import Exact, Game
from scoring.features import Engineering
from scoring.forms.edges import covering_rows
from scoring.games.additive import Additive, additive_of
from scoring.games.linear import linear_game
from scoring.games.link import link_game
from scoring.games.machine import machine_of
from scoring.games.rbf_exact import rbf_game
from scoring.players import Players
from scoring.predictor import EstimatorModel, Predictor, last_step
from scoring.refusals import finite_answers
from scoring.table import Table
from scoring.trees.game import tree_game
from scoring.trees.paths import MOST_PLAYERS, Paths
from scoring.trees.read import adds_in_single, forest_in
from scoring.trees.tables import cap_of, fits

__all__ = ["LONG_PATHS", "SHARED_COLUMNS", "Structure", "structure_of"]

CHECKED = 256
"""Examples, and as many mixtures of them, that a game is held against."""

LONG_PATHS = f"a path of its trees tests more than {MOST_PLAYERS} features"

SHARED_COLUMNS = (
    "its trees test columns that several features share, or codes that the model itself gives to "
    "categories"
)

Build = Callable[[NDArray[np.float64], NDArray[np.float64], int | None], Game | None]
"""From a background's columns and weights, and what tables may take, to the game."""


@dataclass(frozen=True, eq=False)
class Structure:
    """A model's structure: everything of an exact game but its background.

    Parameters
    ----------
    kind : `tree`, `linear`, `link` or `rbf`.
    free : whether explaining costs the same for any background, so that all rows may be in it.
    single : whether the model adds up in single precision.
    paths : of trees, which may have tables.
    tables_bytes : what these may take; None for what is in proportion to the model.
    """

    kind: str
    free: bool
    predictor: Predictor
    encoding: Encoding | None
    build: Build
    single: bool = False
    paths: Paths | None = None
    tables_bytes: int | None = None

    @property
    def readable(self) -> bool:
        """Whether no path of its trees tests more players than a game can tell apart."""
        return self.paths is None or self.paths.players.shape[1] <= MOST_PLAYERS

    def capped(self, tables_bytes: int | None) -> Structure:
        """Return the same structure, whose tables may take so much."""
        if self.paths is None or tables_bytes is None:
            return self
        cap = cap_of(self.paths.forest, tables_bytes)
        return replace(self, tables_bytes=tables_bytes, free=fits(self.paths, cap))

    def agreement(self, exact: Exact, rows: Table, told: NDArray[np.float64]) -> Agreement:
        """Hold a game of this structure against the model's answers (n_rows, n_outputs)."""
        columns = _columns(self.predictor, self.encoding, rows)
        targets = self.predictor.space == "value"
        return agreement(exact.game, columns, told, single=self.single, targets=targets)

    def against(self, background: Background) -> Exact | None:
        """Make the game against a background; None where it does not answer like the model."""
        encoding = self.encoding
        columns = _columns(self.predictor, encoding, background.table)
        game = self.build(columns, background.weights, self.tables_bytes)
        return None if game is None else Exact(game, encoding, str(background))


def structure_of(
    predictor: Predictor, engineering: Engineering | None, examples: Table, players: Players
) -> tuple[Structure | None, str | None]:
    """Read a model's structure, or None where it has none that is exact in this output space.

    Parameters
    ----------
    engineering : where the model is cut, if it is a pipeline.
    examples : rows that it takes.

    Returns
    -------
    The structure; without one, the kind that the type promises and the model's answers do not keep,
    or `LONG_PATHS` or `SHARED_COLUMNS`.
    """
    refused: str | None = None
    if not isinstance(predictor.model, EstimatorModel):
        return None, refused
    for estimator, encoding, owners in readings(predictor, engineering, examples, players):
        for read in (_trees, _additive, _machine):
            found = read(predictor, estimator, encoding, owners, players.n_players)
            if found is not None and found.readable and _answers_like(found, examples):
                return found, None
            if found is not None:
                refused = found.kind if found.readable else LONG_PATHS
    if refused is None and _sums_trees(predictor):
        refused = SHARED_COLUMNS
    return None, refused


def _sums_trees(predictor: Predictor) -> bool:
    estimator = last_step(getattr(predictor.model, "estimator", None))
    return forest_in(estimator, predictor.space) is not None


def _trees(
    predictor: Predictor,
    estimator: Any,
    encoding: Encoding | None,
    owners: NDArray[np.int64],
    n_players: int,
) -> Structure | None:
    forest = None if isinstance(estimator, Additive) else forest_in(estimator, predictor.space)
    if forest is None:
        return None

    def build(
        columns: NDArray[np.float64], weights: NDArray[np.float64], tables_bytes: int | None
    ) -> Game | None:
        return tree_game(forest, columns, weights, owners, n_players, tables_bytes)

    paths, single = Paths(forest, owners), adds_in_single(estimator)
    free = fits(paths, cap_of(forest))
    return Structure("tree", free, predictor, encoding, build, single, paths)


def _additive(
    predictor: Predictor,
    estimator: Any,
    encoding: Encoding | None,
    owners: NDArray[np.int64],
    n_players: int,
) -> Structure | None:
    read = estimator
    if not isinstance(estimator, Additive):
        read = additive_of(estimator, predictor.space)
    if read is None:
        return None

    def linear(columns: NDArray[np.float64], weights: NDArray[np.float64], _: int | None) -> Game:
        numbers = read.coefficients, read.intercepts, columns, weights
        return linear_game(*numbers, owners, n_players)

    def link(columns: NDArray[np.float64], weights: NDArray[np.float64], _: int | None) -> Game:
        numbers = read.coefficients[0], float(read.intercepts[0]), read.link, columns, weights
        return link_game(*numbers, owners, n_players)

    if read.link == "identity":
        return Structure("linear", True, predictor, encoding, linear)
    return Structure("link", False, predictor, encoding, link)


def _machine(
    predictor: Predictor,
    estimator: Any,
    encoding: Encoding | None,
    owners: NDArray[np.int64],
    n_players: int,
) -> Structure | None:
    machine = None if isinstance(estimator, Additive) else machine_of(estimator, predictor.space)
    if machine is None or not len(machine.supports):  # without supports it is a constant
        return None

    def build(columns: NDArray[np.float64], weights: NDArray[np.float64], _: int | None) -> Game:
        return rbf_game(machine, columns, weights, owners, n_players)

    return Structure("rbf", False, predictor, encoding, build)


def _columns(predictor: Predictor, encoding: Encoding | None, rows: Table) -> NDArray[np.float64]:
    if encoding is not None:
        return encoding.columns(rows.codes)
    nothing: Any = None
    return Exact(nothing, None, "").columns(rows, predictor)


def _answers_like(structure: Structure, examples: Table) -> bool:
    """Whether the game's own outputs are the model's: on examples, mixtures, and the domain."""
    predictor = structure.predictor
    spread = np.linspace(0, examples.n_rows - 1, min(CHECKED, examples.n_rows)).astype(np.intp)
    some = examples.take(spread)
    mixed = mixed_rows(examples, CHECKED, 0)
    rows = some.with_codes(np.concatenate([some.codes, mixed.codes]))
    one = Background(examples.take(slice(0, 1)), np.ones(1), "all rows", 1)
    exact = structure.capped(0).against(one)  # outputs need no tables
    if exact is None:
        return False
    try:
        told = predictor.outputs(rows)
    except ModelError:  # a model that does not take mixtures is not known on them
        return False
    if not structure.agreement(exact, rows, told).explained:
        return False
    domain = finite_answers(predictor, covering_rows(predictor.schema, examples))
    return structure.agreement(exact, *domain).explained
