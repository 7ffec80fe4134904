"""The full explainers of the guide."""

from scoring.explainers.tabular import TabularExplainer

__all__ = ["TabularExplainer"]
