"""Small models, tables of many kinds, and what every explanation of any of them must keep to."""

from __future__ import annotations

import numpy as np

from scoring import (
    DecisionTreeExplainableModel,
    KernelScoringExplainer,
    LGBMExplainableModel,
    LinearExplainableModel,
    SGDExplainableModel,
    artifact_sha256,
    load,
    save,
)
from scoring.surrogates.surrogate import ExplainableModel

SURROGATES: list[type[ExplainableModel]] = [
    LGBMExplainableModel,
    LinearExplainableModel,
    SGDExplainableModel,
    DecisionTreeExplainableModel,
]
QUIET = {"lightgbm": {"verbosity": -1}}
"""Arguments of surrogates that talk."""

N_ROWS = 80
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N_ROWS, 4)).round(3)
SCORE = X[:, 0] - X[:, 1] * X[:, 2]
ROWS = np.concatenate([X[:3], 2 * RNG.normal(size=(3, 4)).round(3)])  # half of them new
TARGETS = {
    "binary": (SCORE > 0).astype(int),
    "texts": np.where(SCORE > 0, "yes", "no"),
    "three": np.digitize(SCORE, [-0.6, 0.6]),
    "gaps between": 10 * np.digitize(SCORE, [-0.6, 0.6]) - 7,
    "value": SCORE,
    "positive": np.exp(SCORE / 3),
    "two values": np.column_stack([SCORE, X[:, 3] - SCORE]),
    "a column": SCORE[:, np.newaxis],
}


def says(model, rows, space):
    """A model's own outputs (n_rows, n_outputs) in an output space."""
    ask = {"probability": "predict_proba", "margin": "decision_function", "value": "predict"}
    answer = np.asarray(getattr(model, ask[space])(rows), dtype=float)
    return answer.reshape(len(answer), -1)


def near(found, expected, relative=1e-6):
    """Hold numbers against others, at the scale of the latter."""
    scale = max(1.0, float(np.abs(np.asarray(expected)).max(initial=0.0)))
    np.testing.assert_allclose(found, expected, atol=relative * scale)


def keeps_to_the_layouts(local, classification):
    """One table of lines for a number, a table for each class otherwise; names follow values."""
    n_rows, n_features, n_outputs = local.values.shape
    nested = np.array(local.local_importance_values)
    several = n_outputs > 1 or classification
    shape = (n_outputs, n_rows, n_features) if several else (n_rows, n_features)
    assert nested.shape == shape
    assert (local.num_features, local.num_examples) == (n_features, n_rows)
    assert len(local.features) == n_features
    ranked = np.array(local.get_ranked_local_values())
    assert (np.diff(ranked, axis=-1) <= 0).all()
    rank = np.array(local.get_local_importance_rank())
    np.testing.assert_array_equal(np.take_along_axis(nested, rank, axis=-1), ranked)
    names = np.array(local.features, dtype=object)[rank]
    np.testing.assert_array_equal(np.array(local.get_ranked_local_names(), dtype=object), names)
    best = np.array(local.get_ranked_local_names(top_k=1), dtype=object)
    np.testing.assert_array_equal(best, names[..., :1])


def is_the_mean_of(overall, local):
    """Global importance is the mean absolute local value, however it is asked for."""
    each = np.abs(local.values).mean(axis=0).T  # (n_outputs, n_features)
    near(overall.per_output, each, 1e-12)
    near(overall.global_importance_values, each.mean(axis=0), 1e-12)
    values, names = overall.get_ranked_global_values(), overall.get_ranked_global_names()
    assert values == sorted(values, reverse=True)
    assert names == [overall.features[j] for j in overall.get_global_importance_rank()]
    assert overall.get_ranked_global_names(top_k=2) == names[:2]
    assert list(overall.get_feature_importance_dict()) == names
    per_class = zip(
        overall.get_ranked_per_class_names(), overall.get_ranked_per_class_values(), each
        , strict=True
    )  # fmt: skip
    for ranked_names, ranked_values, importance in per_class:
        by_name = dict(zip(overall.features, importance, strict=True))
        near(ranked_values, [by_name[name] for name in ranked_names], 1e-12)
        assert ranked_values == sorted(ranked_values, reverse=True)
    near(overall.expected_values, local.base_values, 1e-12)


def adds_up(local, outputs, relative=1e-6):
    """Base values and values are what the model says."""
    near(local.base_values + local.values.sum(axis=1), outputs, relative)
    near(local.outputs, outputs, relative)


def served(explainer, folder):
    """What comes back from an artifact of a distilled explainer."""
    save(KernelScoringExplainer(explainer, strict=False), folder)
    return load(folder, expect_sha256=artifact_sha256(folder))


def answers_what_the_model_answers(scoring, model, rows, outputs, relative=1e-6):
    """Labels are the model's own, and the values add up to its outputs."""
    own = np.asarray(model.predict(rows))
    if own.dtype.kind == "f":
        near(scoring.predict(rows), own)
    else:
        np.testing.assert_array_equal(scoring.predict(rows), own)
    adds_up(scoring.explain_local(rows), outputs, relative)
