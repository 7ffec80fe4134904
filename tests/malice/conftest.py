"""A marker of harm."""

import pytest


@pytest.fixture
def marker(tmp_path):
    """A file that harm would leave."""
    path = tmp_path / "harm"
    yield path
    assert not path.exists(), "it ran"
