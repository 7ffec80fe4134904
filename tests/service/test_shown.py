"""The gap of what is told is the gap of just that."""

import numpy as np
import pytest

from scoring import LocalExplanation
from scoring.explanation import Scored
from service.codec.shown import shown
from service.options import Options

CLASSES = {0: "no", 1: "yes"}
OFF = np.array([[0.5, 0.0], [0.0, 0.25]])  # how far values are from adding up, per row and output


@pytest.fixture
def scored():
    values = np.random.default_rng(0).normal(size=(2, 3, 2))
    outputs = values.sum(axis=1) + OFF
    told = ("a", "b", "c"), ("no", "yes"), "probability"
    explanation = LocalExplanation(
        values, np.zeros(2), outputs, *told, classification=True, method="kernel"
    )
    return Scored(np.array([0, 0]), outputs, explanation)


@pytest.mark.parametrize(
    ("options", "gap"),
    [
        (Options(), [0.5, 0.25]),
        (Options(top_k=1), [0.5, 0.25]),
        (Options(outputs=("yes",)), [0.0, 0.25]),
        (Options(outputs=("yes",), top_k=2), [0.0, 0.25]),
        (Options(outputs="predicted"), [0.5, 0.0]),
    ],
)
def test_the_gap_is_that_of_the_outputs_that_are_told(scored, options, gap):
    np.testing.assert_allclose(shown(scored, options, CLASSES).additivity_gap, gap, atol=1e-12)
