"""Batched KernelSHAP: one design and one operator for every row."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring import coalitions, kriging
from scoring.coalitions import Design
from scoring.errors import ParameterError
from scoring.estimate import Estimate
from scoring.games.game import Game, Worth, blocks
from scoring.players import Players
from scoring.solve import definition_operator
from scoring.stages import Stage, prefix_sizes, solved, with_errors
from scoring.table import Table

__all__ = ["BLOCK_BYTES", "Kernel", "base_values_of", "certified", "check_width", "fit"]

BLOCK_BYTES = 256 * 2**20
"""What an explanation may allocate at a time, whatever the request, beyond its own answer."""

WIDEST = 10_000
"""Players that coalitions are asked about; the design has their square, and solving it their cube.
"""

Solution = tuple[NDArray[np.float64], NDArray[np.float64] | None]
"""Values and standard errors (n_rows, n_players, n_outputs)."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """A value function, the coalitions it is asked about, and the way to Shapley values.

    Parameters
    ----------
    base_values : float64 (n_outputs,), the value of the empty coalition.
    whole : all of the design, solved.
    players : who the coalitions are made of; by default every feature by itself.
    prefixes : first parts of the design, solved, the smallest first.
    smoothness : what the design was solved with, where it was kriging.
    """

    game: Game
    design: Design
    base_values: NDArray[np.float64]
    whole: Stage
    players: Players | None = None
    prefixes: tuple[Stage, ...] = ()
    smoothness: kriging.Smoothness | None = None

    @property
    def method(self) -> str:
        """`exact enumeration`, `kernel kriging` or `kernel regression`."""
        return self.whole.method

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """The features (n_coalitions, n_features) in each coalition."""
        masks = self.design.masks
        return masks if self.players is None else self.players.features(masks)

    @cached_property
    def _worth(self) -> Worth:
        """What coalitions of the design are worth; what depends on no row is made once."""
        prepared = getattr(self.game, "prepared", None)
        if prepared is not None:
            worth: Worth = prepared(self.masks)
            return worth
        return lambda rows, some: self.game.values(rows, self.masks[some])

    def over(self, game: Game) -> Kernel:
        """Return the same coalitions and operator over another game."""
        return replace(self, game=game, base_values=base_values_of(game))

    def values(self, rows: Table, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Explain rows, given what the model says of them: outputs (n_rows, n_outputs).

        Returns
        -------
        float64 (n_rows, n_players, n_outputs).
        """
        return self.estimate(rows, outputs, errors=False).values

    def estimate(
        self,
        rows: Table,
        outputs: NDArray[np.float64],
        until: float = math.inf,
        *,
        errors: bool = True,
    ) -> Estimate:
        """Explain rows and say how sure that is, given what the model says of them.

        Parameters
        ----------
        outputs : float64 (n_rows, n_outputs).
        until : the time, as `time.perf_counter` counts it, at which to stop asking about
            coalitions. The shortest prefix is always finished; all rows get the same one.
        errors : whether standard errors are wanted.
        """
        # v is held three times: as the game answers it, with both ends in the product's order,
        # and a sub-design's part of that.
        per_block = max(1, self.game.block_bytes // 4 // (24 * self._column_bytes()))
        some = list(blocks(rows.n_rows, per_block)) or [slice(0, 0)]
        stages = (*self.prefixes, self.whole) if until < math.inf else (self.whole,)
        found: list[list[Solution]] = []
        for left, block in zip(range(len(some), 0, -1), some, strict=True):
            now = time.perf_counter()
            share = now + (until - now) / left
            taken = rows.take(block), outputs[block]
            found.append(list(self._finished(*taken, stages, share, errors=errors)))
            stages = stages[: len(found[-1])]
        last = len(stages) - 1
        values = np.concatenate([each[last][0] for each in found])
        certain = [each[last][1] for each in found]
        told = [each for each in certain if each is not None]
        return Estimate(
            values,
            np.concatenate(told) if told else None,
            stages[last].degrees_of_freedom,
            stages[last].method,
            stages[last].n_coalitions,
        )

    def by_stage(self, rows: Table, outputs: NDArray[np.float64]) -> list[Solution]:
        """Explain a few rows from each prefix of the design, and from the whole."""
        stages = (*self.prefixes, self.whole)
        return list(self._finished(rows, outputs, stages, math.inf, errors=True))

    def _column_bytes(self) -> int:
        return (self.whole.n_coalitions + 2) * len(self.base_values)

    def _finished(
        self,
        rows: Table,
        outputs: NDArray[np.float64],
        stages: tuple[Stage, ...],
        until: float,
        *,
        errors: bool,
    ) -> Iterator[Solution]:
        """Values and standard errors of each stage that the time is enough for."""
        n_columns = stages[-1].n_coalitions + 2
        v = np.empty((n_columns, rows.n_rows, len(self.base_values)))
        v[0] = self.base_values
        start, asked = time.perf_counter(), 0
        for stage in stages:
            now, n = time.perf_counter(), stage.n_coalitions
            # The next coalitions take as long, each, as those before did.
            if asked and now + (now - start) * (n - asked) / asked > until:
                return
            v[asked + 1 : n + 1] = self._worth(rows, slice(asked, n)).transpose(1, 0, 2)
            asked = n
            v[n + 1] = outputs  # the next coalitions come in its place
            yield self._solution(stage, v[: n + 2], errors=errors)

    def _solution(self, stage: Stage, v: NDArray[np.float64], *, errors: bool) -> Solution:
        """From v (n_coalitions + 2, n_rows, n_outputs) to values and standard errors."""
        _, n_rows, n_outputs = v.shape
        flat = v.reshape(len(v), -1)

        def by_row(found: NDArray[np.float64]) -> NDArray[np.float64]:
            return found.reshape(len(found), n_rows, n_outputs).transpose(1, 0, 2)

        with np.errstate(invalid="ignore"):  # an infinite answer makes its row's values NaN
            certain = stage.standard_errors(flat) if errors else None
            values = by_row(stage.operator @ flat)
        return values, None if certain is None else by_row(certain)


def check_width(n_players: int) -> None:
    """Refuse more players than coalitions of them fit into memory.

    Raises
    ------
    ParameterError
    """
    if n_players > WIDEST:
        rule = f"must leave at most {WIDEST:,} players where no exact method fits the model, "
        fix = (
            "Put features into groups, explain a linear model's margin, or use MimicExplainer, "
            "which explains a surrogate exactly."
        )
        raise ParameterError("groups", f"{rule}not {n_players:,}", fix)


def base_values_of(game: Game) -> NDArray[np.float64]:
    """What the model says of the background, (n_outputs,)."""
    nobody = np.zeros((1, game.predictor.schema.n_features), bool)
    return np.asarray(game.values(game.background.table.take(slice(0, 1)), nobody)[0, 0])


def fit(
    game: Game,
    examples: Table,
    n_coalitions: int | None,
    seed: int,
    players: Players | None = None,
) -> Kernel:
    """Fix the design and its operator.

    Up to `coalitions.ENUMERATED_FEATURES` players, or where as many coalitions are asked for as
    there are, every coalition is taken and the operator is the definition. Otherwise the operator
    is kriging, its smoothness fitted to how the model behaves on the examples; with more than
    `kriging.LARGEST` coalitions it is weighted least squares.

    Parameters
    ----------
    examples : a few rows like those that will be explained.
    n_coalitions : None for the default.
    seed : of the design.
    players : by default every feature by itself.
    """
    players = players or Players.of(game.predictor.schema.names)
    n_players = players.n_players
    base_values = base_values_of(game)
    if n_players <= coalitions.ENUMERATED_FEATURES and n_coalitions is None:
        design = coalitions.all_coalitions(n_players)
    else:
        asked = coalitions.default_coalitions(n_players) if n_coalitions is None else n_coalitions
        design = coalitions.sample(n_players, asked, seed)
    smoothness = None
    if design.exact:
        whole = Stage(definition_operator(design.masks), "exact enumeration")
    else:
        if design.n_coalitions <= kriging.LARGEST:
            smoothness = _smoothness(game, examples, design.masks, base_values, players, seed)
        whole = solved(design.masks, smoothness)
    return Kernel(game, design, base_values, whole, players, smoothness=smoothness)


def certified(fitted: Kernel, examples: Table, *, prefixes: bool) -> Kernel:
    """Return the same kernel with standard errors.

    Parameters
    ----------
    examples : rows that the smoothness of prefixes is fitted to, where the whole needs none.
    prefixes : whether parts of the design may be answered from.
    """
    masks, players = fitted.design.masks, fitted.players
    sizes = prefix_sizes(*masks.shape) if prefixes else []
    smoothness = fitted.smoothness
    if sizes and smoothness is None:
        players = players or Players.of(fitted.game.predictor.schema.names)
        fixed = fitted.base_values, players, fitted.design.seed
        smoothness = _smoothness(fitted.game, examples, masks, *fixed)
    parts = [with_errors(solved(masks[:n], smoothness), masks[:n], smoothness) for n in sizes]
    whole = with_errors(fitted.whole, masks, fitted.smoothness)
    return replace(fitted, whole=whole, prefixes=tuple(parts))


def _smoothness(
    game: Game,
    examples: Table,
    masks: NDArray[np.bool_],
    base_values: NDArray[np.float64],
    players: Players,
    seed: int,
) -> kriging.Smoothness:
    """Fit to what some of the coalitions are worth for the examples."""
    some = np.random.default_rng(seed).permutation(len(masks))[: kriging.FITTED]
    with np.errstate(invalid="ignore"):  # games without a finite answer are left out
        v = game.values(examples, players.features(masks[some])) - base_values
    return kriging.fit_smoothness(masks[some], v.transpose(0, 2, 1).reshape(-1, len(some)))
