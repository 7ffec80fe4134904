"""Shapley values at inference time: full explainers, distillation, artifacts.

NumPy in, NumPy out; knows nothing of HTTP.
"""
