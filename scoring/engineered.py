"""What a scoring explainer needs to explain a pipeline's columns besides its raw features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.coalitions import Design
from scoring.errors import ModelError
from scoring.explanation import LocalExplanation
from scoring.features import Engineering, split
from scoring.games.masked import MaskedGame
from scoring.kernel import Kernel
from scoring.lineage import Lineage
from scoring.predictor import Predictor
from scoring.schema import FeatureSchema
from scoring.stages import Stage
from scoring.sub_designs import SubDesigns
from scoring.table import Table

__all__ = ["EngineeredKernel"]


@dataclass(frozen=True, eq=False)
class EngineeredKernel:
    """A design over engineered columns; the pipeline itself is the scoring explainer's model.

    Parameters
    ----------
    columns : the schema of engineered rows.
    feature_map : float64 (n_features, n_columns), or None where columns may not be shared out.
    background, design, operator, base_values, method, sub_designs : as a scoring explainer has
        them, over columns.
    """

    columns: FeatureSchema
    feature_map: NDArray[np.float64] | None
    background: Background
    design: Design
    operator: NDArray[np.float64]
    base_values: NDArray[np.float64]
    method: str
    sub_designs: SubDesigns | None = None

    def explain(self, whole: Predictor, rows: Table, block_bytes: int) -> LocalExplanation:
        """Explain raw rows in engineered columns.

        Parameters
        ----------
        whole : the pipeline.

        Raises
        ------
        ModelError
            The model is no pipeline any more.
        """
        halves = split(whole.model)
        if halves is None:
            raise ModelError("the model is no pipeline, so it has no engineered columns")
        cut = Engineering(*halves, whole.schema, self.columns, Lineage(()))
        table, predictor = cut.table(rows), cut.predictor(whole)
        game = MaskedGame(predictor, self.background, block_bytes)
        whole_design = Stage(self.operator, self.method, self.sub_designs)
        kernel = Kernel(game, self.design, self.base_values, whole_design)
        outputs = predictor.outputs(table)
        estimate = kernel.estimate(table, outputs)
        return LocalExplanation(
            estimate.values,
            self.base_values,
            outputs,
            self.columns.names,
            predictor.output_names,
            predictor.space,
            classification=bool(predictor.classes),
            method=self.method,
            n_coalitions=self.design.n_coalitions,
            background=str(self.background),
            standard_errors=estimate.standard_errors,
            degrees_of_freedom=estimate.degrees_of_freedom,
            feature_map=self.feature_map,
            raw_features=() if self.feature_map is None else whole.schema.names,
        )
