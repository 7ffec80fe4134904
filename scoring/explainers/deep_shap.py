"""shap's explainer of networks, which propagates differences back through the layers.

DeepLIFT (Shrikumar, Greenside and Kundaje, "Learning important features through propagating
activation differences", 2017) adds up to the answer, but it is the Shapley value only where the
network is additive. How far off it is elsewhere depends on the network: 2 to 40 % on small ones
of ReLU or tanh that answer a number, and several times the values themselves where the last layer
is a softmax, which shap 0.51 propagates through as if every class were alone. That adds up too,
so adding up proves little: the distance from the definition is measured, told in `method`, and
decides. The kernel path asks the same network by the definition.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring import coalitions, kernel
from scoring.background import Background, whole
from scoring.distillation.measure import affordable, relative_rms
from scoring.distillation.probe import mixed_rows
from scoring.games.masked import MaskedGame
from scoring.network import Network
from scoring.predictor import CallableModel, Predictor
from scoring.stages import solved
from scoring.table import Table

__all__ = ["DeepShap", "find"]

MOST_ROWS = 200
"""Rows of the background; each row that is explained goes through the network as often. On a net
of 30 features that is 6 % (6 features) to 12 % from 2,000 rows, at a tenth of the time or less."""

GAP = 1e-3
"""Largest additivity gap, as a share of the outputs: shap itself asks for 0.01 of them."""

NOISE = 1e-5
"""What rounding in float32 makes of nothing, as a share of the outputs."""

FARTHEST = 0.5
"""Largest relative RMS distance from the Shapley values that still passes for them."""

PROBED = 5
"""Rows, mixed from the background, that both are measured on."""

PROBE_BACKGROUND = 20
"""Rows of the background that the distance is measured against: the definition is dear."""


@dataclass(frozen=True, eq=False)
class DeepShap:
    """A shap explainer of a network whose answers were checked.

    Parameters
    ----------
    background : rows that weigh the same.
    base_values : float64 (n_outputs,).
    distance : from the Shapley values, relative RMS on a probe.
    """

    explainer: Any
    network: Network
    background: Background
    base_values: NDArray[np.float64]
    distance: float = 0.0

    @property
    def method(self) -> str:
        """What it is, and how far from what it stands for."""
        return f"deep (DeepLIFT, approximate: {self.distance:.0%} off on a probe)"

    def values(self, rows: Table) -> NDArray[np.float64]:
        """Explain rows; float64 (n_rows, n_features, n_outputs)."""
        with self.network.evaluating(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of hooks that are not there the first time
            given = self.network.tensor(rows.codes)
            values = self.explainer.shap_values(given, check_additivity=False)
        values = np.asarray(values, dtype=np.float64)
        return values[..., np.newaxis] if values.ndim == 2 else values


def find(predictor: Predictor, examples: Table) -> DeepShap | None:
    """Build shap's explainer of a network, or None where its values do not stand for Shapley's.

    They must add up, and be within `FARTHEST` of the definition, on rows that are neither of the
    background nor like one of its rows.

    Parameters
    ----------
    examples : at most `MOST_ROWS` of them, at equal distances, are the background.
    """
    model = predictor.model
    if not isinstance(model, CallableModel) or not isinstance(model.function, Network):
        return None
    if any(predictor.schema.code_tables):  # the network takes numbers, not places in a list
        return None
    probe = mixed_rows(examples, PROBED, 0)
    try:
        found = _built(predictor, model.function, _some(examples, MOST_ROWS))
        outputs, values = predictor.outputs(probe), found.values(probe)
        small = _built(predictor, model.function, _some(examples, PROBE_BACKGROUND))
    except Exception:  # noqa: BLE001 shap refuses layers that it does not know in many ways
        return None
    scale = float(np.abs(outputs).max()) or 1.0
    gap = np.abs(found.base_values + values.sum(axis=1) - outputs).max()
    distance = _distance(predictor, small, probe, noise=NOISE * scale)
    if not (gap <= GAP * scale and distance <= FARTHEST):
        return None
    return replace(found, distance=distance)


def _some(rows: Table, most: int) -> Background:
    """At most so many rows, all weighing the same: shap's explainer knows no weights."""
    if rows.n_rows <= most:
        return whole(rows)
    chosen = rows.take(np.linspace(0, rows.n_rows - 1, most).astype(np.intp))
    return replace(whole(chosen), method="rows at equal distances", n_source_rows=rows.n_rows)


def _built(predictor: Predictor, network: Network, background: Background) -> DeepShap:
    import shap

    with network.evaluating():
        explainer = shap.DeepExplainer(network.module, network.tensor(background.table.codes))
    base_values = background.weights @ predictor.outputs(background.table)
    return DeepShap(explainer, network, background, base_values)


def _distance(predictor: Predictor, found: DeepShap, rows: Table, noise: float) -> float:
    """How far values are from the definition, or from least squares over many coalitions."""
    game = MaskedGame(predictor, found.background, kernel.BLOCK_BYTES)
    n_features = rows.codes.shape[1]
    if n_features <= coalitions.ENUMERATED_FEATURES:
        design = coalitions.all_coalitions(n_features)
    else:
        design = coalitions.sample(n_features, coalitions.default_coalitions(n_features), 0)
    fitted = kernel.Kernel(game, design, found.base_values, solved(design.masks, None))
    calls = design.n_coalitions * found.background.table.n_rows
    rows = affordable(rows, calls)
    truth = fitted.values(rows, predictor.outputs(rows))
    return relative_rms(found.values(rows), truth, noise)
