"""A container that cannot serve ends with one line that says why."""

from __future__ import annotations

import shutil
import socket

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400)]


def line(ended):
    """What a log ends with, after nothing but warnings; the exit code is that of a failure."""
    code, [*before, told] = ended
    assert all(" WARNING " in warning for warning in before)
    assert code not in (0, 137), told
    assert told.startswith("shapserve: ")
    return told


def mounted(artifact):
    return ("--volume", f"{artifact}:/artifact:ro")


def test_no_artifact(engine, image):
    assert "there is no artifact here" in line(engine.ends(image))


def test_a_damaged_artifact(engine, image, exact, tmp_path):
    damaged = shutil.copytree(exact, tmp_path / "artifact")
    array = next((damaged / "arrays").iterdir())
    array.write_bytes(array.read_bytes()[:-1] + b"\1")
    assert array.name in line(engine.ends(image, *mounted(damaged)))


def test_another_artifact_than_was_pinned(engine, image, exact):
    pin = ("--env", "SHAPSERVE_EXPECT_SHA256=" + "ab" * 32)
    assert "another was pinned" in line(engine.ends(image, *mounted(exact), *pin))


def test_an_artifact_that_may_not_be_read(engine, image, exact, tmp_path):
    hidden = shutil.copytree(exact, tmp_path / "artifact")
    (hidden / "manifest.json").chmod(0o600)
    assert "manifest.json: Permission denied" in line(engine.ends(image, *mounted(hidden)))


def test_an_artifact_that_needs_an_extra(engine, image, skops, boosted):
    assert "--build-arg EXTRAS='sklearn'" in line(engine.ends(image, *mounted(skops)))
    for extra, artifact in boosted.items():
        assert f"--build-arg EXTRAS='{extra}'" in line(engine.ends(image, *mounted(artifact)))


def test_a_pickle_that_needs_more_than_extras(engine, image, pickled):
    from scoring import artifact_sha256

    pin = ("--env", f"SHAPSERVE_EXPECT_SHA256={artifact_sha256(pickled)}")
    told = line(engine.ends(image, *mounted(pickled), *pin))
    assert "--build-arg EXTRAS='sklearn'" in told


def test_a_port_in_use(engine, image, exact):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = line(
            engine.ends(
                image,
                *("--network", "host", "--env", f"SHAPSERVE_PORT={port}"),
                *("--env", "SHAPSERVE_HOST=127.0.0.1", *mounted(exact)),
            )
        )
    assert f"cannot listen on 127.0.0.1 port {port}" in told


def test_too_little_memory(engine, image, exact):
    told = line(engine.ends(image, "--memory", "256m", *mounted(exact)))
    assert "the memory limit is 256 MiB" in told


def test_a_volume_that_cannot_be_written(engine, image, exact, tmp_path):
    tmp_path.chmod(0o777)
    store = ("--env", "SHAPSERVE_RESULTS_STORE=dir:/results", "--volume", f"{tmp_path}:/results:ro")
    told = line(engine.ends(image, *mounted(exact), *store))
    assert "/results/explanations: Read-only file system" in told
