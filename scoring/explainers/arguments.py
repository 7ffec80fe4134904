"""Arguments that the full explainers share: what they mean, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.distillation.domain import with_domain
from scoring.errors import ParameterError
from scoring.explainers.task import task_of
from scoring.predictor import OutputSpace, Predictor, adapt
from scoring.schema import Names, infer_for
from scoring.table import Table

__all__ = ["Subset", "chosen", "understood"]

PROBED_ROWS = 10_000
"""Examples that the model is called on at once, to see whether it takes them."""

COMPARED_ROWS = 100

Subset = Sequence[int] | Sequence[str] | NDArray[Any]
"""Features by index or name."""


def understood(
    model: Any,
    examples: Any,
    features: Names | None,
    classes: Names | None,
    output_space: OutputSpace | None,
    model_task: Any,
) -> tuple[Predictor, Table]:
    """Give a model its face, with what it says of unusual rows, and check the examples.

    Parameters
    ----------
    model_task : as for `scoring.explainers.task.task_of`.

    Raises
    ------
    ParameterError
    """
    task = task_of(model_task)
    schema = infer_for(model, examples, features)
    table = schema.encode(examples)
    if not table.n_rows:
        raise ParameterError("initialization_examples", "must hold at least one row")
    probe = table.take(slice(0, PROBED_ROWS))
    predictor = adapt(model, schema, output_space, classes, probe, task)
    if hasattr(examples, "tocsr"):
        _check_dense(predictor.model, examples.tocsr()[:COMPARED_ROWS])
    schema, table = with_domain(schema, predictor, table)
    return predictor.over(schema), table


def _check_dense(model: Any, some: Any) -> None:
    """Hold a model's answers to sparse rows against those to the same rows written out."""
    estimator = getattr(model, "estimator", None)
    ask = getattr(estimator, "predict_proba", getattr(estimator, "predict", None))
    if ask is None or np.allclose(ask(some), ask(some.toarray()), rtol=1e-6):
        return
    rule = "must be dense for this model, which takes what a sparse matrix leaves out for missing"
    fix = "Pass an array with NaN in these places, and zeros where there are zeros."
    raise ParameterError("initialization_examples", rule, fix)


def chosen(
    subset: Subset | None, names: tuple[str, ...], argument: str = "explain_subset"
) -> tuple[int, ...] | None:
    """The indices of features given by index or name; None for all.

    Raises
    ------
    ParameterError
    """
    if subset is None:
        return None
    if isinstance(subset, str):
        raise ParameterError(argument, "must be a list", "Put the name in brackets.")
    given = np.asarray(subset, dtype=object).ravel().tolist()
    if given and all(isinstance(one, (bool, np.bool_)) for one in given):
        rule = "must hold indices or names of features, not flags"
        raise ParameterError(argument, rule, "Pass numpy.flatnonzero(flags).")
    known: dict[Any, int] = {name: j for j, name in enumerate(names)}
    known |= {j: j for j in range(len(names))}
    unknown = [one for one in given if one not in known]
    if not given or unknown or len({known[one] for one in given}) < len(given):
        rule = f"must hold indices from 0 to {len(names) - 1}, or names of features, each once"
        fix = f"Not among them: {', '.join(map(str, unknown))}." if unknown else ""
        raise ParameterError(argument, rule, fix)
    return tuple(known[one] for one in given)
