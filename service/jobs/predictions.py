"""What is answered at once: predictions without explanations."""

from __future__ import annotations

from typing import Any

from service.codec import Rows
from service.engine import Engine
from service.options import Options
from service.scorer import Scorer, answered

__all__ = ["predictions"]


async def predictions(
    engine: Engine, scorer: Scorer, rows: Rows, options: Options
) -> dict[str, Any]:
    """Return the part of the answer that needs no explanation.

    Raises
    ------
    RowsError
        The model refuses some rows.
    """
    return await engine.run(_predicted, scorer, rows, options)


def _predicted(scorer: Scorer, rows: Rows, options: Options) -> dict[str, Any]:
    space, table = options.output_space, rows.table
    explainer = scorer.explainer if space is None else scorer.explainer.in_space(space)
    predictor = explainer.predictor

    def ask() -> tuple[Any, Any]:
        return predictor.predictions(table).tolist(), predictor.probabilities(table)

    said, probabilities = answered(predictor, table, ask)
    return {
        "predictions": said,
        "probabilities": probabilities,
        "index": list(rows.index),
        "warnings": [{"row": n.row, "column": n.column, "rule": n.rule} for n in table.notes],
        "model": scorer.model,
    }
