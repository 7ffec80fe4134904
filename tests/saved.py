"""Small explainers to save, and the tools to damage what was saved; shared by several tests."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from scoring import KernelScoringExplainer, TabularExplainer, save

ROOT = Path(__file__).parents[1]
N_FEATURES = 4


def rows(n=80, seed=0):
    """Numbers (n, 4) and a binary target that depends on them."""
    x = np.random.default_rng(seed).normal(size=(n, N_FEATURES)).round(3)
    return x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int)


def scaled(model):
    """A pipeline that standardises first."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), model)


def logistic():
    from sklearn.linear_model import LogisticRegression

    return scaled(LogisticRegression())


def explainer(model=None, x=None, y=None, **options):
    """A distilled explainer of a model that is fitted here; by coalitions, as a rule."""
    given_x, given_y = rows()
    x, y = (given_x, given_y) if x is None else (x, y)
    model = logistic() if model is None else model
    options = {"method": "kernel"} | options
    return KernelScoringExplainer(TabularExplainer(model.fit(x, y), x[:30], **options))


def in_a_file(made):
    """The same explainer, its model in a file although its numbers are known."""
    return type(made).restore({**vars(made), "twin": None})


def saved(directory, model=None, **options):
    """An artifact of one."""
    return save(explainer(model, **options), directory)


def manifest_of(artifact):
    return json.loads((artifact / "manifest.json").read_text())


def sign(artifact, **changes):
    """Make the manifest true again of the files as they are now, as an attacker would."""
    said = manifest_of(artifact) | changes
    for name, told in said["files"].items():
        if (artifact / name).is_file():
            data = (artifact / name).read_bytes()
            told |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (artifact / "manifest.json").write_text(json.dumps(said))
    return hashlib.sha256((artifact / "manifest.json").read_bytes()).hexdigest()


def change_array(artifact, name, change):
    """Change one of an artifact's arrays, and what the manifest tells of it."""
    path = artifact / "arrays" / f"{name}.npy"
    changed = np.asarray(change(np.load(path)), order="C")
    np.save(path, changed)
    said = manifest_of(artifact)
    told = said["files"][f"arrays/{name}.npy"]
    told |= {"shape": list(changed.shape), "dtype": str(changed.dtype)}
    sign(artifact, files=said["files"])


def copy(artifact, to):
    """A copy to damage."""
    return Path(shutil.copytree(artifact, to))


def python(code, *arguments, timeout=120):
    """Run code in a new process; what it prints."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=timeout
    ).stdout
