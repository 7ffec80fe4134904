"""The guide's `score.py`: `init` loads what `run` scores and explains with."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from azureml.interpret.scoring.scoring_explainer import KernelScoringExplainer
from interpret.ext.blackbox import TabularExplainer

from benchmarks import models

served: dict[str, Any] = {}


def init():
    """Fit the model again, as no pickle goes from one version to another; make the explainer."""
    with np.load(os.environ["BENCH_JOB"]) as file:
        job = dict(file)
    model = models.fit(str(job["model"]), job["train"], job["labels"])
    served["model"] = model
    served["explainer"] = KernelScoringExplainer(TabularExplainer(model, job["background"]))


def run(raw_data):
    """Predict and explain the rows of a body of columns."""
    columns = json.loads(raw_data)
    rows = np.array([list(column.values()) for column in columns.values()], dtype=float).T
    return {
        "predictions": served["model"].predict(rows).tolist(),
        "local_importance_values": np.asarray(served["explainer"].explain(rows)).tolist(),
    }
