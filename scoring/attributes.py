"""From a full explainer to the attributes of a scoring explainer; needed at distillation only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scoring.distil import distil
from scoring.distil_exact import no_more_than_needed, report_exact
from scoring.engineered import EngineeredKernel
from scoring.errors import ParameterError
from scoring.games.twin import TwinGame
from scoring.predictor import OutputSpace
from scoring.reasons import ReasonCodes, reason_codes_of
from scoring.source import Source, source_of
from scoring.spaces import Space, asked_spaces
from scoring.table import Table

__all__ = ["distilled", "further_spaces", "over_columns", "reasons"]


def further_spaces(
    explainer: Any, first: Source, asked: Sequence[OutputSpace], rows: Table | None, **knobs: Any
) -> tuple[Space, ...]:
    """Distil the same full explainer in the spaces that are asked for besides its own.

    Parameters
    ----------
    rows, knobs : as in `distilled`.

    Raises
    ------
    ParameterError
    """
    spaces = asked_spaces(first.predictor, asked)
    if spaces and not hasattr(explainer, "in_space"):
        rule = "must be left out for this explainer: only a TabularExplainer has several"
        raise ParameterError("output_spaces", rule)
    found = []
    for space in spaces:
        source = source_of(explainer.in_space(space))
        own = distilled(source, rows, **knobs)
        if "exact" in own and source.view.structure and source.view.structure.free:
            own["background"] = first.view.carried  # no value needs it, so one is enough
        found.append(Space(predictor=source.predictor, **own))
    return tuple(found)


def distilled(
    source: Source, rows: Table | None, *, method: str, interactions: bool, **knobs: Any
) -> dict[str, Any]:
    """The attributes of a scoring explainer in one output space.

    Parameters
    ----------
    rows : held-out rows to measure on.
    method, interactions : as a scoring explainer takes them.
    knobs : what `scoring.distil.distil` takes.
    """
    view = source.view
    exact = view.served if method == "auto" and knobs["n_coalitions"] is None else None
    if exact is None:
        return _sampled(view, rows, knobs)
    return _exact(view, exact, rows, knobs, interactions=interactions)


def _exact(
    view: Any, served: Any, validation: Table | None, knobs: dict[str, Any], *, interactions: bool
) -> dict[str, Any]:
    """The attributes of an explainer that needs no coalitions."""
    seed, tolerance = knobs["random_state"], knobs["tolerance"]
    served, error = no_more_than_needed(view, served, validation, seed, tolerance)
    return {
        "exact": served.exact if interactions else served.exact.light(),
        "background": view.carried,
        "base_values": served.base_values,
        "method": served.method,
        "report": report_exact(view, served, validation, seed, tolerance, error),
    }


def _sampled(view: Any, validation: Table | None, knobs: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an explainer that asks about coalitions."""
    distilled = distil(view, validation, **knobs)
    kernel = distilled.kernel
    game = kernel.game
    return {
        "background": view.summary,
        "design": kernel.design,
        "operator": kernel.whole.operator,
        "sub_designs": kernel.whole.sub_designs,
        "prefixes": kernel.prefixes,
        "base_values": kernel.base_values,
        "report": distilled.report,
        "method": kernel.method,
        "twin": game.twin if isinstance(game, TwinGame) else None,
    }


def reasons(given: Any, source: Any) -> ReasonCodes | None:
    """Reason codes, checked against what will be explained."""
    names, outputs = source.view.players.names, source.predictor.output_names
    if source.subset is not None:  # what is not reported is no reason either
        names = tuple(names[j] for j in source.subset)
    return None if given is None else reason_codes_of(given, names, outputs)


def over_columns(
    source: Any, validation: Table | None, knobs: dict[str, Any]
) -> tuple[EngineeredKernel, dict[str, Any]]:
    """Distil a pipeline's columns as well; the kernel and its report."""
    if source.engineered is None:
        rule = "must be false for this explainer: only a TabularExplainer of a pipeline has columns"
        raise ParameterError("engineered", rule)
    view, cut = source.engineered(), source.view.engineering
    rows = None if validation is None else cut.table(validation)
    asked = knobs["n_coalitions"] or view.n_coalitions
    if asked is not None:  # of features, which are fewer
        knobs = knobs | {"n_coalitions": max(asked, 2 * view.players.n_players)}
    made = distil(view, rows, **knobs)
    feature_map = None if source.summed is None else source.summed.feature_map
    kernel, whole = made.kernel, made.kernel.whole
    fixed = kernel.design, whole.operator, kernel.base_values, kernel.method, whole.sub_designs
    return EngineeredKernel(cut.columns, feature_map, view.summary, *fixed), made.report
