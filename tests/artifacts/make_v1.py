"""Makes `v1/`, the artifact that every later version must read, and what it answers.

It is frozen: `v1/` is made again only while version 1 of the format is not released yet. Its model
travels as ONNX, so reading it depends on no version of scikit-learn.

    python tests/artifacts/make_v1.py
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from scoring import KernelScoringExplainer, TabularExplainer, artifact_sha256, save

HERE = Path(__file__).parent


def training_rows() -> tuple[pd.DataFrame, np.ndarray]:
    """A few made-up customers, and whether they leave."""
    rng = np.random.default_rng(1)
    n = 60
    x = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "monthly": rng.gamma(3.0, 20.0, n).round(2),
            "member": rng.random(n) < 0.5,
            "plan": rng.choice(["basic", "plus", "pro"], n),
        }
    )
    leaves = (x["monthly"] > 55) ^ (x["plan"] == "pro")
    return x, np.where(leaves, "leaves", "stays")


def make() -> None:
    """Save the artifact, and beside it what it answers."""
    x, y = training_rows()
    prepare = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["age", "monthly", "member"]),
            ("words", OneHotEncoder(handle_unknown="ignore"), ["plan"]),
        ]
    )
    model = make_pipeline(prepare, LogisticRegression()).fit(x, y)
    explainer = KernelScoringExplainer(
        TabularExplainer(model, x[:20]), name="customers", version="1.0"
    )
    artifact = save(explainer, HERE / "v1", exist_ok=True)
    rows = x[20:25]
    answers = {
        "sha256": artifact_sha256(artifact),
        "rows": json.loads(rows.to_json(orient="records")),
        "predictions": explainer.predict(rows).tolist(),
        "values": explainer.explain(rows),
        "base_values": explainer.base_values.tolist(),
    }
    (HERE / "v1-answers.json").write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    make()
