"""From a full explainer to the attributes of a scoring explainer; needed at distillation only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scoring import baselines, reference
from scoring.distillation.distil import distil, distil_against
from scoring.distillation.distil_exact import no_more_than_needed, otherwise, report_exact
from scoring.distillation.source import Source, source_of
from scoring.engineered import EngineeredKernel
from scoring.errors import ParameterError, RowsError
from scoring.explainers.view import ExactFull, View
from scoring.explanation import Scored
from scoring.features import open_texts
from scoring.games.twin import TwinGame
from scoring.kernel import Kernel
from scoring.named_background import NamedBackground
from scoring.predictor import OutputSpace
from scoring.reasons import ReasonCodes, reason_codes_of
from scoring.reference import Reference
from scoring.schema import FeatureSchema
from scoring.spaces import Space, asked_spaces
from scoring.stages import Stage
from scoring.table import Table
from scoring.texts import NAME

__all__ = ["baseline_rows", "distilled", "distribution", "further_spaces", "named_backgrounds",
           "over_columns", "reasons"]  # fmt: skip


def further_spaces(
    explainer: Any,
    first: Source,
    asked: Sequence[OutputSpace],
    rows: Table | None,
    given: Mapping[str, Table],
    named: Sequence[NamedBackground],
    *,
    tables_bytes: int | None = None,
    **knobs: Any,
) -> tuple[Space, ...]:
    """Distil the same full explainer in the spaces that are asked for besides its own.

    Parameters
    ----------
    rows, knobs : as in `distilled`.
    given, named : rows of the named backgrounds, and what the first space has against them.
    tables_bytes : as a scoring explainer takes it.

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
        source = source_of(explainer.in_space(space)).capped(tables_bytes)
        own = distilled(source, rows, **knobs)
        its = named_backgrounds(source.view, given, own, rows, **knobs)
        if "exact" in own and source.view.structure and source.view.structure.free:
            own["background"] = first.view.carried  # no value needs it, so one is enough
            pairs = zip(its, named, strict=True)
            its = tuple(replace(each, background=one.background) for each, one in pairs)
        found.append(Space(predictor=source.predictor, **own, named_backgrounds=its))
    return tuple(found)


def baseline_rows(given: Any, schema: FeatureSchema) -> dict[str, Table]:
    """Check the rows of named backgrounds, as somebody passed them.

    Raises
    ------
    ParameterError
    """
    told: Any = {} if given is None else given
    fix = 'Pass {"approved": rows}.'
    if not isinstance(told, Mapping):
        raise ParameterError("baselines", "must be names with rows", fix)
    if len(told) > baselines.MOST:
        raise ParameterError("baselines", f"must be {baselines.MOST} at the most")
    if not all(isinstance(name, str) and NAME.fullmatch(name) for name in told):
        rule = "must have names of up to 64 letters, digits, dots, dashes and underscores"
        raise ParameterError("baselines", rule, fix)
    tables = {}
    for name, rows in told.items():
        rule = f"must hold rows that the full explainer takes, and {name!r} does not"
        try:
            tables[name] = schema.encode(rows)
        except RowsError as error:
            raise ParameterError("baselines", f"{rule}: {error}") from error
        if not tables[name].n_rows:
            raise ParameterError("baselines", rule, "It has no rows.")
    return tables


def named_backgrounds(
    view: View, given: Mapping[str, Table], first: Mapping[str, Any], rows: Table | None, **way: Any
) -> tuple[NamedBackground, ...]:
    """Distil in one output space against further backgrounds, the way of the first.

    Parameters
    ----------
    given : the rows of each.
    first : the attributes against the first background, as `distilled` makes them.
    rows, way : as in `distilled`.

    Raises
    ------
    ParameterError
        The model has an exact game against the first background only.
    FidelityError
        The shared coalitions miss the tolerance against another background.
    """
    knobs = {name: knob for name, knob in way.items() if name not in {"method", "interactions"}}
    found = []
    for name, table in given.items():
        over = view.over(table)
        if "exact" in first:
            served = over.served
            if served is None:
                rule = f"must have exact values like the first background, and {name!r} has none"
                raise ParameterError("baselines", rule, "Pass method='kernel'.")
            own = _exact(over, served, rows, knobs, interactions=way["interactions"])
        else:
            own = _against(over, name, first, rows, knobs)
        found.append(NamedBackground(name=name, **own))
    return tuple(found)


def _against(
    over: View, name: str, first: Mapping[str, Any], rows: Table | None, knobs: dict[str, Any]
) -> dict[str, Any]:
    """What coalitions and operator of the first background make against another."""
    whole = Stage(first["operator"], first["method"], first["sub_designs"])
    fixed = first["design"], first["base_values"], whole, over.players, first["prefixes"]
    made = distil_against(over, Kernel(over.game(over.summary), *fixed), name, rows, **knobs)
    return {
        "background": over.summary,
        "sub_designs": made.kernel.whole.sub_designs,
        "prefixes": made.kernel.prefixes,
        "base_values": made.kernel.base_values,
        "report": made.report,
        "method": made.kernel.method,
    }


def distribution(
    score: Callable[[Table], Scored],
    view: View,
    rows: Table | None,
    n_rows: int | None,
    seed: int,
) -> Reference | None:
    """How attributions are distributed over held-out rows; over others where those are few.

    Parameters
    ----------
    score : predicts and explains.
    rows : held out.
    n_rows : how many are explained; None for as many as there is time for, 0 for no distribution.
    """
    if n_rows == 0:
        return None
    enough = reference.N_BINS * reference.ROWS_A_BIN
    if rows is not None and rows.n_rows >= min(enough, view.initialization.n_rows):
        return reference.measured(score, rows, "validation", n_rows, seed)
    return reference.measured(score, view.initialization, "initialization", n_rows, seed)


def distilled(
    source: Source, rows: Table | None, *, method: str, interactions: bool, **knobs: Any
) -> dict[str, Any]:
    """The attributes of a scoring explainer in one output space.

    Parameters
    ----------
    rows : held-out rows to measure on.
    method, interactions : as a scoring explainer takes them.
    knobs : what `scoring.distillation.distil.distil` takes.
    """
    attributes = _cheapest(source.view, rows, method, knobs, interactions=interactions)
    texts = open_texts(source.predictor, source.view.initialization)
    attributes["report"]["open_text"] = list(texts)
    return attributes


def _cheapest(
    view: View, rows: Table | None, method: str, knobs: dict[str, Any], *, interactions: bool
) -> dict[str, Any]:
    """Exact values where the model's structure makes them, else coalitions."""
    exact = view.served if method == "auto" and knobs["n_coalitions"] is None else None
    if exact is None:
        return _sampled(view, rows, knobs)
    doubt = otherwise(view, exact, rows, knobs["random_state"])
    if doubt is None:
        return _exact(view, exact, rows, knobs, interactions=interactions)
    sampled = _sampled(view, rows, knobs)
    sampled["report"]["structure"] = doubt
    return sampled


def _exact(
    view: View,
    served: ExactFull,
    validation: Table | None,
    knobs: dict[str, Any],
    *,
    interactions: bool,
) -> dict[str, Any]:
    """The attributes of an explainer that needs no coalitions."""
    seed, tolerance = knobs["random_state"], knobs["tolerance"]
    served, error = no_more_than_needed(view, served, validation, seed, tolerance)
    return {
        "exact": served.exact if interactions else served.exact.light(),
        "background": view.carried,
        "base_values": served.base_values,
        "method": served.method,
        "report": report_exact(
            view, served, validation, seed, tolerance, error, strict=knobs["strict"]
        ),
    }


def _sampled(view: View, validation: Table | None, knobs: dict[str, Any]) -> dict[str, Any]:
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
