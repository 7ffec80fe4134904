"""A scoring explainer against more than one background: what each named one has of its own.

"Why this row and not the approved cohort" is the same game against other rows. Coalitions and their
operator are shared; an exact game is made against each background.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from scoring import spaces
from scoring.forms.refused import Unsound
from scoring.named_background import NamedBackground
from scoring.texts import NAME

__all__ = ["MOST", "against", "check", "names", "states"]

MOST = 16
"""Named backgrounds of one explainer; each costs a distillation and its share of the artifact."""


def names(state: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of an explainer's further backgrounds, in the order they were given in."""
    return tuple(named.name for named in state.get("named_backgrounds", ()))


def against(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The attributes of an explainer against one of its named backgrounds alone, in every space.

    Engineered columns and the reference of drift are the first background's.
    """
    others = tuple(
        replace(other, **_own(other.named_backgrounds, name), named_backgrounds=())
        for other in state.get("others", ())
    )
    left = {"baseline": name, "named_backgrounds": (), "engineered": None, "reference": None}
    return {**state, **_own(state["named_backgrounds"], name), "others": others, **left}


def states(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The attributes of an explainer in each of its spaces, against each of its backgrounds."""
    found = spaces.states(state)
    for name in names(state):
        found += spaces.states(against(state, name))
    return found


def check(state: Mapping[str, Any]) -> None:
    """Check that every output space has the same named backgrounds, and that they can be asked for.

    Raises
    ------
    Unsound
    """
    known = names(state)
    if len(set(known)) < len(known) or len(known) > MOST:
        raise Unsound("its baselines share a name, or are too many")
    own = state.get("baseline")
    asked = known if own is None else (*known, own)
    if not all(NAME.fullmatch(name) for name in asked):
        raise Unsound("its baselines have names that no request can use")
    for other in state.get("others", ()):
        if tuple(named.name for named in other.named_backgrounds) != known:
            raise Unsound("its output spaces have other baselines")


def _own(found: tuple[NamedBackground, ...], name: str) -> dict[str, Any]:
    named = next(each for each in found if each.name == name)
    return {f.name: getattr(named, f.name) for f in fields(named) if f.name != "name"}
