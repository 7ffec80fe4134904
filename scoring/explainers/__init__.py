"""The full explainers of the guide."""

from scoring.explainers.permutation import PFIExplainer
from scoring.explainers.tabular import TabularExplainer

__all__ = ["PFIExplainer", "TabularExplainer"]
