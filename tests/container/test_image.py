"""What is in the image, and what is not."""

from __future__ import annotations

import json
import tarfile

import pytest

from tests.container.build import SECRET
from tests.container.engine import ROOT

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400)]

MB = 10**6
OFFLINE = ("joblib", "lightgbm", "numba", "pandas", "pip", "pytest", "scipy", "shap", "sklearn",
           "skops", "xgboost")  # fmt: skip

# Every file that was installed and its digest; byte code holds times.
LISTING = """
import hashlib, pathlib
for path in sorted(pathlib.Path('/opt/shapserve').rglob('*')):
    if path.is_file() and path.suffix != '.pyc':
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path)
"""
ABSENT = f"""
import importlib.util, os, shutil
print(os.getuid(), os.getgid())
print([name for name in {OFFLINE} if importlib.util.find_spec(name)])
print([name for name in ("cc", "gcc", "g++", "ld", "make") if shutil.which(name)])
print([path for path, _, _ in os.walk("/opt") if os.access(path, os.W_OK)])
"""


def python(engine, image, code):
    return engine("run", "--rm", "--entrypoint", "python", image, "-c", code).stdout


def told(engine, image):
    [document] = json.loads(engine("image", "inspect", image).stdout)
    return document


def test_nothing_is_in_it_that_does_not_serve(engine, image):
    user, libraries, compilers, writable = python(engine, image, ABSENT).splitlines()
    assert user == "10001 10001"
    assert (libraries, compilers, writable) == ("[]", "[]", "[]")


def test_it_is_small(engine, image, images):
    added = told(engine, image)["Size"] - told(engine, images.base)["Size"]
    print(f"{added / MB:.0f} MB on a base of {told(engine, images.base)['Size'] / MB:.0f}")  # noqa: T201 figures for whoever reads the log
    assert added <= 220 * MB


def test_its_labels_come_from_arguments(engine, image, images):
    described = images.build(
        "described",
        "--no-cache",  # podman 4 knows labels by their text, and takes those of other arguments
        *("--build-arg", "DESCRIPTION=Who leaves, and why"),
        *("--build-arg", 'TAGS={"data": "churn", "method": "local_explanation"}'),
        *("--build-arg", "REVISION=" + "ab" * 20),
    )
    labels = told(engine, described)["Config"]["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}description"] == "Who leaves, and why"
    assert labels[f"{prefix}revision"] == "ab" * 20
    assert labels[f"{prefix}licenses"] == "Apache-2.0"
    assert json.loads(labels["shapserve.tags"]) == {"data": "churn", "method": "local_explanation"}
    assert told(engine, image)["Config"]["Labels"]["shapserve.tags"] == ""


def layers(engine, image, archive):
    """The content of every layer of an image, one after the other, and its configuration."""
    engine("save", "--output", archive, image)
    with tarfile.open(archive) as saved:
        for member in saved:
            stream = saved.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield stream.read()
    archive.unlink()


@pytest.mark.parametrize("stage", ["build", "served"])
def test_no_secret_is_in_a_layer(engine, image, images, stage, tmp_path):
    name = image if stage == "served" else images.build("stage", "--target", "build")
    contents = list(layers(engine, name, tmp_path / "image.tar"))
    assert any(b"onnxruntime" in content for content in contents)  # they are not compressed
    assert not any(SECRET.encode() in content for content in contents)


def test_two_builds_install_the_same_files(engine, image, images):
    again = images.build("again", "--no-cache")
    once, twice = (python(engine, name, LISTING).splitlines() for name in (image, again))
    assert len(once) > 1000
    assert once == twice


def test_an_extra_that_there_is_not_is_named(engine, images):
    given = ("--build-arg", "EXTRAS=sklaern", "--build-arg", f"BASE={images.base}")
    done = engine("build", *given, ROOT, check=False)
    assert done.returncode != 0
    assert "EXTRAS has 'sklaern'" in done.stdout + done.stderr
    assert "extras/sklearn.lock" in done.stdout + done.stderr
