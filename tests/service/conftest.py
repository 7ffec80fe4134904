"""Servers on free loopback ports, and artifacts made by the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import joblib
import numpy as np
import pandas as pd
import pytest

from scoring import artifact
from service.cli import run
from service.scorer import Scorer
from service.settings import Settings
from tests.service.fakes import fake_scorer
from tests.service.serving import served, unexpected

ServeOf = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of one server with the fake model, for tests that change nothing."""
    with served({"houses": fake_scorer()}) as client:
        yield client


@pytest.fixture(scope="module")
def small_server() -> Iterator[httpx.Client]:
    """A server with small limits."""
    settings = Settings(max_body_bytes=20_000, max_rows=5)
    with served({"houses": fake_scorer()}, settings) as client:
        yield client


@pytest.fixture
def small(small_server: httpx.Client) -> Iterator[httpx.Client]:
    """The same, for tests in which nothing unexpected may happen."""
    before = unexpected(small_server)
    yield small_server
    assert unexpected(small_server) == before


@pytest.fixture
def serve() -> Iterator[ServeOf]:
    """Start a server of the test's own: `serve(settings, scorers)`."""
    with ExitStack() as servers:

        def start(
            settings: Settings | None = None, scorers: dict[str, Scorer] | None = None
        ) -> httpx.Client:
            return servers.enter_context(served(scorers or {"houses": fake_scorer()}, settings))

        yield start


@pytest.fixture(scope="session")
def files(tmp_path_factory, mixed):
    """A directory with a model of mixed columns, its rows, and the artifact made of them."""
    directory = tmp_path_factory.mktemp("cli")
    x, y, model = mixed
    rows = x.assign(target=y)
    joblib.dump(model, directory / "model.joblib")
    rows[:200].to_parquet(directory / "train.parquet")
    rows[200:250].to_parquet(directory / "held_out.parquet")
    x[250:].to_parquet(directory / "rows.parquet")
    x[250:].reset_index(drop=True).to_csv(directory / "rows.csv", index=False)
    x[250:].to_json(directory / "rows.json")
    distilled = run(
        [
            "distil",
            *("--model", str(directory / "model.joblib")),
            *("--data", str(directory / "train.parquet"), "--target", "target"),
            *("--validation", str(directory / "held_out.parquet")),
            *("--output", str(directory / "artifact")),
            *("--classes", "gone, still here", "--name", "churn", "--version", "2026.11"),
            *("--no-progress",),
        ]
    )
    assert distilled == 0
    return directory


@pytest.fixture(scope="session")
def numeric(tmp_path_factory):
    """The artifact of a model of numbers only, which travels as ONNX."""
    from sklearn.datasets import load_iris
    from sklearn.naive_bayes import GaussianNB

    directory = tmp_path_factory.mktemp("numeric")
    frame = load_iris(as_frame=True).frame
    frame.to_csv(directory / "train.csv", index=False)
    model = GaussianNB().fit(frame.iloc[:, :4].to_numpy(), frame["target"])
    joblib.dump(model, directory / "model.pkl")
    distilled = run(
        [
            *("distil", "--model", str(directory / "model.pkl")),
            *("--data", str(directory / "train.csv"), "--target", "target"),
            *("--output", str(directory / "artifact"), "--name", "iris", "--no-progress"),
        ]
    )
    assert distilled == 0
    return directory / "artifact"


@pytest.fixture(scope="session")
def of_arrays(tmp_path_factory):
    """An artifact of which nearly all is one array: the tables of many trees."""
    from lightgbm import LGBMClassifier

    from scoring import KernelScoringExplainer, TabularExplainer

    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 12))
    y = (x[:, :6] ** 2).sum(axis=1) + x[:, 6:].sum(axis=1) > 6
    model = LGBMClassifier(n_estimators=150, num_leaves=63, n_jobs=1, random_state=0, verbose=-1)
    explainer = KernelScoringExplainer(
        TabularExplainer(model.fit(x, y), x, n_background=20, output_space="margin"), name="trees"
    )
    directory = artifact.save(explainer, tmp_path_factory.mktemp("arrays") / "artifact")
    assert sum(path.stat().st_size for path in directory.rglob("*.npy")) > 90 * 2**20
    return directory


@pytest.fixture(scope="session")
def answer(files):
    """The rows scored by the library, in one piece."""
    explainer = artifact.load(files / "artifact")
    rows = pd.read_parquet(files / "rows.parquet")
    return explainer.score(explainer.predictor.schema.encode(rows))
