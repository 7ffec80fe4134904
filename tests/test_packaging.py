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


@pytest.mark.parametrize("name", ["dev", "serve", "build", "deep"])
def test_every_locked_requirement_has_a_hash(name):
    requirements = read_lock(name)
    assert requirements
    assert min(requirements.values()) > 0


def test_what_is_served_is_what_was_tested():
    assert read_lock("serve").keys() < read_lock("dev").keys()
    assert read_lock("build").keys() < read_lock("dev").keys()


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


def test_both_packages_are_marked_as_typed():
    assert (ROOT / "scoring" / "py.typed").is_file()
    assert (ROOT / "service" / "py.typed").is_file()


# --- Commands -----------------------------------------------------------------------------------


def test_make_lists_every_command_and_can_run_it():
    asked = "bench check clean deep demo format help image lint lock serve setup soak test wheel"
    listed = re.findall(r"^make (\w+) +\S", run("make", "help"), re.MULTILINE)
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
    assert set(re.findall(r"[\w-]+\.lock", DOCKERFILE)) == {"serve.lock", "build.lock"}
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


# --- Manifests ----------------------------------------------------------------------------------

MANIFESTS = {
    document["kind"]: document
    for path in sorted((ROOT / "deploy").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
}
POD = MANIFESTS["Deployment"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]
IMAGE = f"shapserve:{PROJECT['project']['version']}"


def test_kustomize_takes_every_manifest():
    listed = MANIFESTS["Kustomization"]["resources"]
    on_disk = {path.name for path in (ROOT / "deploy").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == on_disk


def test_selectors_and_ports_agree():
    deployment, service = MANIFESTS["Deployment"]["spec"], MANIFESTS["Service"]["spec"]
    labels = POD["metadata"]["labels"].items()
    assert deployment["selector"]["matchLabels"].items() <= labels
    assert service["selector"].items() <= labels
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert {port["targetPort"] for port in service["ports"]} <= ports.keys()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert CONTAINER[probe]["httpGet"]["port"] in ports
    env = {variable["name"]: variable["value"] for variable in CONTAINER["env"]}
    assert int(env["SHAPSERVE_PORT"]) == ports["http"]
    assert env["SHAPSERVE_ARTIFACT"] in {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}


def test_every_mount_has_its_volume():
    mounts = {mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert mounts == {volume["name"] for volume in POD["spec"]["volumes"]}


def test_the_pod_may_do_nothing_it_does_not_need():
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"]
    assert pod["runAsUser"] == int(find(r"^USER (\d+)", DOCKERFILE)[1])
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["readOnlyRootFilesystem"]
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert POD["spec"]["enableServiceLinks"] is False
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} <= CONTAINER["resources"]["limits"].keys()


def test_one_version_everywhere():
    assert CONTAINER["image"] == IMAGE
    assert f"IMAGE ?= {IMAGE}\n" in (ROOT / "Makefile").read_text()
    override = MANIFESTS["Kustomization"]["images"][0]
    assert f"{override['name']}:{override['newTag']}" == IMAGE
    assert metadata.version("shapserve") == PROJECT["project"]["version"]


def test_the_command_is_installed():
    scripts = metadata.distribution("shapserve").entry_points
    assert {script.name: script.value for script in scripts} == {"shapserve": "service.cli:main"}
    assert (Path(sys.prefix) / "bin" / "shapserve").is_file()
