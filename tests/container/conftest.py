"""The container tool, images, and artifacts of each form that a model can travel in."""

from __future__ import annotations

import shutil
import warnings

import pytest

from scoring import save
from tests.container import own
from tests.container.build import builder
from tests.container.engine import ROOT, Engine, found
from tests.saved import explainer, in_a_file, saved, scaled

EXTRAS = "sklearn lightgbm xgboost fetch"


@pytest.fixture(scope="session")
def engine() -> Engine:
    tool = found()
    if isinstance(tool, str):
        pytest.skip(tool)  # the reason: no container tool can run here
    return tool


@pytest.fixture(scope="session")
def images(engine, tmp_path_factory):
    """What builds images."""
    made = builder(engine, tmp_path_factory.mktemp("secrets"))
    if isinstance(made, str):
        pytest.skip(made)  # the reason: no base image is here, to be pulled or to be made
    return made


@pytest.fixture(scope="session")
def image(images):
    """The image as it is by default."""
    return images.build("default")


@pytest.fixture(scope="session")
def exact(tmp_path_factory):
    """An artifact whose model is its arrays."""
    return saved(tmp_path_factory.mktemp("exact") / "artifact", method="auto")


@pytest.fixture(scope="session")
def onnx(tmp_path_factory):
    """An artifact with `model.onnx`."""
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier((8,), solver="lbfgs", max_iter=50, random_state=0)
    made = in_a_file(explainer(scaled(network)))
    return save(made, tmp_path_factory.mktemp("onnx") / "artifact")


@pytest.fixture(scope="session")
def skops(tmp_path_factory):
    """An artifact with `model.skops`."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    made = in_a_file(explainer(HistGradientBoostingClassifier(max_iter=5)))
    return save(made, tmp_path_factory.mktemp("skops") / "artifact")


@pytest.fixture(scope="session")
def boosted(tmp_path_factory):
    """Artifacts with `model.skops` that need more than scikit-learn, by what they need."""
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    models = {
        "lightgbm": LGBMClassifier(n_estimators=5, verbose=-1),
        "xgboost": XGBClassifier(n_estimators=5),
    }
    return {
        name: save(in_a_file(explainer(model)), tmp_path_factory.mktemp(name) / "artifact")
        for name, model in models.items()
    }


@pytest.fixture(scope="session")
def pickled(tmp_path_factory):
    """An artifact with `model.pkl`, which needs a module of the user's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return own.mapped(
            tmp_path_factory.mktemp("pickled") / "artifact", tmp_path_factory.mktemp("modules")
        )


@pytest.fixture(scope="session")
def rich_image(images, tmp_path_factory):
    """The image with every extra for models, and with what a user builds in."""
    context = tmp_path_factory.mktemp("context")
    for name in (".dockerignore", "Dockerfile", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, context)
    for name in ("requirements", "scoring", "service", "shapserve"):
        shutil.copytree(ROOT / name, context / name)
    own.add_to(context)
    return images.build("rich", "--build-arg", f"EXTRAS={EXTRAS}", context=context)
