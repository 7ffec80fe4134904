"""What a full explainer has that a scoring explainer is distilled from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from scoring.errors import ParameterError
from scoring.explainers import ready_shap
from scoring.explainers.mimic import MimicExplainer
from scoring.explainers.permutation import PFIExplainer
from scoring.explainers.tabular import TabularExplainer
from scoring.explainers.view import View
from scoring.features import Engineering
from scoring.players import Players
from scoring.predictor import Predictor

__all__ = ["Source", "source_of"]


@dataclass(frozen=True, eq=False)
class Source:
    """A full explainer, whichever it was.

    Parameters
    ----------
    predictor : what is served.
    view : what is explained: the same model, or its surrogate.
    subset : the features to report; None for all.
    engineered : makes the view of a pipeline's columns; None where there cannot be one.
    summed : where engineered values may be summed to raw ones, the map to do it by.
    fidelity : how well a surrogate stands for the model.
    """

    predictor: Predictor
    view: View
    subset: tuple[int, ...] | None = None
    engineered: Callable[[], View] | None = None
    summed: Engineering | None = None
    fidelity: dict[str, Any] | None = None

    def capped(self, tables_bytes: int | None) -> Source:
        """Return the same, of whose trees the tables may take so much."""
        structure = self.view.structure
        if structure is None or tables_bytes is None:
            return self
        return replace(self, view=replace(self.view, structure=structure.capped(tables_bytes)))


def source_of(explainer: Any) -> Source:
    """Read a `TabularExplainer`, a `MimicExplainer` or a ready `shap.KernelExplainer`.

    Raises
    ------
    ParameterError
        Another kind of explainer.
    """
    if isinstance(explainer, TabularExplainer):
        return Source(
            explainer.predictor,
            explainer.view,
            explainer.subset,
            lambda: explainer.engineered,
            explainer.summed,
        )
    if isinstance(explainer, MimicExplainer):
        view, fidelity = explainer.view, explainer.fidelity
        return Source(explainer.predictor, view, explainer.subset, fidelity=fidelity)
    if ready_shap.is_kernel_explainer(explainer):
        predictor, background = ready_shap.read(explainer)
        players = Players.of(predictor.schema.names)
        view = View(predictor, background.table, players, given=lambda: background)
        return Source(predictor, view)
    rule = "must be a TabularExplainer, a MimicExplainer or a shap.KernelExplainer"
    known = isinstance(explainer, PFIExplainer)
    fix = "PFIExplainer has no local values to serve: use one of these." if known else ""
    raise ParameterError("explainer", rule, fix)
