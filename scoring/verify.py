"""An explainer's attributes, checked after reading and before use.

The digest says that nothing changed on the way. These checks say that what was written can be
used: shapes that fit each other, indices that point to something, numbers that are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring import reasons, reference, verify_exact, verify_stages, verify_twin
from scoring.background import Background
from scoring.coalitions import Design
from scoring.engineered import EngineeredKernel
from scoring.feature import Feature
from scoring.forms.parity import Scale
from scoring.forms.refused import Unsound, first_line
from scoring.players import Players
from scoring.predictor import Predictor
from scoring.schema import FeatureSchema
from scoring.table import Table
from scoring.verify_exact import BASE_VALUES, expect

__all__ = ["check_model", "check_state"]


def check_state(state: Mapping[str, Any]) -> None:
    """Check everything but the model.

    Raises
    ------
    Unsound
        With what does not fit.
    """
    predictor, background = state["predictor"], state["background"]
    _check_schema(predictor.schema)
    _check_table(background.table, predictor.schema)
    _check_background(background)
    n_outputs = len(predictor.output_names)
    players = state.get("players")
    if players is not None:
        _check_players(players, predictor.schema)
    names = predictor.schema.names if players is None else players.names
    if state.get("exact") is not None:
        verify_exact.check(state, len(names), n_outputs)
    else:
        _check_kernel(state, len(names), n_outputs)
    _check_sample(state["sample"], background.table, predictor.schema)
    if state.get("twin") is not None:
        verify_twin.check(state["twin"], predictor)
    if state.get("subset") is not None:
        _check_subset(state["subset"], len(names))
    if state.get("surrogate") is not None:
        _check_surrogate(state["surrogate"], predictor)
    if state.get("engineered") is not None:
        _check_engineered(state["engineered"], predictor)
    if state.get("reason_codes") is not None:
        reported = state.get("subset") or range(len(names))
        told = [names[j] for j in reported]
        reasons.check(state["reason_codes"], told, predictor.output_names)
    if state.get("reference") is not None:
        reported = state.get("subset") or names
        reference.check(state["reference"], len(reported), n_outputs)
    _check_report(state["report"])
    if n_outputs < 1 or state["block_bytes"] < 1:
        raise Unsound("it has no outputs, or no room to work in")


def check_model(
    predictor: Predictor, background: Background, base: NDArray[np.float64] | None
) -> None:
    """Check that the model is the one that the explainer was distilled from.

    Parameters
    ----------
    base : what it must say of the background on average; None where another model is explained.

    Raises
    ------
    Unsound
        It has other spaces, classes or outputs, or another mean over the background.
    """
    model, n_classes = predictor.model, len(predictor.classes)
    if predictor.space not in model.spaces:
        raise Unsound(f"the model has no output space {predictor.space!r}")
    if model.labels and len(model.labels) != n_classes:
        raise Unsound(f"the model has {len(model.labels)} classes and the explainer {n_classes}")
    try:
        outputs, said = predictor.outputs(background.table), model.predict(background.table)
    except Exception as error:  # a model that was tampered with may raise anything
        raise Unsound(f"the model does not take the background: {first_line(error)}") from error
    shape = background.table.n_rows, len(predictor.output_names)
    expect(outputs, shape, "the model's answer")
    if model.labels and said is not None and not set(said.tolist()) <= set(model.labels):
        raise Unsound("the model answers other labels than it is said to have")
    if base is None:
        return
    mean = background.weights @ outputs
    scale = Scale.of(outputs, predictor.space)
    if not scale.error(base[np.newaxis], mean[np.newaxis]) <= BASE_VALUES:
        raise Unsound("the model's mean over the background is not the base values")


def _check_kernel(state: Mapping[str, Any], n_players: int, n_outputs: int) -> None:
    """Design, operator and base values, of features or of columns."""
    if state.get("design") is None or state.get("operator") is None:
        raise Unsound("it has neither coalitions nor an exact game")
    _check_design(state["design"], n_players)
    n_columns = state["design"].n_coalitions + 2
    expect(state["operator"], (n_players, n_columns), "operator")
    verify_stages.check_adds_up(state["operator"])
    expect(state["base_values"], (n_outputs,), "base_values")
    verify_stages.check(state, n_players)


def _check_report(report: Mapping[str, Any]) -> None:
    """Every answer tells what the background costs."""
    told = report.get("background_error")
    if not isinstance(told, dict) or type(told.get("relative_rms", "")) not in (
        float,
        int,
        NoneType,
    ):
        raise Unsound("its report does not tell what the background costs")


def _check_players(players: Players, schema: FeatureSchema) -> None:
    membership = players.membership
    if membership.shape != (len(players.names), schema.n_features):
        raise Unsound("the groups are not about the schema's features")
    if (membership.sum(axis=0) != 1).any() or not membership.any(axis=1).all():
        raise Unsound("the groups overlap, are empty, or leave features out")
    if len(set(players.names)) < len(players.names):
        raise Unsound("the groups share a name")


def _check_subset(subset: tuple[int, ...], n_players: int) -> None:
    if not subset or len(set(subset)) < len(subset):
        raise Unsound("the reported features are none, or repeat")
    if min(subset) < 0 or max(subset) >= n_players:
        raise Unsound("the reported features are not the schema's")


def _check_surrogate(surrogate: Predictor, predictor: Predictor) -> None:
    if surrogate.schema.names != predictor.schema.names:
        raise Unsound("the surrogate has other features than the model")
    if len(surrogate.output_names) != len(predictor.output_names):
        raise Unsound("the surrogate has other outputs than the model")
    _check_schema(surrogate.schema)


def _check_engineered(engineered: EngineeredKernel, predictor: Predictor) -> None:
    columns = engineered.columns
    _check_schema(columns)
    _check_table(engineered.background.table, columns)
    _check_background(engineered.background)
    _check_kernel(vars(engineered), columns.n_features, len(predictor.output_names))
    shares = engineered.feature_map
    if shares is not None:
        expect(shares, (predictor.schema.n_features, columns.n_features), "the feature map")
        if (shares < 0).any() or np.abs(shares.sum(axis=0) - 1).max() > verify_stages.ADDITIVITY:
            raise Unsound("the feature map does not share its columns out")


def _check_schema(schema: FeatureSchema) -> None:
    if not schema.features or len(set(schema.names)) < schema.n_features:
        raise Unsound("its features have no names, or share one")
    for feature in schema.features:
        kinds = {type(category) for category in feature.categories}
        if len(set(feature.categories)) < len(feature.categories) or len(kinds) > 1:
            raise Unsound(f"the categories of {feature.name!r} repeat, or mix text and numbers")
        if kinds == {float} and not np.isfinite(feature.categories).all():
            raise Unsound(f"the categories of {feature.name!r} are not finite")
        if feature.is_category != bool(feature.categories):
            raise Unsound(f"{feature.name!r} has categories, or lacks them, against its kind")
        if not all(type(number) is float for number in feature.allowed):
            raise Unsound(f"the numbers of {feature.name!r} are none")
        ends = [end for end in (feature.minimum, feature.maximum) if end is not None]
        if not np.isfinite(ends).all() or ends != sorted(ends):
            raise Unsound(f"the range of {feature.name!r} is none")


def _check_table(table: Table, schema: FeatureSchema) -> None:
    if table.codes.ndim != 2 or table.codes.shape[1] != schema.n_features or not table.n_rows:
        raise Unsound("the background's rows do not have the schema's features")
    if len(table.categories) != schema.n_features:
        raise Unsound("the background does not have categories for each feature")
    for j, feature in enumerate(schema.features):
        known = table.categories[j]
        if known[: len(feature.categories)] != feature.categories:
            raise Unsound(f"the background's categories of {feature.name!r} are not the schema's")
        _check_column(table.codes[:, j], len(known), feature)


def _check_column(codes: NDArray[np.float64], n_categories: int, feature: Feature) -> None:
    """Numbers are finite, codes point into the categories; NaN is a missing one."""
    present = codes[~np.isnan(codes)]
    if not np.isfinite(present).all():
        raise Unsound(f"values of {feature.name!r} are not finite")
    if feature.is_category and present.size:
        in_range = present.min() >= 0 and present.max() < n_categories
        if not in_range or (present != np.floor(present)).any():
            raise Unsound(f"codes of {feature.name!r} point outside its categories")


def _check_background(background: Background) -> None:
    expect(background.weights, (background.table.n_rows,), "the background's weights")
    if (background.weights < 0).any() or abs(background.weights.sum() - 1) > 1e-6:
        raise Unsound("the background's weights do not sum to 1")


def _check_design(design: Design, n_features: int) -> None:
    if design.masks.shape != (design.n_coalitions, n_features):
        raise Unsound("the coalitions are not about the schema's features")
    expect(design.weights, (design.n_coalitions,), "the coalitions' weights")
    if (design.weights < 0).any():
        raise Unsound("the coalitions' weights are negative")


def _check_sample(sample: NDArray[np.float64], table: Table, schema: FeatureSchema) -> None:
    if sample.shape != (schema.n_features,):
        raise Unsound(f"the sample has shape {sample.shape}")
    _check_table(table.with_codes(sample[np.newaxis]), schema)
    allowed = np.array([feature.allows_missing for feature in schema.features])
    if (np.isnan(sample) & ~allowed).any():
        raise Unsound("the sample lacks a value that the model needs")
