"""A scoring explainer in more than one output space: what each space has of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.coalitions import Design
from scoring.errors import ParameterError
from scoring.exact import Exact
from scoring.games.twin import Twin
from scoring.named_background import NamedBackground
from scoring.predictor import OutputSpace, Predictor
from scoring.stages import Stage
from scoring.sub_designs import SubDesigns

__all__ = ["Space", "asked_spaces", "carrier", "in_space", "states"]


@dataclass(frozen=True, eq=False)
class Space:
    """What a scoring explainer has for an output space besides its first.

    Parameters
    ----------
    predictor : the same model as the first space's.
    background, base_values, report, method, design, operator, sub_designs, prefixes, exact,
        twin, named_backgrounds : as a scoring explainer has them.
    """

    predictor: Predictor
    background: Background
    base_values: NDArray[np.float64]
    report: dict[str, Any]
    method: str
    design: Design | None = None
    operator: NDArray[np.float64] | None = None
    sub_designs: SubDesigns | None = None
    prefixes: tuple[Stage, ...] = ()
    exact: Exact | None = None
    twin: Twin | None = None
    named_backgrounds: tuple[NamedBackground, ...] = ()


def in_space(state: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """The attributes of an explainer of one of the further spaces alone.

    Engineered columns and the reference of drift are the first space's. Reason codes stay where
    their output is.
    """
    codes = state.get("reason_codes")
    told = codes is not None and codes.output in space.predictor.output_names
    own = {field.name: getattr(space, field.name) for field in fields(space)}
    left = {"engineered": None, "others": (), "reference": None}
    left |= {"reason_codes": codes if told else None}
    return {**state, **own, **left}


def states(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The attributes of an explainer in each of its spaces, the first as it is."""
    return [state, *(in_space(state, space) for space in state.get("others", ()))]


def carrier(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes in the space whose scores a model must answer in any form.

    Probabilities can be made of margins, and no form leaves them out.
    """
    every = states(state)
    margins = [each for each in every if each["predictor"].space == "margin"]
    return margins[0] if margins else every[0]


def asked_spaces(first: Predictor, asked: Sequence[OutputSpace]) -> tuple[OutputSpace, ...]:
    """Check the output spaces that somebody asks for; those besides the first.

    Raises
    ------
    ParameterError
    """
    if isinstance(asked, str):
        raise ParameterError("output_spaces", "must be a list of spaces, not a text")
    known, has = get_args(OutputSpace), first.model.spaces
    if any(space not in known or space not in has for space in asked):
        told = " and ".join(repr(space) for space in has)
        raise ParameterError("output_spaces", f"must be among those that the model has: {told}")
    return tuple(dict.fromkeys(space for space in asked if space != first.space))
