"""An exact game's arrays, checked after reading and before use: see `scoring.verify`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.encoding import Encoding
from scoring.exact import Exact
from scoring.forms.refused import Unsound
from scoring.games.linear import LinearGame
from scoring.games.link import LinkGame
from scoring.games.rbf_exact import RbfExactGame
from scoring.predictor import Predictor
from scoring.schema import FeatureSchema
from scoring.trees.forest import Forest
from scoring.trees.game import TreeGame
from scoring.trees.paths import MOST_PLAYERS

__all__ = ["BASE_VALUES", "check", "check_answers", "check_encoding", "check_forest", "expect"]

BASE_VALUES = 1e-4
"""How far the model's mean over the background may be from the base values, as a share of its
spread there: ten times what a form may differ, because another processor rounds differently."""

ADDS_UP = 1e-9
"""How far sums of a table's line may differ, as a share of the largest leaf."""

ADDED_UP = 4
"""Rows on which values are added up."""

SERIES = 10
"""How many times the measured error of a series any value may be off."""

AGREES = 1e-4
"""How far the game's outputs may be from the model's, as a share of their scale: ten times what a
form may differ."""


def expect(array: NDArray[Any], shape: tuple[int, ...], what: str) -> None:
    """Refuse an array of another shape, or with numbers that are not finite.

    Raises
    ------
    Unsound
    """
    if array.shape != shape:
        raise Unsound(f"{what} has shape {array.shape} instead of {shape}")
    if not np.isfinite(array).all():
        raise Unsound(f"{what} holds numbers that are not finite")


def check(state: Mapping[str, Any], n_players: int, n_outputs: int) -> None:
    """Check an explainer's exact game.

    Raises
    ------
    Unsound
        With what does not fit.
    """
    exact, schema = state["exact"], state["predictor"].schema
    if state.get("design") is not None or state.get("operator") is not None:
        raise Unsound("it has coalitions and an exact game")
    game = exact.game
    expect(state["base_values"], (n_outputs,), "base_values")
    expect(game.base_values, (n_outputs,), "the game's base values")
    if (game.base_values != state["base_values"]).any() or game.n_players != n_players:
        raise Unsound("the exact game is about other players or outputs")
    if len(game.owners) != game.n_columns or not _within(game.owners, n_players):
        raise Unsound("the exact game's columns belong to nobody")
    if exact.encoding is not None:
        check_encoding(exact.encoding, schema, game.n_columns)
    if isinstance(game, LinearGame):
        expect(game.coefficients, (n_outputs, game.n_columns), "the coefficients")
        expect(game.intercepts, (n_outputs,), "the intercepts")
        expect(game.means, (game.n_columns,), "the means")
    elif isinstance(game, LinkGame):
        _check_link(game, n_outputs)
    elif isinstance(game, RbfExactGame):
        _check_machine(game, n_outputs)
    else:
        _check_trees(game, n_outputs)


def check_answers(exact: Exact, predictor: Predictor, background: Background) -> None:
    """Check that the game is the model's and adds up, on the rows of a background.

    Raises
    ------
    Unsound
    """
    rows = background.table
    told = predictor.outputs(rows)
    try:
        columns = exact.columns(rows, predictor)
        answers = exact.game.outputs(columns)
        values = exact.game.values(columns[:ADDED_UP], 2**20)
    except Exception as error:  # arrays that were tampered with may raise anything
        raise Unsound(f"the exact game does not take the background: {error}") from error
    if isinstance(exact.game, TreeGame) and (exact.game.forest.answers(columns) != answers).any():
        raise Unsound("the tables are not of the trees")
    scale = np.abs(told).max(initial=1e-300)
    if answers.shape != told.shape or not np.abs(answers - told).max() <= AGREES * scale:
        raise Unsound("the exact game is not the model's")
    added = exact.base_values + values.sum(axis=1)
    # Of a series that was cut short, every value may be off by some of what was measured.
    allowed = AGREES * scale + SERIES * exact.error * values.shape[1]
    if not np.abs(added - answers[:ADDED_UP]).max() <= allowed:
        raise Unsound("the exact game does not add up")
    if exact.background == str(background):
        mean = background.weights @ answers
        if not np.abs(mean - exact.base_values).max() <= AGREES * scale:
            raise Unsound("the exact game's mean over the background is not the base values")


def _within(indices: NDArray[Any], end: int, start: int = 0) -> bool:
    """Whether all indices are at least `start` and below `end`."""
    return not indices.size or bool(indices.min() >= start and indices.max() < end)


def check_encoding(encoding: Encoding, schema: FeatureSchema, n_columns: int) -> None:
    """Check that an encoding makes so many columns of the schema's features.

    Raises
    ------
    Unsound
    """
    n_lists, longest = encoding.lists.shape if encoding.lists.ndim == 2 else (-1, -1)
    per_column = (
        encoding.sources, encoding.list_of, encoding.centers, encoding.scales,
        encoding.multiplies, encoding.gaps,
    )  # fmt: skip
    known = [len(feature.categories) for feature in schema.features]
    if any(array.shape != (n_columns,) for array in per_column) or n_lists < 0:
        raise Unsound("the encoding is of other columns")
    if encoding.n_categories.tolist() != known or longest != max(known) + 2:
        raise Unsound("the encoding is of other categories")
    if not _within(encoding.sources, schema.n_features):
        raise Unsound("the encoding is of other features")
    listed = encoding.list_of >= 0
    categories = np.array([feature.is_category for feature in schema.features])
    if (listed != categories[encoding.sources]).any() or not _within(encoding.list_of, n_lists, -1):
        raise Unsound("the encoding's lists are not the categories'")
    expect(encoding.centers, (n_columns,), "the encoding's centers")
    expect(encoding.scales, (n_columns,), "the encoding's scales")
    if ((encoding.scales == 0) & ~encoding.multiplies).any():
        raise Unsound("the encoding divides by zero")


def _check_link(game: LinkGame, n_outputs: int) -> None:
    expect(game.coefficients, (game.n_columns,), "the coefficients")
    _check_weights(game.weights)
    expect(game.contributions, (len(game.weights), game.n_players), "the contributions")
    if not np.isfinite(game.intercept) or n_outputs != (2 if game.link == "logit" else 1):
        raise Unsound("the link's outputs are others")
    if not 0 < game.precision < 1 or not 0 <= game.error <= game.precision:
        raise Unsound("the link's precision is none")


def _check_machine(game: RbfExactGame, n_outputs: int) -> None:
    machine = game.machine
    n_supports = len(machine.supports)
    expect(machine.supports, (n_supports, game.n_columns), "the supports")
    expect(machine.coefficients, (n_supports, n_outputs), "the coefficients")
    expect(machine.intercepts, (n_outputs,), "the intercepts")
    expect(machine.gammas, (game.n_columns,), "the gammas")
    _check_weights(game.weights)
    expect(game.background, (len(game.weights), game.n_columns), "the game's background")
    if not n_supports or (machine.gammas < 0).any():
        raise Unsound("the machine has no supports, or grows with distance")


def _check_weights(weights: NDArray[np.float64]) -> None:
    expect(weights, (len(weights),), "the game's weights")
    if not len(weights) or (weights < 0).any() or abs(weights.sum() - 1) > 1e-6:
        raise Unsound("the game's weights do not sum to 1")


def _check_trees(game: TreeGame, n_outputs: int) -> None:
    check_forest(game.forest, game.n_columns, n_outputs)
    tables, groups = game.tables, game.layout.groups
    if game.paths.players.shape[1] > MOST_PLAYERS:
        raise Unsound("a path tests too many players")
    if tables.tops.ndim != 1 or not _within(tables.tops, len(game.forest.is_inner)):
        raise Unsound("the tables are not the leaves'")
    if _overlap(game.forest, tables.tops):
        raise Unsound("a leaf is in several tables")
    if (np.diff(game.forest.trees[tables.tops]) < 0).any():
        raise Unsound("the tables are not in order")
    if groups.n_bits.max(initial=0) > MOST_PLAYERS // 2:
        raise Unsound("the tables are of too many tests")
    expect(tables.entries, (game.layout.n_entries,), "the tables' entries")
    _check_lines(game)
    background, weights = game.background, game.weights
    if background.ndim != 2 or background.shape != (len(weights), game.n_columns):
        raise Unsound("the game's background has other columns")
    if len(weights):
        _check_weights(weights)
    elif len(groups.leaves) < (game.paths.n_players > 0).sum():
        raise Unsound("leaves have neither tables nor a background")


def _check_lines(game: TreeGame) -> None:
    """Check that the values of every line add up to the leaf that it ends with, but for one mean.

    So explanations of all rows add up, also of those that the background does not look like.
    """
    layout, forest = game.layout, game.forest
    allowed = ADDS_UP * np.abs(forest.factors).max()
    shares = forest.shares[forest.trees[game.tables.tops]]
    for group in range(len(game.tables.tops)):
        values, ends = layout.table(game.tables.entries, group)
        missing = values.sum(axis=1) - ends[:, : layout.n_factors] * shares[group]
        if not np.ptp(missing, axis=0).max() <= allowed:
            raise Unsound("a table does not add up")


def _overlap(forest: Forest, tops: NDArray[np.int64]) -> bool:
    """Whether one of these nodes is above another, or twice among them."""
    above = np.zeros(len(forest.is_inner), dtype=bool)
    above[tops] = True
    if int(above.sum()) < len(tops):
        return True
    for level in forest.levels[1:]:
        start = level.first_inner + level.first_leaf
        nodes = slice(start, start + len(level.inner) + len(level.leaves))
        inherited = above[forest.parents[nodes]]
        if (inherited & above[nodes]).any():
            return True
        above[nodes] |= inherited
    return False


def check_forest(forest: Forest, n_columns: int, n_outputs: int) -> None:
    """Check that levels end, and every array is as long as there are nodes of its kind.

    Raises
    ------
    Unsound
    """
    start, width = 0, forest.n_trees
    if forest.is_inner.ndim != 1 or width < 1:
        raise Unsound("it has no trees")
    while width:
        here = forest.is_inner[start : start + width]
        if len(here) < width:
            raise Unsound("its trees do not end")
        start, width = start + width, 2 * int(here.sum())
    if start != len(forest.is_inner):
        raise Unsound("it has nodes that belong to no tree")
    n_inner = int(forest.is_inner.sum())
    n_leaves = start - n_inner
    per_node: list[NDArray[Any]]
    per_node = [forest.columns, forest.thresholds, forest.missing_left, forest.set_of]
    per_node += [] if forest.zero_is_missing is None else [forest.zero_is_missing]
    if any(array.shape != (n_inner,) for array in per_node):
        raise Unsound("its trees' tests are not as many as their nodes")
    if forest.values.ndim != 2 or forest.values.shape[0] != n_leaves:
        raise Unsound("its trees' leaves are not as many as they should be")
    expect(forest.values, forest.values.shape, "the leaves")
    expect(forest.base, (n_outputs,), "what the trees start from")
    n_values = forest.values.shape[1]
    if forest.outputs.shape != (n_leaves,) or not n_values:
        raise Unsound("its trees' leaves are not as many as they should be")
    inside = _within(forest.columns, n_columns)
    inside &= _within(forest.outputs, n_outputs - n_values + 1)
    inside &= forest.sets.ndim == 2 and _within(forest.set_of, len(forest.sets), -1)
    if not inside or not forest.sets.shape[1] or np.isnan(forest.thresholds).any():
        raise Unsound("its trees point outside their arrays")
    if not np.isfinite(forest.scale) or forest.scale == 0:
        raise Unsound("its trees have no scale")
    _check_sections(forest, n_outputs)


def _check_sections(forest: Forest, n_outputs: int) -> None:
    sections, scales = forest.sections, forest.section_scales
    if sections is None and scales is None:
        return
    if sections is None or scales is None or forest.values.shape[1] != n_outputs:
        raise Unsound("its trees' sections are none")
    expect(scales, (len(sections), 2), "the scales of its trees' sections")
    if sections.ndim != 1 or not _within(sections, forest.n_trees + 1, 1):
        raise Unsound("its trees' sections are none")
    if int(sections.sum()) != forest.n_trees or (scales[:, 0] == 0).any():
        raise Unsound("its trees' sections are none")
