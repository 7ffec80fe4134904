"""Fitted models with their faces and backgrounds, as a scoring explainer has them."""

from dataclasses import replace

import numpy as np
from sklearn.base import is_regressor

from scoring.background import whole
from scoring.distillation.domain import with_domain
from scoring.forms import order
from scoring.predictor import adapt
from scoring.schema import FeatureSchema
from tests.saved import rows

X, Y = rows(120)
VALUES = X[:, 0] * 3 + np.sin(X[:, 1]) * 100


def fitted(model, y=None, space=None, x=X):
    """A model with its face and the background of its rows, as a scoring explainer has them."""
    if y is None:
        y = VALUES if is_regressor(model) else Y
    schema = FeatureSchema.infer(x)
    predictor = adapt(model.fit(x, y), schema, space)
    with_gaps = replace(
        schema, features=tuple(replace(f, allows_missing=True) for f in schema.features)
    )
    table = with_gaps.encode(x)
    schema, table = with_domain(schema, predictor, table)
    predictor = adapt(model, schema, space, probe=table.take(slice(0, 3)))
    return predictor, whole(table.take(slice(0, 40)))


def carried(model, y=None, space=None):
    predictor, background = fitted(model, y, space)
    return predictor, order.carry(predictor, background, background.table.codes[0])


def taken(predictor, result):
    """The predictor with the copy that its form gives back."""
    return replace(predictor, model=order.take(result.facts, result.files, predictor.schema))
