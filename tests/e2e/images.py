"""Images that hold an artifact each, for a cluster to roll from one to the next."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from scoring import TabularExplainer, TreeScoringExplainer, save
from tests.e2e.cluster import ROOT, run

IMAGE = "localhost/shapserve-e2e"
BROKEN = "broken"


def make_artifact(version: str, directory: Path) -> Path:
    """Save a small forest; every version is another one."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(50, max_depth=6, random_state=int(version)).fit(x, y)
    explainer = TabularExplainer(model, x[:100])
    made = TreeScoringExplainer(explainer, name="breast-cancer", version=version)
    return save(made, directory)


def break_artifact(artifact: Path, directory: Path) -> Path:
    """Copy an artifact and change one byte of an array."""
    broken = Path(shutil.copytree(artifact, directory))
    array = max((broken / "arrays").iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    return broken


def container_tool() -> str:
    """Tell what builds images here."""
    tools = os.environ.get("CONTAINER") or "docker podman"
    for tool in filter(shutil.which, tools.split()):
        if not subprocess.run([tool, "info"], capture_output=True, check=False).returncode:
            return tool
    raise FileNotFoundError(f"no container tool works here; tried: {tools}")


def build(artifact: Path, tag: str) -> str:
    """Build an image of an artifact and bring it into the cluster."""
    image = f"{IMAGE}:{tag}"
    run(
        *(container_tool(), "build", "--tag", image),
        *("--build-arg", f"IMAGE={os.environ.get('IMAGE', 'shapserve:0.1.0')}"),
        *("--file", str(ROOT / "deploy" / "artifact.Dockerfile"), str(artifact)),
    )
    if load := shlex.split(os.environ.get("E2E_LOAD", "")):
        run(*load, image)
    return image
