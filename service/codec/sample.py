"""What a client needs to know of the schema, and a body that works."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.feature import Feature
from scoring.schema import FeatureSchema
from scoring.times import iso_text

__all__ = ["feature_documents", "sample_body"]


def feature_documents(schema: FeatureSchema) -> list[dict[str, Any]]:
    """Describe each feature: its type, what training saw, and what is accepted."""
    return [
        {
            "name": feature.name,
            "type": "datetime" if feature.is_time else feature.kind,
            "minimum": _end(feature, feature.minimum),
            "maximum": _end(feature, feature.maximum),
            "categories": list(feature.categories or feature.allowed) or None,
            "allows_missing": feature.allows_missing,
            "allows_unseen": feature.allows_unseen,
        }
        for feature in schema.features
    ]


def _end(feature: Feature, code: float | None) -> float | str | None:
    return iso_text(code, feature.dtype) if feature.is_time and code is not None else code


def sample_body(schema: FeatureSchema, codes: NDArray[np.float64]) -> dict[str, dict[str, Any]]:
    """Write one row of codes (n_features,) as a request's body, oriented by columns."""
    pairs = zip(schema.features, codes.tolist(), strict=True)
    return {feature.name: {"0": _value(feature, code)} for feature, code in pairs}


def _value(feature: Feature, code: float) -> Any:
    if math.isnan(code):
        return None
    if feature.is_category:
        return feature.categories[int(code)]
    if feature.is_time:
        return iso_text(code, feature.dtype)
    if feature.kind == "boolean":
        return bool(code)
    return int(code) if feature.kind == "integer" else code
