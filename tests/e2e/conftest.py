"""The overlay, on the cluster of KUBECONFIG, in a namespace that is removed afterwards."""

from __future__ import annotations

import pytest

from tests.e2e import images
from tests.e2e.cluster import (
    HERE,
    NAMESPACE,
    TIMEOUT,
    begin_rollout,
    kubectl,
    say,
    wait_for_rollout,
    wait_for_the_end_of_others,
)
from tests.e2e.images import break_artifact, build, make_artifact

VERSIONS = ("1", "2")


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """Directories of artifacts by version."""
    directory = tmp_path_factory.mktemp("artifacts")
    made = {version: make_artifact(version, directory / version) for version in VERSIONS}
    return made | {images.BROKEN: break_artifact(made["2"], directory / images.BROKEN)}


@pytest.fixture(scope="session")
def image(artifacts):
    """Images of them, in the cluster."""
    return {tag: build(directory, tag) for tag, directory in artifacts.items()}


@pytest.fixture(scope="session")
def cluster(image, request):
    """The overlay, applied."""
    try:
        kubectl("apply", "--kustomize", str(HERE / "overlay"))
        kubectl("wait", "--for=condition=Ready", f"--timeout={TIMEOUT}s", "pod/client")
        wait_for_rollout()
        yield
    finally:
        if request.session.testsfailed:
            say(kubectl("get", "pods,events"))
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")


@pytest.fixture
def version_1(cluster, image):
    """Version 1 serves, and nothing else is left."""
    begin_rollout(image["1"])
    wait_for_rollout()
    wait_for_the_end_of_others()
