"""Fixtures that several tests share."""

from __future__ import annotations

import os

# Before anything imports NumPy: there is a test process for each core already.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# A server that is told to end does so: no load balancer has to notice first.
os.environ.setdefault("SHAPSERVE_DRAIN_SECONDS", "0")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


@pytest.fixture(scope="session")
def breast_cancer():
    """The guide's split: x_train, x_test, y_train, y_test, feature names, class names."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    data = load_breast_cancer()
    split = train_test_split(data.data, data.target, test_size=0.2, random_state=0)
    return (*split, list(data.feature_names), list(data.target_names))


@pytest.fixture(scope="session")
def mixed():
    """A mixed table with gaps, its target and a fitted pipeline; 9 features, generated."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(7)
    n = 300
    x = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "income": rng.gamma(3.0, 900.0, n).round(2),
            "balance": np.where(rng.random(n) < 0.1, np.nan, rng.normal(0, 50, n)),
            "member": rng.random(n) < 0.5,
            "region": rng.choice(["north", "south", "west"], n),
            "plan": rng.choice(["basic", "plus", "pro", "max"], n).astype(object),
            "channel": pd.Categorical(rng.choice(["web", "shop"], n)),
        }
    )
    x.loc[rng.random(n) < 0.1, "plan"] = np.nan
    logit = 0.05 * (x["age"] - 50) + (x["region"] == "north") - 1.5 * (x["plan"] == "pro")
    y = np.where(rng.random(n) < 1 / (1 + np.exp(-logit)), "stays", "leaves")
    numeric, text = ["age", "income", "balance", "member"], ["region", "plan", "channel"]
    model = Pipeline(
        [
            (
                "prepare",
                ColumnTransformer(
                    [
                        (
                            "num",
                            Pipeline([("gaps", SimpleImputer()), ("scale", StandardScaler())]),
                            numeric,
                        ),
                        ("cat", OneHotEncoder(handle_unknown="ignore"), text),
                    ]
                ),
            ),
            ("model", LogisticRegression()),
        ]
    ).fit(x, y)
    return x, y, model


@pytest.fixture(scope="module")
def original():
    """A small distilled explainer."""
    from tests.saved import explainer

    return explainer()


@pytest.fixture(scope="module")
def artifact(original, tmp_path_factory):
    """It, saved."""
    from scoring import save

    return save(original, tmp_path_factory.mktemp("artifacts") / "logistic")


@pytest.fixture
def damaged(artifact, tmp_path):
    """A copy of the artifact, for a test to damage."""
    from tests.saved import copy

    return copy(artifact, tmp_path / "damaged")
