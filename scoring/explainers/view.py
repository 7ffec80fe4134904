"""One way of looking at a model: its players, its background, and how values are computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scoring import kernel
from scoring.background import Background, drawn, whole
from scoring.distillation.probe import mixed_rows
from scoring.distillation.structure import Structure
from scoring.distillation.summary import Summary, summarise
from scoring.distillation.twins import twin_of
from scoring.estimate import Estimate
from scoring.exact import Exact
from scoring.explanation import LocalExplanation
from scoring.features import Engineering
from scoring.games.choose import game_of
from scoring.games.game import Game
from scoring.games.twin import Twin
from scoring.players import Players
from scoring.predictor import Predictor
from scoring.refusals import answered
from scoring.table import Table

__all__ = ["ExactFull", "Full", "View"]

FITTED_ROWS = 8
"""Rows, mixed from the initialization set, that the operator is fitted to."""


LARGEST_EXACT = 1000
"""Rows up to which all are in the background of an exact method whose time grows with them."""


class Full(Protocol):
    """Values that need no coalitions: an exact game, or a library's explainer that was checked."""

    @property
    def method(self) -> str:
        """What to call it."""

    @property
    def base_values(self) -> NDArray[np.float64]:
        """What the model says of the background, (n_outputs,)."""

    @property
    def background(self) -> Background:
        """What stands for an absent feature."""

    def values(self, rows: Table) -> NDArray[np.float64]:
        """Explain rows; float64 (n_rows, n_features, n_outputs)."""


@dataclass(frozen=True, eq=False)
class ExactFull:
    """An exact game against as many rows as are affordable."""

    exact: Exact
    predictor: Predictor
    background: Background
    block_bytes: int

    @property
    def method(self) -> str:
        """What to call it."""
        return self.exact.method

    @property
    def base_values(self) -> NDArray[np.float64]:
        """What the model says of the background, (n_outputs,)."""
        return self.exact.base_values

    def values(self, rows: Table) -> NDArray[np.float64]:
        """Explain rows; float64 (n_rows, n_features, n_outputs)."""
        return self.exact.values(rows, self.predictor, self.block_bytes)


@dataclass(frozen=True, eq=False)
class View:
    """A model and its players; everything that an explanation needs.

    Parameters
    ----------
    initialization : all rows that stand for an absent feature.
    n_background : rows of the summary; None for as few as are like all.
    given : makes the summary, where it is not this view's own to choose.
    library : values without coalitions from a library, where it has any.
    structure : what the model is known to be made of, where that makes exact values.
    refused : the kind of structure that its type promises and its answers do not keep.
    engineering : where the model is cut, if it is a pipeline.
    origin : the view of the same model whose rows are explained, where this one is only against
        other rows.
    """

    predictor: Predictor
    initialization: Table
    players: Players
    n_background: int | None = None
    given: Callable[[], Background] | None = None
    library: Full | None = None
    structure: Structure | None = None
    refused: str | None = None
    engineering: Engineering | None = None
    n_coalitions: int | None = None
    random_state: int = 0
    block_bytes: int = kernel.BLOCK_BYTES
    origin: View | None = None

    def over(self, rows: Table) -> View:
        """Return the same model and players, as it was read here, against other rows."""
        return replace(self, initialization=rows, origin=self, given=None, library=None)

    @property
    def examples(self) -> Table:
        """Rows like those that are explained."""
        return self.initialization if self.origin is None else self.origin.initialization

    def game(self, background: Background, block_bytes: int | None = None) -> Game:
        """Return the value function against a background."""
        room = self.block_bytes if block_bytes is None else block_bytes
        return game_of(self.predictor, background, room, self.twin, self.engineering)

    @cached_property
    def known(self) -> tuple[Twin | None, str | None]:
        """The model's numbers, where it is known by them, or what is not believed of its type."""
        if self.origin is not None:
            return self.origin.known
        return twin_of(self.predictor, self.engineering, self.initialization)

    @property
    def twin(self) -> Twin | None:
        """The model's numbers, where it is known by them."""
        return self.known[0]

    @cached_property
    def choice(self) -> Summary:
        """The summary and how it was chosen, by this output space's own game, when first needed."""
        if self.given is not None:
            return Summary(self.given())
        chosen_by = self.initialization, self.players, self.n_background, self.random_state
        return summarise(self.game, *chosen_by)

    @property
    def summary(self) -> Background:
        """Few weighted rows for all of the initialization set."""
        return self.choice.background

    @cached_property
    def carried(self) -> Background:
        """Rows that travel with an artifact: the summary, or any few where no value needs one."""
        if self.structure is None or not self.structure.free:
            return self.summary
        return drawn(self.initialization, self.n_background, self.random_state)

    @cached_property
    def kernel(self) -> kernel.Kernel:
        """The kernel path over the summary, made when first needed."""
        examples = mixed_rows(self.initialization, FITTED_ROWS, self.random_state)
        game = self.game(self.summary)
        fitted = kernel.fit(game, examples, self.n_coalitions, self.random_state, self.players)
        return kernel.certified(fitted, examples, prefixes=False)

    @cached_property
    def full(self) -> Full | None:
        """Values without coalitions, against as many rows as are affordable."""
        if self.structure is None:
            return self.library
        affordable = self.structure.free or self.initialization.n_rows <= LARGEST_EXACT
        background = whole(self.initialization) if affordable else self.summary
        return self._exact(background)

    @cached_property
    def served(self) -> ExactFull | None:
        """The exact game to serve: against all rows where these cost nothing, else the summary."""
        if self.structure is None:
            return None
        if self.structure.free or self.summary.table.n_rows == self.initialization.n_rows:
            return self.full if isinstance(self.full, ExactFull) else None
        return self._exact(self.summary)

    def _exact(self, background: Background) -> ExactFull | None:
        exact = None if self.structure is None else self.structure.against(background)
        if exact is None:
            return None
        return ExactFull(exact, self.predictor, background, self.block_bytes)

    @property
    def method(self) -> str:
        """How values are computed: the full explainer's word or the kernel path's own."""
        return self.full.method if self.full is not None else self.kernel.method

    @property
    def background(self) -> Background:
        """What stands for an absent feature: every row where that is affordable."""
        return self.summary if self.full is None else self.full.background

    def explain(self, rows: Table) -> LocalExplanation:
        """Explain rows one by one.

        Raises
        ------
        RowsError
            The model does not answer all of them.
        """
        return answered(self.predictor, rows, lambda: self._explained(rows))

    def _explained(self, rows: Table) -> LocalExplanation:
        outputs = self.predictor.outputs(rows)
        if self.full is None:
            estimate, base_values = self.kernel.estimate(rows, outputs), self.kernel.base_values
        else:
            values, base_values = self.full.values(rows), self.full.base_values
            sure = self.full.method.startswith("exact")
            estimate = Estimate.exact(values, self.full.method)
            if not sure:  # a library's own approximation
                estimate = replace(estimate, standard_errors=None)
        return LocalExplanation(
            estimate.values,
            base_values,
            outputs,
            self.players.names,
            self.predictor.output_names,
            self.predictor.space,
            classification=bool(self.predictor.classes),
            method=estimate.method,
            n_coalitions=estimate.n_coalitions,
            background=str(self.background),
            standard_errors=estimate.standard_errors,
            degrees_of_freedom=estimate.degrees_of_freedom,
        )
