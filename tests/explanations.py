"""Explanations of every kind, with numbers from a fixed seed."""

from __future__ import annotations

import numpy as np
import pytest

from scoring import GlobalExplanation, LocalExplanation

OUTPUTS = {"binary": ("no", "yes"), "value": ("value",), "three": ("a", "b", "c")}


def local(task="binary", n_rows=4, n_features=5, **more):
    rng = np.random.default_rng(0)
    names = OUTPUTS[task]
    values = rng.normal(size=(n_rows, n_features, len(names)))
    base = rng.normal(size=len(names))
    given = {"features": tuple(f"f{j}" for j in range(n_features))} | more
    return LocalExplanation(
        values, base, base + values.sum(axis=1), given.pop("features"), names,
        "value" if task == "value" else "probability", task != "value", "exact enumeration",
        30, "10 k-means centroids for 99 rows", **given,
    )  # fmt: skip


def overall(task="binary", **more):
    explanation = local(task)
    return GlobalExplanation(
        np.abs(explanation.values).mean(axis=0).T, explanation.features, explanation.output_names,
        explanation.output_space, explanation.method, 4, explanation.background,
        base_values=explanation.base_values, **more,
    )  # fmt: skip


every_task = pytest.mark.parametrize("task", OUTPUTS)
