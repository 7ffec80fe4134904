"""What kustomize makes of `deploy/`: overlays as they are, and with components put in.

`python -m tests.deploy.rendering DIRECTORY` writes it there, for those who read files.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

__all__ = ["DEPLOY", "VARIANTS", "Manifest", "one", "render", "write_variant"]

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

Manifest = dict[str, Any]

_FETCHED = {
    "name": "shapserve-artifact",
    "literals": ["URI=https://models.example/credit-2.tar.gz", f"SHA256={'ab' * 32}"],
    "options": {"labels": {"app.kubernetes.io/name": "shapserve"}},
}

VARIANTS: dict[str, tuple[str, list[str], list[Manifest]]] = {
    "local": ("overlays/local", [], []),
    "production": ("overlays/production", [], []),
    "smoke": (".", [], []),
    "volume": ("overlays/local", ["artifact-volume"], []),
    "keys": ("overlays/local", ["keys"], []),
    "fetch": ("overlays/production", ["artifact-fetch"], [_FETCHED]),
}
"""Per name an overlay, and the components and ConfigMaps that a user writes into it."""


def write_variant(name: str, directory: Path) -> Path:
    """Return what to render: a copy of an overlay, changed as users change it."""
    overlay, components, maps = VARIANTS[name]
    shutil.copytree(DEPLOY, directory, dirs_exist_ok=True)
    file = directory / overlay / "kustomization.yaml"
    content = yaml.safe_load(file.read_text("utf-8"))
    for key, more in (
        ("components", [f"../../components/{each}" for each in components]),
        ("configMapGenerator", maps),
    ):
        if more:
            content[key] = [*content.get(key, []), *more]
    file.write_text(yaml.safe_dump(content))
    return file.parent


def render(directory: Path) -> list[Manifest]:
    """Let kubectl render a kustomization; warnings, such as of deprecated fields, are errors."""
    kubectl = shlex.split(os.environ.get("KUBECTL", "kubectl"))
    try:
        done = subprocess.run(
            [*kubectl, "kustomize", directory],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except FileNotFoundError:
        pytest.fail(f"{kubectl[0]} is not installed; `make kubectl` brings one", pytrace=False)
    if done.returncode or done.stderr:
        remedy = "kubectl must be 1.21 or newer; `make kubectl` brings one"
        pytest.fail(f"{done.stderr.strip()}\n{remedy}", pytrace=False)
    return list(yaml.safe_load_all(done.stdout))


def one(manifests: list[Manifest], kind: str) -> Manifest:
    """Return the only manifest of a kind."""
    [found] = [each for each in manifests if each["kind"] == kind]
    return found


def main(directory: Path) -> None:
    """Write every variant into a file of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in VARIANTS:
        with TemporaryDirectory() as copy:
            rendered = render(write_variant(name, Path(copy)))
        (directory / f"{name}.yaml").write_text(yaml.safe_dump_all(rendered))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
