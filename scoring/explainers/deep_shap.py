"""shap's explainer of networks, which propagates differences back through the layers.

DeepLIFT (Shrikumar, Greenside and Kundaje, "Learning important features through propagating
activation differences", 2017) adds up to the answer, but it is the Shapley value only where the
network is additive: `method` says that it is an approximation. The kernel path asks the same
network by the definition.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background, whole
from scoring.network import Network
from scoring.predictor import CallableModel, Predictor
from scoring.table import Table

__all__ = ["DeepShap", "find"]

MOST_ROWS = 200
"""Rows of the background; each row that is explained goes through the network as often."""

GAP = 1e-3
"""Largest additivity gap, as a share of the outputs: shap itself asks for 0.01 of them."""


@dataclass(frozen=True, eq=False)
class DeepShap:
    """A shap explainer of a network whose answers were checked.

    Parameters
    ----------
    background : rows that weigh the same.
    base_values : float64 (n_outputs,).
    """

    explainer: Any
    background: Background
    base_values: NDArray[np.float64]
    method: str = "deep (DeepLIFT, approximate)"

    def values(self, rows: Table) -> NDArray[np.float64]:
        """Explain rows; float64 (n_rows, n_features, n_outputs)."""
        import torch

        codes = torch.as_tensor(rows.codes.astype(np.float32))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of hooks that are not there the first time
            values = self.explainer.shap_values(codes, check_additivity=False)
        values = np.asarray(values, dtype=np.float64)
        return values[..., np.newaxis] if values.ndim == 2 else values


def find(predictor: Predictor, examples: Table) -> DeepShap | None:
    """Build shap's explainer of a network, or None where it does not add up.

    Parameters
    ----------
    examples : at most `MOST_ROWS` of them, at equal distances, are the background.
    """
    model = predictor.model
    if not isinstance(model, CallableModel) or not isinstance(model.function, Network):
        return None
    import shap
    import torch

    n_rows = min(MOST_ROWS, examples.n_rows)
    rows = examples.take(np.linspace(0, examples.n_rows - 1, n_rows).astype(np.intp))
    module = model.function.module
    module.eval()
    try:
        explainer = shap.DeepExplainer(module, torch.as_tensor(rows.codes.astype(np.float32)))
        base_values = np.asarray(predictor.outputs(rows).mean(axis=0))
        found = DeepShap(explainer, whole(rows), base_values)
        probe = rows.take(slice(0, 5))
        outputs, values = predictor.outputs(probe), found.values(probe)
    except Exception:  # noqa: BLE001 shap refuses layers that it does not know in many ways
        return None
    gap = np.abs(base_values + values.sum(axis=1) - outputs).max()
    return found if gap <= GAP * max(np.abs(outputs).max(), 1e-12) else None
