"""Models that stand for others because they can be explained exactly."""

from scoring.surrogates.linear import LinearExplainableModel, SGDExplainableModel
from scoring.surrogates.trees import DecisionTreeExplainableModel, LGBMExplainableModel

__all__ = [
    "DecisionTreeExplainableModel",
    "LGBMExplainableModel",
    "LinearExplainableModel",
    "SGDExplainableModel",
]
