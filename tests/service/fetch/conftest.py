"""An artifact to fetch, and a web server that has it."""

from __future__ import annotations

import pytest

from scoring import artifact_sha256
from service.fetch.fetch import fetch
from tests.saved import saved
from tests.service.fetch.web import served

MOST = 10 * 2**20


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("source") / "artifact")


@pytest.fixture(scope="session")
def digest(source):
    return artifact_sha256(source)


@pytest.fixture
def web(source):
    """A web server that has the artifact at /model."""
    with served() as server:
        server.content = contents(source, "/model/")
        yield server


def contents(source, prefix):
    """The artifact's files by where a store has them."""
    files = [path for path in source.rglob("*") if path.is_file()]
    return {f"{prefix}{path.relative_to(source)}": path.read_bytes() for path in files}


@pytest.fixture
def get(tmp_path, digest):
    """Fetch into a directory of the test's own; whatever happens, nothing else is left there."""
    output = tmp_path / "there" / "artifact"

    def fetch_it(uri, sha256=digest, most=MOST):
        try:
            fetch(str(uri), output, sha256, most)
        finally:
            if output.parent.exists():
                assert {path.name for path in output.parent.iterdir()} <= {"artifact"}
        return output

    return fetch_it
