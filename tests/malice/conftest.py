"""An artifact to damage, and a marker of harm."""

import pytest

from tests import saved


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return saved.saved(tmp_path_factory.mktemp("artifacts") / "logistic")


@pytest.fixture
def damaged(artifact, tmp_path):
    return saved.copy(artifact, tmp_path / "damaged")


@pytest.fixture
def marker(tmp_path):
    """A file that harm would leave."""
    path = tmp_path / "harm"
    yield path
    assert not path.exists(), "it ran"
