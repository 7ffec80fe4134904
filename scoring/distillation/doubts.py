"""Why a model is asked itself although its type promises a structure: a note for the report."""

from __future__ import annotations

from scoring.distillation.structure import LONG_PATHS, SHARED_COLUMNS
from scoring.explainers.view import View
from scoring.games.columns import ColumnsGame
from scoring.games.game import Game
from scoring.games.masked import MaskedGame
from scoring.predictor import last_step
from scoring.trees.read import why_not

__all__ = ["doubts"]

LIBRARIES = {"sklearn", "lightgbm", "xgboost", "catboost"}
"""Whose models' types promise something."""


def doubts(view: View, game: Game) -> str | None:
    """What was read and not believed, or not read at all; None where nothing was to be read.

    Parameters
    ----------
    game : the value function against the view's summary.
    """
    inner = game.inner if isinstance(game, ColumnsGame) else game
    if not isinstance(inner, MaskedGame):
        return None
    read = view.refused or view.known[1]
    if read in {LONG_PATHS, SHARED_COLUMNS}:
        return f"its type reads as tree, but {read}: it is asked itself"
    if read is not None:
        why = "answers otherwise (it may have another link): it is asked itself"
        return f"its type reads as {read}, but the model {why}"
    estimator = last_step(getattr(view.predictor.model, "estimator", None))
    why_no_trees = why_not(estimator, view.predictor.space)
    if why_no_trees is not None:
        return f"{type(estimator).__name__} is asked itself: {why_no_trees}"
    last = type(estimator)
    parent = _library_parent(last)
    if parent is None:
        return None
    return f"{last.__name__} derives from {parent} and may answer otherwise: it is asked itself"


def _library_parent(kind: type) -> str | None:
    """The model of a library that a class of somebody's own derives from."""
    package = kind.__module__.partition(".")[0]
    if package in LIBRARIES:
        return None
    for parent in kind.__mro__[1:]:
        known = parent.__module__.partition(".")[0] in LIBRARIES
        if known and hasattr(parent, "fit") and hasattr(parent, "predict"):
            return parent.__name__
    return None
