"""Loading what is served."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scoring import ModelError, ParameterError, artifact
from service.scorer import load_scorers
from service.settings import Source
from tests.service.fakes import RAISE, FakeExplainer, FakeModel


@pytest.fixture
def directories(monkeypatch):
    """Artifacts by directory, without files."""
    known: dict[str, FakeExplainer] = {}

    def read(path, expect_sha256=None):
        return SimpleNamespace(build=lambda: known[str(path)], sha256="ef" * 32, is_arrays=True)

    monkeypatch.setattr(artifact, "read", read)
    return known


def explainer(name="houses", age=40.0):
    return FakeExplainer(FakeModel(), name, np.array([age, 3.0, 1.0, 0.0, np.nan]))


def source(directory, name=None):
    return Source(name, Path(directory), None)


def test_the_name_given_here_wins_over_the_artifacts_own(directories):
    directories |= {"a": explainer("own"), "b": explainer("own")}
    scorers = load_scorers([source("a"), source("b", "given")])
    assert list(scorers) == ["own", "given"]
    assert scorers["given"].model == {
        "name": "given",
        "version": "7",
        "artifact_sha256": "ef" * 32,
    }


@pytest.mark.parametrize("name", ["two words", "a/b", "..%2f", "", "é", "x" * 65])
def test_a_name_that_is_not_fit_for_a_url(directories, name):
    directories["a"] = explainer(name)
    with pytest.raises(ParameterError, match="NAME=DIR"):
        load_scorers([source("a")])


def test_a_name_that_comes_twice(directories):
    directories |= {"a": explainer(), "b": explainer()}
    with pytest.raises(ParameterError, match="two models called houses"):
        load_scorers([source("a"), source("b")])


def test_a_model_that_cannot_answer_its_own_sample_is_found_at_start(directories, monkeypatch):
    def broken(self, table, space):
        raise ModelError("it cannot")

    directories["a"] = explainer(age=RAISE)
    with pytest.raises(ModelError, match="RuntimeError: cannot convert"):
        load_scorers([source("a")])
    monkeypatch.setattr(FakeModel, "outputs", broken)
    with pytest.raises(ModelError):
        load_scorers([source("a")])
