"""deploy/smoke.sh against servers of real artifacts: every form of answer, and keys."""

import subprocess
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from service.cli import run
from service.keys import new_key
from tests.service.commands import serving

pytestmark = pytest.mark.slow

SMOKE = Path(__file__).parents[2] / "deploy" / "smoke.sh"


def smoke(client, *key):
    return subprocess.run(
        ["sh", SMOKE, str(client.base_url), *key],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def distilled(directory, model, rows, *options):
    joblib.dump(model, directory / "model.joblib")
    rows.to_csv(directory / "rows.csv", index=False)
    artifact = directory / "artifact"
    given = {"model": directory / "model.joblib", "data": directory / "rows.csv"}
    named = [text for name, path in given.items() for text in (f"--{name}", str(path))]
    assert run(["distil", *named, "--output", str(artifact), *options]) == 0
    return artifact


@pytest.fixture(scope="module")
def several_outputs(tmp_path_factory):
    x, y = load_diabetes(return_X_y=True, as_frame=True)
    model = LinearRegression().fit(x, np.column_stack([y, -y, y**2]))
    return distilled(tmp_path_factory.mktemp("outputs"), model, x)


@pytest.fixture(scope="module")
def short_series(tmp_path_factory):
    """Values that a tolerance allows to add up less than exactly."""
    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x, y)
    return distilled(tmp_path_factory.mktemp("series"), model, x[:100], "--tolerance", "0.2")


@pytest.mark.parametrize(
    ("artifact", "n_outputs"), [("numeric", 3), ("several_outputs", 3), ("short_series", 2)]
)
def test_a_server_of_any_artifact_passes(artifact, n_outputs, request):
    with serving("--artifact", request.getfixturevalue(artifact)) as (client, _):
        result = smoke(client)
        assert (result.returncode, result.stderr) == (0, "")
        assert f"{n_outputs} outputs" in result.stdout


def test_a_server_with_keys_passes_with_one(numeric, tmp_path):
    keys = [new_key(role, role) for role in ("score", "metrics")]
    file = tmp_path / "keys"
    file.write_text("".join(f"{line}\n" for _, line in keys))
    with serving("--artifact", numeric, "--api-keys-file", file) as (client, _):
        good, other = (smoke(client, key) for key, _ in keys)
        none = smoke(client)
    assert good.returncode == 0, good.stderr
    assert "FAIL  schema: HTTP 403" in other.stderr
    assert "FAIL  schema: HTTP 401" in none.stderr
