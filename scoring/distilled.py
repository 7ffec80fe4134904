"""What a scoring explainer is once it is distilled, and the others that it holds."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self, get_type_hints

import numpy as np
from numpy.typing import NDArray

from scoring import baselines
from scoring.background import Background
from scoring.coalitions import Design
from scoring.engineered import EngineeredKernel
from scoring.errors import ParameterError
from scoring.exact import Exact
from scoring.forms.exact_model import ExactModel
from scoring.games.choose import game_of
from scoring.games.game import Game
from scoring.games.twin import Twin
from scoring.kernel import Kernel
from scoring.named_background import NamedBackground
from scoring.players import Players
from scoring.predictor import OutputSpace, Predictor
from scoring.reasons import ReasonCodes
from scoring.reference import Reference
from scoring.spaces import Space, in_space
from scoring.stages import Stage
from scoring.sub_designs import SubDesigns

__all__ = ["Distilled"]


class Distilled:
    """The attributes that an artifact holds, in one output space and against one background.

    Attributes
    ----------
    predictor, background : what is explained, and against what.
    base_values : float64 (n_outputs,).
    sample : float64 (n_features,), a made-up row that fits the schema.
    report : what distillation measured.
    exact : the model's structure with its background, where that makes exact values.
    design, operator : else the coalitions that are asked about, and the matrix float64
        (n_players, n_coalitions + 2) from what they are worth to values.
    sub_designs : what the standard errors come from, where the values are sampled.
    prefixes : shorter designs within the design, for when there is little time.
    twin : the numbers of a kernel machine or of a network, where the model is one.
    players : who gets the values, where features are grouped.
    subset : the features that are reported, where not all are.
    surrogate : what is explained instead of the model, where the explainer is a mimic.
    engineered : the kernel over a pipeline's columns, where asked for.
    others : what further output spaces have of their own, where asked for.
    named_backgrounds : what `baselines` have of their own, where there are some.
    baseline : the name of the background, where it is not the first.
    reference : how attributions were distributed at distillation; None where that is not known, as
        in older artifacts, in further output spaces and against named backgrounds.
    """

    predictor: Predictor
    background: Background
    base_values: NDArray[np.float64]
    sample: NDArray[np.float64]
    report: dict[str, Any]
    method: str
    name: str
    version: str
    block_bytes: int
    design: Design | None = None
    operator: NDArray[np.float64] | None = None
    sub_designs: SubDesigns | None = None
    prefixes: tuple[Stage, ...] = ()
    exact: Exact | None = None
    twin: Twin | None = None
    players: Players | None = None
    subset: tuple[int, ...] | None = None
    surrogate: Predictor | None = None
    engineered: EngineeredKernel | None = None
    named_backgrounds: tuple[NamedBackground, ...] = ()
    others: tuple[Space, ...] = ()
    reason_codes: ReasonCodes | None = None
    baseline: str | None = None
    reference: Reference | None = None

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Make one from its attributes, as an artifact holds them; nothing is computed."""
        explainer = cls.__new__(cls)
        explainer.__dict__.update(state)
        return explainer

    @property
    def explained(self) -> Predictor:
        """What the values are of: the model, or its surrogate."""
        return self.surrogate or self.predictor

    @cached_property
    def own_model(self) -> ExactModel | None:
        """The model, where it is served as the exact game that explains it.

        Against another background the game is another, and says the same of rows.
        """
        model = self.predictor.model
        if not isinstance(model, ExactModel) or self.exact is None or self.surrogate is not None:
            return None
        if model.exact is self.exact:
            return model
        same = self.baseline is not None and model.spaces[0] == self.predictor.space
        return ExactModel(self.exact, model.spaces, model.labels) if same else None

    @cached_property
    def game(self) -> Game:
        """The value function, made when first needed; an artifact does not hold it."""
        return game_of(self.explained, self.background, self.block_bytes, self.twin)

    @cached_property
    def kernel(self) -> Kernel:
        """Design, operator and value function together."""
        assert self.design is not None  # noqa: S101 an artifact has one of both
        assert self.operator is not None  # noqa: S101 an artifact has one of both
        method = "exact enumeration" if self.design.exact else self.method
        whole = Stage(self.operator, method, self.sub_designs)
        fixed = self.game, self.design, self.base_values, whole, self.players
        return Kernel(*fixed, self.prefixes)

    @property
    def output_spaces(self) -> tuple[OutputSpace, ...]:
        """The output spaces that can be explained, the default first."""
        return (self.predictor.space, *(other.predictor.space for other in self.others))

    @cached_property
    def _in_spaces(self) -> dict[str, Self]:
        """Those of the other spaces."""
        state = {name: getattr(self, name) for name in get_type_hints(type(self))}
        return {o.predictor.space: self.restore(in_space(state, o)) for o in self.others}

    def in_space(self, output_space: str) -> Self:
        """Return the explainer of one of the `output_spaces` alone.

        Raises
        ------
        ParameterError
            It was not distilled for this space.
        """
        if output_space == self.predictor.space:
            return self  # kept nowhere in itself: what is replaced is to be gone at once
        if output_space not in self._in_spaces:
            rule = f"must be one of {', '.join(self.output_spaces)}"
            raise ParameterError("output_space", rule, "Distil with output_spaces for more.")
        return self._in_spaces[output_space]

    def with_block_bytes(self, block_bytes: int) -> Self:
        """Return the same explainer with another bound on what it allocates at a time."""
        state = {name: getattr(self, name) for name in get_type_hints(type(self))}
        return self.restore(state | {"block_bytes": block_bytes})

    @property
    def baselines(self) -> tuple[str, ...]:
        """The names of further backgrounds that rows can be explained against."""
        return baselines.names(vars(self))

    @cached_property
    def _against(self) -> dict[str, Self]:
        state = {name: getattr(self, name) for name in get_type_hints(type(self))}
        return {name: self.restore(baselines.against(state, name)) for name in self.baselines}

    def against(self, baseline: str) -> Self:
        """Return the explainer against one of the `baselines`, in all its output spaces.

        Raises
        ------
        ParameterError
            It was not distilled against this background.
        """
        if baseline not in self._against:
            known = ", ".join(self.baselines)
            rule = f"must be one of {known}" if known else "must be left out: there are none here"
            raise ParameterError("baseline", rule, "Distil with baselines for more.")
        return self._against[baseline]

    @property
    def player_names(self) -> tuple[str, ...]:
        """The features, or the groups that they are in, in order."""
        return self.predictor.schema.names if self.players is None else self.players.names

    @property
    def features(self) -> tuple[str, ...]:
        """The names of what gets a value of its own in answers."""
        names = self.player_names
        return names if self.subset is None else tuple(names[j] for j in self.subset)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the model's order; () for a regression."""
        return self.predictor.classes

    def method_of(self, method: str) -> str:
        """A method, and of what it is."""
        return method if self.surrogate is None else f"{method} of a surrogate"

    @property
    def explains_interactions(self) -> bool:
        """Whether there are exact interaction values."""
        return self.exact is not None and self.exact.has_interactions
