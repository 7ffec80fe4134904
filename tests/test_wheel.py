"""The built wheel, in an environment that holds the serving lock and nothing else, serves."""

import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest

ROOT = Path(__file__).resolve().parent.parent
ARTIFACT = ROOT / "tests" / "artifacts" / "v1"
OFFLINE = ["numba", "pandas", "pytest", "scipy", "shap", "sklearn", "skops"]

# Installing takes most of it; a slow network must not look like a failure.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def run(*command, timeout, **options):
    result = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    run(*build, timeout=120)
    [path] = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def clean_env(wheel, tmp_path_factory):
    """The `bin` directory of an environment that holds what an operator would install."""
    directory = tmp_path_factory.mktemp("env")
    run(sys.executable, "-m", "venv", directory, timeout=120)
    install = [directory / "bin" / "python", "-m", "pip", "install", "--quiet"]
    run(*install, "--require-hashes", "-r", ROOT / "requirements" / "serve.lock", timeout=600)
    run(*install, "--no-deps", wheel, timeout=120)
    return directory / "bin"


def away_from_the_sources(tmp_path):
    """Options for subprocesses that can reach the project only as it was installed."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "PYTHONHOME"} and not name.startswith("SHAPSERVE_")
    }
    return {"cwd": tmp_path, "env": env}


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "scoring",
        "service",
        "shapserve",
    }
    assert {"scoring/py.typed", "service/py.typed", "shapserve/py.typed"} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_nothing_that_only_distilling_needs_is_installed(clean_env, tmp_path):
    code = "import importlib.util as u, sys; print([m for m in sys.argv[1:] if u.find_spec(m)])"
    options = away_from_the_sources(tmp_path)
    python = clean_env / "python"
    assert run(python, "-c", code, *OFFLINE, timeout=60, **options) == "[]\n"
    assert run(python, "-c", code, "service", timeout=60, **options) == "['service']\n"
    run(python, "-m", "pip", "check", timeout=60, **options)


def test_every_module_that_is_imported_at_start_is_installed(clean_env, tmp_path):
    shown = run(clean_env / "shapserve", "--help", timeout=60, **away_from_the_sources(tmp_path))
    for command in ("distil", "serve", "score", "inspect"):
        assert command in shown


def wait_until_ready(url, server, log):
    opener = build_opener(ProxyHandler({}))  # the loopback is not behind any proxy
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            with opener.open(f"{url}/health/ready", timeout=5):
                return
        except (URLError, ConnectionError):  # not there yet, or not ready yet
            time.sleep(0.05)
    pytest.fail(f"not ready after 30 s:\n{log.read_text()}")


def test_it_serves_the_frozen_artifact_and_stops_when_told(clean_env, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log"
    command = [clean_env / "shapserve", "serve", "--artifact", ARTIFACT, "--port", str(port)]
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, **away_from_the_sources(tmp_path)
        ) as server,
    ):
        try:
            wait_until_ready(url, server, log)
            # Asks for the schema, posts its sample to /score and checks that the values add up.
            shown = run(ROOT / "deploy" / "smoke.sh", url, timeout=60)
            assert "ok    additivity" in shown
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=15) == 0, log.read_text()
        finally:
            server.kill()
