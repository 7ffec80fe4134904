"""The names that people import, and what importing them costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import scoring

PUBLIC = [
    "ArtifactCorrupt",
    "ArtifactError",
    "ArtifactMissing",
    "ArtifactUnsupported",
    "ArtifactUntrusted",
    "DecisionTreeExplainableModel",
    "FidelityError",
    "GlobalExplanation",
    "KernelScoringExplainer",
    "LGBMExplainableModel",
    "LinearExplainableModel",
    "LinearScoringExplainer",
    "LocalExplanation",
    "MimicExplainer",
    "ModelError",
    "OnnxModel",
    "PFIExplainer",
    "ParameterError",
    "RowsError",
    "SGDExplainableModel",
    "ShapserveError",
    "TabularExplainer",
    "TreeScoringExplainer",
    "__version__",
    "artifact_sha256",
    "load",
    "save",
]


def test_the_list_of_public_names():
    assert sorted(scoring.__all__) == sorted(PUBLIC)
    assert set(PUBLIC) <= set(dir(scoring))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_imported(name):
    assert getattr(scoring, name) is not None
    if name != "__version__":
        assert getattr(scoring, name).__name__ == name


def test_type_checkers_read_the_same_modules():
    tree = ast.parse(Path(scoring.__file__).read_text(encoding="utf-8"))
    branch = next(node for node in tree.body if isinstance(node, ast.If))
    imports = (node for node in branch.body if isinstance(node, ast.ImportFrom))
    read = {node.module: tuple(alias.name for alias in node.names) for node in imports}
    assert read == scoring.MODULES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'KernelExplainer'"):
        scoring.KernelExplainer  # noqa: B018 asking is the test


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, scoring; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "pandas", "sklearn", "shap"} & set(run.stdout.split())
