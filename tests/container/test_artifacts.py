"""The ways in which an artifact gets into a container, and what extras let it hold."""

from __future__ import annotations

import pytest

from scoring import artifact_sha256
from tests.container.engine import HARDENED, ROOT
from tests.container.test_serving import smoke

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400)]


# With scikit-learn loaded, what is held of bodies at a time is to be less in 512 MiB.
LESS = ("--env", f"SHAPSERVE_MAX_BUFFERED_BYTES={2**26}")


def served_digest(client):
    return client.get("/schema").json()["model"]["artifact_sha256"]


def test_baked_into_an_image(engine, images, image, exact):
    described = ROOT / "deploy" / "artifact.Dockerfile"
    baked = images.build(
        "baked", "--file", described, "--build-arg", f"IMAGE={image}", context=exact
    )
    with engine.serving(baked, None) as (client, _, _):
        smoke(client)
        assert served_digest(client) == artifact_sha256(exact)


def test_on_a_volume(engine, image, onnx):
    with engine.serving(image, onnx) as (client, _, _):
        assert served_digest(client) == artifact_sha256(onnx)


def test_fetched_before_the_server_starts(engine, rich_image, image, exact):
    """As an init container does it: it fills a volume that the server only reads."""
    volume = engine("volume", "create").stdout.strip()
    try:
        fetch = (
            *("run", "--rm", *HARDENED, "--user", "10001:10001"),
            *("--volume", f"{volume}:/fetched:U", "--volume", f"{exact}:/from:ro"),
            *("--entrypoint", "shapserve", rich_image, "fetch", "file:///from"),
            *("--output", "/fetched/artifact", "--sha256"),
        )
        refused = engine(*fetch, "ab" * 32, check=False)
        assert refused.returncode == 1
        assert "SHA-256" in refused.stderr
        engine(*fetch, artifact_sha256(exact))
        mount = (
            "--volume",
            f"{volume}:/fetched:ro",
            "--env",
            "SHAPSERVE_ARTIFACT=/fetched/artifact",
        )
        with engine.serving(image, None, *mount) as (client, _, _):
            smoke(client)
            assert served_digest(client) == artifact_sha256(exact)
    finally:
        engine("volume", "rm", "--force", volume)


def test_what_extras_let_it_serve(engine, rich_image, skops, boosted):
    for artifact in (skops, *boosted.values()):
        with engine.serving(rich_image, artifact, *LESS) as (client, _, _):
            smoke(client)


def test_a_pickle_with_a_module_of_the_users_own(engine, rich_image, pickled):
    pin = ("--env", f"SHAPSERVE_EXPECT_SHA256={artifact_sha256(pickled)}")
    with engine.serving(rich_image, pickled, *pin, *LESS) as (client, _, _):
        smoke(client)
