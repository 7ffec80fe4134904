"""Mixed tables and pipelines over them, and raw rows masked the slow way."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests import oracles


def small(n=120, seed=0):
    """Five raw features, two of them text, with gaps; and a target."""
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n).astype(float),
            "income": rng.gamma(3.0, 900.0, n).round(1),
            "balance": np.where(rng.random(n) < 0.2, np.nan, rng.normal(0, 50, n).round(1)),
            "region": rng.choice(["north", "south", "west"], n).astype(object),
            "plan": rng.choice(["basic", "plus", "pro"], n, p=[0.6, 0.35, 0.05]).astype(object),
        }
    )
    score = 0.05 * (x["age"] - 50) + (x["region"] == "north") - 1.5 * (x["plan"] == "pro")
    y = (rng.random(n) < 1 / (1 + np.exp(-score))).astype(int).to_numpy()
    return x, y


def raw_values(model, rows, background, weights=None, output="predict_proba"):
    """Shapley values of raw features: raw rows are masked and the whole pipeline runs."""
    columns, dtypes = background.columns, background.dtypes.to_dict()

    def f(masked):
        frame = pd.DataFrame(masked, columns=columns).astype(dtypes)
        return np.asarray(getattr(model, output)(frame)).reshape(len(masked), -1)

    rows, background = (table.to_numpy(dtype=object) for table in (rows, background))
    return oracles.shapley_rows(f, rows, background, weights)
