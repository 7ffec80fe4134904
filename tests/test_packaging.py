"""What is shipped: locks, licence, commands, image and manifests say the same thing."""

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOT_SERVED = {"numba", "pandas", "scikit-learn", "scipy", "shap"}


def find(pattern, text):
    match = re.search(pattern, text, re.MULTILINE)
    assert match, f"nothing matches {pattern}"
    return match


def run(*command):
    # An outer make hands its own options down, which are none of an inner one's business.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def read_lock(name):
    """Requirements of a lock file: {(name, version): number of hashes}."""
    requirements, current = {}, ("", "")
    for line in (ROOT / "requirements" / f"{name}.lock").read_text().splitlines():
        if match := re.match(r"([a-z0-9-]+)==([^ ;]+)( ; .+?)? \\$", line):
            current = (match[1], match[2])
            requirements[current] = 0
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
            requirements[current] += 1
    return requirements


# --- Nothing that holds only here ---------------------------------------------------------------

ELSEWHERE = {
    "a package registry": r"pypi\.(org|python)|python[h]osted\.|conda\.anaconda\.",
    "an image registry": r"\b(docker|quay|ghcr|gcr)\.io\b",
    "an index address": r"--(extra-)?index-url|--find[-]links|/simple[/]",
    "somebody's home": r"(?<![\w.])/(root|home|Users)/",
}


def tracked_texts():
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, names.split("\0")):
        if (path := ROOT / name).is_file():
            yield name, path.read_bytes().decode(errors="replace")


@pytest.mark.parametrize("what", [*ELSEWHERE, "this clone"])
def test_no_file_names(what):
    pattern = re.compile(ELSEWHERE.get(what, re.escape(f"{ROOT}/")))
    found = [
        f"{name}: {match[0]}" for name, text in tracked_texts() if (match := pattern.search(text))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a package registry", "https://files.python" + "hosted.org/packages"),
        ("a package registry", "https://pypi" + ".org/"),
        ("an image registry", "FROM docker" + ".io/library/python"),
        ("an index address", "--extra-index" + "-url https://example.org"),
        ("somebody's home", "cd /ro" + "ot/project"),
    ],
)
def test_the_patterns_find_what_they_are_for(what, text):
    assert re.search(ELSEWHERE[what], text)


# --- Locks and metadata -------------------------------------------------------------------------


EXTRAS = sorted(path.stem for path in (ROOT / "requirements" / "extras").glob("*.lock"))


@pytest.mark.parametrize(
    "name", ["dev", "serve", "build", "deep", "sbom", *(f"extras/{name}" for name in EXTRAS)]
)
def test_every_locked_requirement_has_a_hash(name):
    requirements = read_lock(name)
    assert requirements
    assert min(requirements.values()) > 0


def test_what_is_served_is_what_was_tested():
    assert read_lock("serve").keys() < read_lock("dev").keys()
    assert read_lock("build").keys() < read_lock("dev").keys()


@pytest.mark.parametrize("name", sorted(set(EXTRAS) - {"xgboost"}))
def test_an_extra_is_locked_as_it_was_tested(name):
    locked = read_lock(f"extras/{name}")
    assert read_lock("serve").keys() < locked.keys() < read_lock("dev").keys()


def test_xgboost_is_locked_as_it_was_tested_where_it_was():
    more = {name for name, _ in read_lock("extras/xgboost").keys() - read_lock("dev").keys()}
    assert more == {"nvidia-nccl-cu12", "nvidia-nccl-cu13", "xgboost"}  # elsewhere than on x86_64


def test_serving_is_locked_without_the_offline_libraries():
    assert not NOT_SERVED & {name for name, _ in read_lock("serve")}
    assert {name for name, _ in read_lock("dev")} > NOT_SERVED  # the names are spelled right


def test_declared_dependencies_are_locked():
    def names(requirements):
        return {find(r"^[\w-]+", requirement)[0].lower() for requirement in requirements}

    assert names(PROJECT["project"]["dependencies"]) <= {name for name, _ in read_lock("serve")}
    assert names(PROJECT["build-system"]["requires"]) <= {name for name, _ in read_lock("build")}


def test_the_licence_is_named_and_enclosed():
    assert metadata.metadata("shapserve")["License-Expression"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "Copyright The shapserve authors" in text


def test_the_packages_are_marked_as_typed():
    for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert (ROOT / package / "py.typed").is_file()


# --- Commands -----------------------------------------------------------------------------------


def test_make_lists_every_command_and_can_run_it():
    asked = """alerts bench bench-service check checkov clean clients deep demo deploy e2e format
        help image kubectl lint lock play sbom serve setup soak test undeploy unplay wheel"""
    listed = re.findall(r"^make ([\w-]+) +\S", run("make", "help"), re.MULTILINE)
    assert sorted(listed) == asked.split()
    for target in listed:
        run("make", "--dry-run", target)


def test_make_tells_an_old_python_what_is_needed(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError) as error:
        run("make", "--always-make", "setup", f"PYTHON={old}")
    assert "needs Python 3.11 or newer" in error.value.stderr


def test_ci_runs_the_tests_and_then_the_soak():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    run("bash", "-n", str(script))
    text = script.read_text()
    assert "set -euo pipefail" in text
    assert 0 < text.index("timed test") < text.index("timed soak")


# --- Image --------------------------------------------------------------------------------------

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_image_installs_only_from_the_serving_and_build_locks():
    locks = set(re.findall(r"-r ([\w$/]+\.\w+)", DOCKERFILE))
    assert locks == {
        *("serve.lock", "extras/$extra.lock", "own/requirements.txt"),
        *("requirements/all.txt", "requirements/build.lock"),
    }
    installs = re.findall(r"pip\b.*? (?:install|wheel) .*", DOCKERFILE)
    assert len(installs) == 4
    for install in installs:
        assert "--require-hashes" in install or "--no-deps" in install, install
    assert "--no-build-isolation" in DOCKERFILE


def test_the_image_runs_the_server_as_nobody_in_particular():
    served = DOCKERFILE.rpartition("FROM ")[2]
    assert json.loads(find(r"^ENTRYPOINT (.+)$", served)[1]) == ["shapserve", "serve"]
    assert json.loads(find(r"^HEALTHCHECK .+\n +CMD (.+)$", served)[1])[:2] == ["python", "-c"]
    user, group = find(r"^USER (\d+):(\d+)$", served).groups()
    assert int(user) > 0
    assert int(group) > 0
    for setting in ("HOST=0.0.0.0", "PORT=8000", "ARTIFACT=/artifact"):
        assert f"SHAPSERVE_{setting}" in served


def test_arguments_and_extras_of_the_image_are_documented():
    text = (ROOT / "docs" / "container.md").read_text()
    asked = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE)) | set(EXTRAS)
    assert {name for name in asked if f"`{name}`" not in text} == set()


def test_an_artifact_is_baked_in_with_three_lines():
    lines = (ROOT / "deploy" / "artifact.Dockerfile").read_text().splitlines()
    assert len(lines) == 3
    assert lines[0] == f"ARG IMAGE=shapserve:{PROJECT['project']['version']}"


# --- Manifests: tests/deploy has the others -----------------------------------------------------

DEPLOY = ROOT / "deploy"
KUSTOMIZATIONS = [
    yaml.safe_load((DEPLOY / path / "kustomization.yaml").read_text()) for path in (".", "base")
]
PODS = [
    yaml.safe_load((DEPLOY / path).read_text())["spec"]["template"]["spec"]
    for path in ("smoke-job.yaml", "base/deployment.yaml")
]


def test_pods_and_image_know_one_user():
    served = DOCKERFILE.rpartition("FROM ")[2]
    user, group = map(int, find(r"^USER (\d+):(\d+)$", served).groups())
    for pod in PODS:
        context = pod["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"]) == (user, group)


def test_one_version_everywhere():
    image = f"shapserve:{PROJECT['project']['version']}"
    assert f"IMAGE ?= {image}\n" in (ROOT / "Makefile").read_text()
    for kustomization in KUSTOMIZATIONS:
        [override] = kustomization["images"]
        assert f"{override['name']}:{override['newTag']}" == image
    assert {each["image"] for pod in PODS for each in pod["containers"]} == {"shapserve"}
    assert metadata.version("shapserve") == PROJECT["project"]["version"]


def test_the_command_is_installed():
    scripts = metadata.distribution("shapserve").entry_points
    assert {script.name: script.value for script in scripts} == {
        "shapserve": "shapserve.start:main"
    }
    assert (Path(sys.prefix) / "bin" / "shapserve").is_file()
