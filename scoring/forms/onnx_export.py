"""Estimators to ONNX: several ways of writing the same model, the most precise one first."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from scoring.feature import Feature
from scoring.forms.estimators import sklearn_trees
from scoring.forms.onnx import OnnxModel
from scoring.forms.refused import FormRefused, first_line
from scoring.predictor import EstimatorModel, OutputSpace
from scoring.schema import FeatureSchema

__all__ = ["candidates"]


def candidates(model: EstimatorModel, space: OutputSpace) -> Iterator[tuple[str, OnnxModel]]:
    """Yield ways of writing a model, each with a name, one after the other as they are asked for.

    Double precision before single, but not for trees: scikit-learn's compare single-precision
    values. For a model trained on a frame of numbers one matrix before a column for each feature.
    Scores of the explained space, and probabilities where the model has them, each in a file.

    Raises
    ------
    FormRefused
        When all are yielded or failed; with the reasons of those that failed.
    """
    reasons = []
    has_trees = any(True for _ in sklearn_trees(model.estimator))
    for precision in ("float", "double") if has_trees else ("double", "float"):
        for shape in ("matrix", "columns"):
            has_text = any(feature.is_category for feature in model.schema.features)
            if has_text if shape == "matrix" else not (has_text or model.schema.frame):
                continue
            try:
                yield f"{precision} {shape}", _convert(model, space, precision, shape)
            except FormRefused as error:
                reasons.append(f"{precision} {shape}: {error}")
    raise FormRefused("; ".join(reasons))


def _convert(model: EstimatorModel, space: OutputSpace, precision: str, shape: str) -> OnnxModel:
    spaces: tuple[OutputSpace, ...] = (space,)
    if "probability" in model.spaces and space != "probability":
        spaces = ("probability", space)  # the first answers `predict` too
    try:
        inputs = _inputs(model.schema, precision, shape)
        files = {s: _export(model.estimator, inputs, s) for s in spaces}
        return OnnxModel(files, model.labels, [len(f.categories) for f in model.schema.features])
    except Exception as error:
        raise FormRefused(first_line(error)) from error


def _inputs(schema: FeatureSchema, precision: str, shape: str) -> list[tuple[str, Any]]:
    from skl2onnx.common import data_types as types

    number = types.DoubleTensorType if precision == "double" else types.FloatTensorType
    if shape == "matrix":
        return [("rows", number([None, schema.n_features]))]

    def kind(feature: Feature) -> Any:
        if not feature.is_category:
            return number([None, 1])
        if feature.category_type is str:
            return types.StringTensorType([None, 1])
        return (
            number([None, 1])
            if feature.category_type is float
            else types.Int64TensorType([None, 1])
        )

    return [(feature.name, kind(feature)) for feature in schema.features]


def _export(estimator: Any, inputs: list[tuple[str, Any]], space: OutputSpace) -> bytes:
    """Convert for one output space; which options a converter knows is found by asking it."""
    import skl2onnx

    last = estimator
    while hasattr(last, "steps"):
        last = last.steps[-1][1]
    matrix, raw = {"zipmap": False}, {"raw_scores": True}
    ways: dict[OutputSpace, list[dict[str, bool]]] = {
        "probability": [matrix, {}],
        "margin": [matrix | raw, raw, matrix, {}],
        "value": [{}],
    }
    for options in ways[space]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what matters of them is measured
                logging.getLogger("skl2onnx").setLevel(logging.ERROR)
                converted = skl2onnx.convert_sklearn(
                    estimator,
                    initial_types=inputs,
                    options={id(last): options} if options else None,
                    name="model",
                )
        except NameError:  # the converter does not know one of the options
            if options == ways[space][-1]:
                raise
        else:
            _route_missing(converted, estimator)
            data: bytes = converted.SerializeToString()
            return data
    raise AssertionError  # the last way either returned or raised


def _route_missing(model: Any, estimator: Any) -> None:
    """Send missing values down the branch that scikit-learn sends them; skl2onnx does not.

    Its nodes stand in the order of the trees and of their nodes. Where that is not so, nothing is
    changed; either way the copy has to answer like the original.
    """
    import onnx

    trees = [tree for tree in sklearn_trees(estimator) if tree.missing_go_to_left.any()]
    ensembles = [node for node in model.graph.node if node.op_type.startswith("TreeEnsemble")]
    sizes = {node.name: _length(node, "nodes_nodeids") for node in ensembles}
    if not trees or sum(sizes.values()) != sum(t.node_count for t in sklearn_trees(estimator)):
        return
    to_left = np.concatenate([tree.missing_go_to_left for tree in sklearn_trees(estimator)])
    start = 0
    for node in ensembles:
        own = to_left[start : start + sizes[node.name]]
        start += sizes[node.name]
        kept = [a for a in node.attribute if a.name != "nodes_missing_value_tracks_true"]
        del node.attribute[:]
        routed = onnx.helper.make_attribute("nodes_missing_value_tracks_true", own.tolist())
        node.attribute.extend([*kept, routed])


def _length(node: Any, name: str) -> int:
    return next((len(a.ints) for a in node.attribute if a.name == name), 0)
