"""Shapley values at inference time: full explainers, distillation, artifacts.

NumPy in, NumPy out; knows nothing of HTTP. The public names load their modules when they are first
used, so that a serving process imports nothing that its artifact does not need.

Examples
--------
>>> from scoring import KernelScoringExplainer, TabularExplainer, save
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoring.artifact import artifact_sha256, load, save
    from scoring.errors import (
        ArtifactCorrupt,
        ArtifactError,
        ArtifactMissing,
        ArtifactUnsupported,
        ArtifactUntrusted,
        FidelityError,
        ModelError,
        ParameterError,
        RowsError,
        ShapserveError,
    )
    from scoring.explainers.mimic import MimicExplainer
    from scoring.explainers.permutation import PFIExplainer
    from scoring.explainers.tabular import TabularExplainer
    from scoring.explanation import LocalExplanation
    from scoring.forms.onnx import OnnxModel
    from scoring.global_explanation import GlobalExplanation
    from scoring.scoring_explainers import (
        KernelScoringExplainer,
        LinearScoringExplainer,
        TreeScoringExplainer,
    )
    from scoring.surrogates import (
        DecisionTreeExplainableModel,
        LGBMExplainableModel,
        LinearExplainableModel,
        SGDExplainableModel,
    )

    __version__: str

__all__ = [
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

MODULES = {
    "scoring.artifact": ("artifact_sha256", "load", "save"),
    "scoring.errors": (
        "ArtifactCorrupt",
        "ArtifactError",
        "ArtifactMissing",
        "ArtifactUnsupported",
        "ArtifactUntrusted",
        "FidelityError",
        "ModelError",
        "ParameterError",
        "RowsError",
        "ShapserveError",
    ),
    "scoring.explainers.mimic": ("MimicExplainer",),
    "scoring.explainers.permutation": ("PFIExplainer",),
    "scoring.explainers.tabular": ("TabularExplainer",),
    "scoring.explanation": ("LocalExplanation",),
    "scoring.forms.onnx": ("OnnxModel",),
    "scoring.global_explanation": ("GlobalExplanation",),
    "scoring.scoring_explainers": (
        "KernelScoringExplainer",
        "LinearScoringExplainer",
        "TreeScoringExplainer",
    ),
    "scoring.surrogates": (
        "DecisionTreeExplainableModel",
        "LGBMExplainableModel",
        "LinearExplainableModel",
        "SGDExplainableModel",
    ),
}
"""The module of every public name; a test holds it against what type checkers read above."""


def __getattr__(name: str) -> Any:
    """Import a public name's module (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("shapserve")
        except PackageNotFoundError:
            return "unknown"
    for module, names in MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
