"""How well a surrogate stands for a model, on rows that it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fidelity"]


def fidelity(
    truth: NDArray[np.float64],
    answers: NDArray[np.float64],
    output_names: Sequence[str],
    labels: Sequence[str],
    rows: str,
) -> dict[str, Any]:
    """Compare a surrogate's answers with the model's.

    Parameters
    ----------
    truth, answers : float64 (n_rows, n_outputs), of the model and of the surrogate.
    labels : the classes' names; () for a regression.
    rows : which rows these are, in words.

    Returns
    -------
    `rmse` and `r2` per output; R² is 1 where a constant is met and 0 where it is not. For
    classifiers also `agreement`, the share of rows with the same likeliest class, and the same
    among the rows of each class of the model's; a class without rows has None.
    """
    error = answers - truth
    spread = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    missed = (error**2).sum(axis=0)
    negligible = np.finfo(np.float64).eps * len(truth) * (truth**2).sum(axis=0)
    constant = np.where(missed <= negligible, 1.0, 0.0)
    r2 = np.where(spread > negligible, 1 - missed / np.where(spread > 0, spread, 1), constant)
    report: dict[str, Any] = {
        "rows": len(truth),
        "measured_on": rows,
        "r2": dict(zip(output_names, r2.tolist(), strict=True)),
        "rmse": dict(zip(output_names, np.sqrt((error**2).mean(axis=0)).tolist(), strict=True)),
    }
    if labels:
        said, meant = _likeliest(truth), _likeliest(answers)
        same = said == meant
        report["agreement"] = float(same.mean())
        report["agreement_per_class"] = {
            name: float(same[said == k].mean()) if (said == k).any() else None
            for k, name in enumerate(labels)
        }
    return report


def _likeliest(outputs: NDArray[np.float64]) -> NDArray[np.intp]:
    """The class (n_rows,) that outputs speak for; one margin speaks for the second of two."""
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > 0).astype(np.intp)
    return np.asarray(outputs.argmax(axis=1))
