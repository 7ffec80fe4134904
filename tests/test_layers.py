"""Who may import whom, read off the sources."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OFFLINE = {"shap", "pandas", "sklearn", "scipy", "skops", "joblib", "numba", "pyarrow", "skl2onnx"}
OFFLINE |= {"polars"}
HTTP = {
    "fastapi",
    "httptools",
    "starlette",
    "pydantic",
    "pydantic_settings",
    "prometheus_client",
    "uvicorn",
}
BEGINNINGS = {"__init__.py", "start.py", "cli/__main__.py"}
ALLOWED_TO_IMPORT_SCORING = {"app", "scorer", "codec", "errors", "fetch", "cli"}


def imported(path, *, top_level=False):
    """First parts of the modules that a file imports; at its top level only, if asked."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level else list(ast.walk(tree))
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def sources(package):
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", sources("scoring"), ids=lambda p: str(p.relative_to(ROOT)))
def test_scoring_knows_nothing_of_http(path):
    assert not imported(path) & (HTTP | {"service", "shapserve"})


@pytest.mark.parametrize("path", sources("service"), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_edge_of_the_service_imports_scoring(path):
    room = path.relative_to(ROOT / "service").parts[0].removesuffix(".py")
    if room not in ALLOWED_TO_IMPORT_SCORING:
        assert "scoring" not in imported(path)


@pytest.mark.parametrize("path", sources("service"), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_where_the_service_begins_does_it_import_what_is_above(path):
    if str(path.relative_to(ROOT / "service")) not in BEGINNINGS:
        assert "shapserve" not in imported(path)


def test_importing_the_public_name_imports_nothing_heavy():
    code = "import sys; old = {*sys.modules}; import shapserve.start; print(*{*sys.modules} - old)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    packages = {name.partition(".")[0] for name in run.stdout.split()}
    assert packages - sys.stdlib_module_names == {"shapserve"}


@pytest.mark.parametrize(
    "path",
    [*sources("scoring"), *sources("service"), *sources("shapserve")],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_offline_libraries_are_imported_where_they_are_used(path):
    assert not imported(path, top_level=True) & OFFLINE


def test_importing_the_server_imports_no_offline_library():
    code = "import sys, service.app, service.cli, scoring.artifact; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(run.stdout.split())
    assert not modules & OFFLINE
    assert not [name for name in modules if name.startswith("scoring.distillation")]
