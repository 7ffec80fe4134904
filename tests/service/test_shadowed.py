"""Files of the user's own in the way of our packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ("-c", "import sys; from shapserve.start import main; sys.argv[0] = 'shapserve'; main()")
WAYS = {
    "console script": SCRIPT,
    "python -m shapserve": ("-m", "shapserve"),
    "python -m service.cli": ("-m", "service.cli"),
}


def start(way, place, *, first=True):
    path = [str(place), str(ROOT)] if first else [str(ROOT)]
    return subprocess.run(
        [sys.executable, *WAYS[way], "--version"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def is_told(run, place):
    package = place.stem
    assert run.returncode == 1
    [line] = run.stderr.splitlines()
    assert line == (
        f"shapserve: {place} is in the way of shapserve's own package '{package}': rename it"
    )


@pytest.mark.parametrize("name", ["scoring.py", "service.py"])
@pytest.mark.parametrize("way", ["console script", "python -m shapserve"])
def test_a_file_in_the_way_is_named(tmp_path, way, name):
    (tmp_path / name).write_text("print('theirs')\n")
    run = start(way, tmp_path)
    is_told(run, tmp_path / name)
    assert run.stdout == "", "it is not run"


@pytest.mark.parametrize("package", ["scoring", "service"])
def test_a_package_in_the_way_is_named(tmp_path, package):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    is_told(start("python -m shapserve", tmp_path, first=False), tmp_path / package)


def test_a_file_in_the_way_of_what_the_service_imports_is_named(tmp_path):
    (tmp_path / "scoring.py").touch()
    is_told(start("python -m service.cli", tmp_path), tmp_path / "scoring.py")
    code = "import service"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.stderr.splitlines()[-1].startswith("shapserve.shadowed.Shadowed: ")


@pytest.mark.parametrize("way", WAYS)
def test_what_only_has_such_a_name_is_not_in_the_way(tmp_path, way):
    (tmp_path / "scoring").mkdir()  # no package
    (tmp_path / "scoring" / "notes.txt").touch()
    (tmp_path / "service.txt").touch()
    run = start(way, tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("shapserve")
