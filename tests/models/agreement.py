"""A model's way through distillation and an artifact, held against the model itself."""

from __future__ import annotations

import tempfile

import numpy as np

from scoring import KernelScoringExplainer, TabularExplainer, artifact_sha256, load, save

rng = np.random.default_rng(3)
X = rng.normal(size=(90, 3)).round(2)
ROWS = np.concatenate([X[:12], rng.normal(scale=3, size=(20, 3)), np.zeros((1, 3))])
"""Rows of training, and others from further away."""


def labelled(labels):
    """Labels (90,) that depend on the rows, each of them often."""
    score = X[:, 0] + 0.5 * X[:, 1]
    ends = {2: [0.0], 3: [-0.5, 0.5]}[len(labels)]
    return np.array(labels)[np.digitize(score, ends)]


def reloaded(explainer):
    """Distil, save and load."""
    distilled = KernelScoringExplainer(explainer, reference_rows=0)
    with tempfile.TemporaryDirectory() as directory:
        save(distilled, directory, exist_ok=True)
        return load(directory, artifact_sha256(directory))


def agrees(explainer, labels, outputs, *, rows=ROWS, tolerance=1e-5):
    """Hold an artifact of a full explainer against labels and outputs of rows; return it."""
    loaded = reloaded(explainer)
    said = loaded.predict(rows)
    assert said.shape == (len(rows),)
    assert said.tolist() == np.ravel(labels).tolist()
    found = loaded.explain_local(rows)
    expected = np.reshape(outputs, (len(rows), -1))
    scale = np.ptp(expected, axis=0).max()
    np.testing.assert_allclose(found.outputs, expected, atol=tolerance * scale)
    total = np.asarray(found.base_values) + found.values.sum(axis=1)
    np.testing.assert_allclose(total, found.outputs, atol=1e-5 * scale)
    return loaded


def explained(model, **options):
    """The full explainer of a model against a few rows."""
    return TabularExplainer(model, X[:15], **options)
