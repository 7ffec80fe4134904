"""The guide's own example, the whole way: train, explain, distil, save, serve, score.

Run by `make demo`. The artifact stays in build/breast-cancer; `make serve` serves it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import warnings
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from sklearn import svm
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from scoring import KernelScoringExplainer, TabularExplainer, artifact_sha256, save

ROOT = Path(__file__).parents[1]
ARTIFACT = ROOT / "build" / "breast-cancer"
N_ROWS = 4
READY_SECONDS = 60


@contextmanager
def stage(title):
    """Print one line with the time that a stage took."""
    start = time.perf_counter()
    yield
    print(f"{title:<62} {time.perf_counter() - start:7.2f} s", flush=True)


def train():
    """Return the guide's model and its split, under the guide's names."""
    breast_cancer_data = load_breast_cancer()
    x_train, x_test, y_train, _y_test = train_test_split(
        breast_cancer_data.data, breast_cancer_data.target, test_size=0.2, random_state=0
    )
    # The guide's line, and a seed for the folds that calibrate it. scikit-learn 1.9 deprecates
    # `probability`, which it keeps until 1.11; here works as well
    # CalibratedClassifierCV(svm.SVC(gamma=0.001, C=100.0), ensemble=False).
    warnings.filterwarnings("ignore", "The `probability` parameter", FutureWarning)
    clf = svm.SVC(gamma=0.001, C=100.0, probability=True, random_state=0)
    return clf.fit(x_train, y_train), x_train, x_test, breast_cancer_data


@contextmanager
def serving(artifact):
    """Start the server on a free port; yield its address; stop it."""
    command = [sys.executable, "-m", "shapserve", "serve", "--artifact", str(artifact)]
    command += ["--drain-seconds", "0"]  # nobody else asks, so nobody has to notice
    log = (ROOT / "build" / "demo-server.log").open("w+", encoding="utf-8")
    with log, subprocess.Popen([*command, "--port", "0"], stderr=log, cwd=ROOT) as server:
        try:
            yield ready(server, Path(log.name))
        finally:
            server.terminate()
            server.wait(30)


def ready(server, log):
    """Wait for the line in which the server says where it listens."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        words = log.read_text(encoding="utf-8").split()
        addresses = [word for word in words if word.startswith("http://")]
        if addresses and answers(f"{addresses[0]}/health/ready"):
            return addresses[0]
        if server.poll() is not None:
            break
        time.sleep(0.02)
    raise SystemExit(f"the server did not start:\n{log.read_text(encoding='utf-8')}")


def answers(url):
    """Whether a GET of the address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 our own loopback
            return response.status == 200
    except OSError:
        return False


def post(url, body):
    """POST JSON with curl, as anybody would; with Python where curl is not installed."""
    if shutil.which("curl"):
        content = ["--header", "Content-Type: application/json", "--data", f"@{body}"]
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", *content, url]
        print(f"$ curl --header 'Content-Type: application/json' --data @{body.name} {url}")
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    request = urllib.request.Request(  # noqa: S310 our own loopback
        url, body.read_bytes(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310 our own loopback
        return response.read().decode()


def table(answer, top=3):
    """Prediction and strongest importances of every row, for the predicted class."""
    lines = [f"{'row':>3}  {'prediction':<14} {'probability':>11}  strongest importances"]
    for row, label in enumerate(answer["predictions"]):
        values = answer["local_importance_values"][label][row]
        order = sorted(range(len(values)), key=lambda j: -abs(values[j]))[:top]
        why = ", ".join(f"{answer['features'][j]} {values[j]:+.3f}" for j in order)
        name, probability = answer["classes"][label], answer["probabilities"][row][label]
        lines.append(f"{answer['index'][row]:>3}  {name:<14} {probability:>11.3f}  {why}")
    return "\n".join(lines)


def main():
    """Go the whole way."""
    with stage("train SVC(gamma=0.001, C=100, probability=True), 455 rows"):
        model, x_train, x_test, data = train()
    with stage("build the full explainer (TabularExplainer)"):
        explainer = TabularExplainer(
            model, x_train, features=data.feature_names, classes=data.target_names
        )
    with stage("distil it (KernelScoringExplainer) and measure the result"):
        scoring_explainer = KernelScoringExplainer(
            explainer, validation=x_test, name="breast-cancer", version="1", progress=True
        )
    report = scoring_explainer.report
    print(
        f"  {report['n_coalitions']} coalitions, {report['background']}: relative RMS error "
        f"{report['relative_rms_error']:.1%} against {report['reference']}; the summary of the "
        f"background costs {report['background_error']['relative_rms']:.0%}"
    )
    with stage("save the artifact"):
        save(scoring_explainer, ARTIFACT, exist_ok=True)
    form = json.loads((ARTIFACT / "manifest.json").read_text(encoding="utf-8"))["model"]["form"]
    print(f"  build/{ARTIFACT.name}, model as {form}, sha256 {artifact_sha256(ARTIFACT)}")

    examples = pd.DataFrame(x_test[:N_ROWS], columns=data.feature_names)
    body = ROOT / "build" / "request.json"
    body.write_text(examples.to_json(), encoding="utf-8")
    start = time.perf_counter()
    with serving(ARTIFACT) as url:
        print(f"{'start the server':<62} {time.perf_counter() - start:7.2f} s", flush=True)
        with stage("check it with deploy/smoke.sh"):
            smoke = ["sh", str(ROOT / "deploy" / "smoke.sh"), url]
            subprocess.run(smoke, check=True, stdout=subprocess.DEVNULL)
        with stage(f"score and explain {N_ROWS} rows"):
            raw = post(f"{url}/score", body)
    answer = json.loads(raw)
    print(f"\n{table(answer)}\n\nThe answer as it came:\n{raw}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
