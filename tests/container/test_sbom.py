"""`make sbom` lists what the image holds."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.container.engine import ROOT

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400)]


def plain(name):
    """A package's name as indexes have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_is_listed(engine, image):
    # What runs this test is installed already, by whatever name.
    make = ("make", "--old-file", ".venv/.installed", "sbom")
    given = (f"IMAGE={image}", f"CONTAINER={engine.tool}")
    done = subprocess.run(
        [*make, *given],
        cwd=ROOT,
        env={name: value for name, value in engine.env.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((ROOT / "build" / "sbom.json").read_text())
    assert told["bomFormat"] == "CycloneDX"
    listed = {each["name"] for each in told["components"]}
    code = "from importlib.metadata import distributions as d; print(*[x.name for x in d()])"
    names = engine("run", "--rm", "--entrypoint", "python", image, "-c", code).stdout.split()
    assert {"numpy", "onnxruntime", "shapserve"} <= set(names)
    assert set(map(plain, names)) <= set(map(plain, listed))
    assert "libc6" in listed  # the base too
    assert not (ROOT / "build" / "image.tar").exists()
