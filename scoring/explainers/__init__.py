"""The full explainers of the guide, and the surrogates that a mimic may use."""

from scoring.explainers.mimic import MimicExplainer
from scoring.explainers.permutation import PFIExplainer
from scoring.explainers.tabular import TabularExplainer
from scoring.explainers.task import ModelTask
from scoring.surrogates import (
    DecisionTreeExplainableModel,
    LGBMExplainableModel,
    LinearExplainableModel,
    SGDExplainableModel,
)

__all__ = [
    "DecisionTreeExplainableModel",
    "LGBMExplainableModel",
    "LinearExplainableModel",
    "MimicExplainer",
    "ModelTask",
    "PFIExplainer",
    "SGDExplainableModel",
    "TabularExplainer",
]
