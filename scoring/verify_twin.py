"""A model's numbers, checked after reading and before use: see `scoring.verify`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.forms.parity import Scale
from scoring.forms.refused import Unsound
from scoring.games.calibration import Calibration
from scoring.games.expansion import Expansion
from scoring.games.layers import Layers
from scoring.games.tree_scores import TreeScores
from scoring.games.twin import Twin, TwinGame
from scoring.predictor import Predictor
from scoring.trees.leaf_words import fits
from scoring.verify_exact import BASE_VALUES, check_encoding, check_forest, expect

__all__ = ["check", "check_numbers"]


def check(twin: Twin, predictor: Predictor) -> None:
    """Check that the numbers fit each other and the schema.

    Raises
    ------
    Unsound
    """
    numbers, n_outputs = twin.numbers, len(predictor.output_names)
    if isinstance(numbers, TreeScores):
        _check_scores(numbers, twin.encoding.n_columns, n_outputs)
        check_encoding(twin.encoding, predictor.schema, twin.encoding.n_columns)
        return
    if isinstance(numbers, Expansion):
        _check_expansion(numbers)
        n_margins = len(numbers.ends)
    else:
        n_margins = _check_layers(numbers)
    calibration = numbers.calibration
    if calibration is not None:
        _check_calibration(calibration, n_margins)
    calibrated = calibration is not None and predictor.space == "probability"
    two = isinstance(numbers, Layers) and numbers.output == "logistic"
    told = calibration.n_classes if calibration is not None and calibrated else n_margins + two
    if told != n_outputs or (two and n_margins != 1):
        raise Unsound("the numbers answer other outputs")
    if predictor.space not in numbers.spaces:
        raise Unsound("the numbers answer in another space")
    check_encoding(twin.encoding, predictor.schema, numbers.n_columns)


def check_numbers(state: Mapping[str, Any], predictor: Predictor) -> None:
    """Check that what the coalitions are asked of is the model, on the rows of the background.

    Raises
    ------
    Unsound
    """
    twin, background = state.get("twin"), state["background"]
    if twin is None:
        return
    rows = background.table
    game = TwinGame(predictor, background, 2**20, twin)
    everyone = np.ones((1, predictor.schema.n_features), dtype=bool)
    found, told = game.values(rows, everyone)[:, 0], predictor.outputs(rows)
    scale = Scale.of(told, predictor.space)
    if not scale.error(found, told) <= BASE_VALUES:
        raise Unsound("the numbers that explain are not the model's")


def _check_scores(scores: TreeScores, n_columns: int, n_outputs: int) -> None:
    n_margins = 1 if scores.link == "logistic" else n_outputs
    check_forest(scores.forest, n_columns, n_margins)
    if not fits(scores.forest) or scores.n_outputs != n_outputs or n_outputs < 2:
        raise Unsound("the trees answer other classes")


def _check_expansion(expansion: Expansion) -> None:
    n_supports, ends = len(expansion.coefficients), expansion.ends
    if expansion.supports.ndim != 2 or ends.ndim != 1:
        raise Unsound("the expansion's supports are none")
    expect(expansion.coefficients, (n_supports,), "the expansion's coefficients")
    expect(expansion.supports, (n_supports, expansion.n_columns), "the expansion's supports")
    expect(expansion.scales, expansion.supports.shape, "the expansion's scales")
    expect(expansion.intercepts, ends.shape, "the expansion's intercepts")
    growing = len(ends) > 0 and ends[0] > 0 and (np.diff(ends) > 0).all()
    if not growing or ends[-1] != n_supports or (expansion.scales < 0).any():
        raise Unsound("the expansion's numbers are none")


def _check_layers(layers: Layers) -> int:
    """Returns how many numbers the last layer has."""
    if not layers.weights or len(layers.weights) != len(layers.biases):
        raise Unsound("the network's layers are none, or lack biases")
    if layers.weights[0].ndim != 2 or not layers.weights[0].size:
        raise Unsound("the network's layers are none, or lack biases")
    width = layers.n_columns
    for weights, bias in zip(layers.weights, layers.biases, strict=True):
        expect(weights, (width, len(bias) if bias.ndim else 0), "a layer's weights")
        width = len(bias)
        expect(bias, (width,), "a layer's biases")
    if width < 1 or (layers.output == "calibrated") != (layers.calibration is not None):
        raise Unsound("the network has other outputs")
    return width


def _check_calibration(calibration: Calibration, n_margins: int) -> None:
    expect(calibration.slopes, (n_margins,), "the calibration's slopes")
    expect(calibration.offsets, (n_margins,), "the calibration's offsets")
    corners: tuple[NDArray[np.float64], ...] = calibration.thresholds, calibration.heights
    longest = corners[0].shape[-1] if corners[0].ndim else -1
    for array in corners:
        expect(array, (n_margins, longest), "the calibration's corners")
    if (longest > 0) != (calibration.kind == "isotonic"):
        raise Unsound("the calibration has corners, or lacks them, against its kind")
    if (np.diff(corners[0], axis=1) < 0).any():
        raise Unsound("the calibration's corners are out of order")
    n_folds = calibration.n_folds
    if n_folds < 1 or n_margins % n_folds or n_margins // n_folds == 2:
        raise Unsound("the calibration's folds do not share its margins")
    if calibration.kind == "coupled" and n_margins != 1:
        raise Unsound("the calibration couples more than one margin")
