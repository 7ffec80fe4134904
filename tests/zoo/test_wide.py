"""Tables of thousands of columns: what explainers ask of a model must not cost a call a column."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse
from sklearn import linear_model
from sklearn.preprocessing import OneHotEncoder

from scoring import (
    LinearExplainableModel,
    MimicExplainer,
    ParameterError,
    TabularExplainer,
    coalitions,
    kernel,
)
from scoring.games import linear as linear_game
from scoring.players import Players
from scoring.predictor import EstimatorModel
from scoring.surrogates import linear
from tests.zoo import zoo

N_COLUMNS = 300
FEW_CALLS = 60


@pytest.mark.parametrize("surrogate", zoo.SURROGATES, ids=lambda kind: kind.name)
def test_a_surrogate_is_called_a_few_times_however_many_columns(surrogate, monkeypatch):
    x = scipy.sparse.random(20, N_COLUMNS, density=0.02, random_state=3, format="csr")
    model = linear_model.LinearRegression().fit(x, np.arange(20.0))
    estimators = []
    outputs = EstimatorModel.outputs

    def counted(self, table, space):
        estimators.append(self.estimator)
        return outputs(self, table, space)

    monkeypatch.setattr(EstimatorModel, "outputs", counted)
    transforms = []
    transform = OneHotEncoder.transform

    def noted(self, x):
        transforms.append(x)
        return transform(self, x)

    monkeypatch.setattr(OneHotEncoder, "transform", noted)
    options = zoo.QUIET.get(surrogate.name, {})
    explainer = MimicExplainer(model, x[:10], surrogate, options, categorical_features=[0])
    explained = explainer.explain_global(x[10:])
    surrogate_calls = sum(estimator is explainer._fitted.estimator for estimator in estimators)
    assert surrogate_calls <= FEW_CALLS
    assert len(transforms) <= FEW_CALLS
    assert explained.values.shape == (N_COLUMNS,)


@pytest.mark.parametrize("categorical", [[], [1], [0, 3], [0, 1, 2, 3]], ids=str)
def test_columns_of_a_linear_surrogate_have_the_owners_that_changing_them_shows(categorical):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (40, 4)).astype(float)
    codes[::5, 2] = codes[::7, 0] = np.nan
    flags = np.isin(np.arange(4), categorical)
    pipeline = LinearExplainableModel.pipeline(codes, flags, 0, {}).fit(codes, codes[:, 1])
    encoder = pipeline.named_steps["encode"]
    before = encoder.transform(codes)
    moved = np.zeros((4, before.shape[1]), dtype=bool)
    for j in range(4):
        for value in (0.0, 1.0, 2.0, np.nan):
            changed = codes.copy()
            changed[:, j] = value
            moved[j] |= (encoder.transform(changed) != before).any(axis=0)
    assert (moved.sum(axis=0) == 1).all()
    np.testing.assert_array_equal(linear._owners(encoder), moved.argmax(axis=0))


@pytest.mark.parametrize("n_features", [13, 40, 1030])
def test_designs_of_many_features_hold_pairs_that_are_all_different(n_features):
    """Beyond 1,029 features there are more coalitions of a size than a float can count."""
    design = coalitions.sample(n_features, 2 * n_features + 200, seed=1)
    np.testing.assert_array_equal(design.masks[::2], ~design.masks[1::2])
    assert len(np.unique(np.packbits(design.masks, axis=1), axis=0)) == design.n_coalitions
    finished = coalitions.complete(design.masks)
    sizes, drawn = np.unique(design.masks.sum(axis=1), return_counts=True)
    all_of = {
        size: math.comb(n_features, size) == n
        for size, n in zip(sizes.tolist(), drawn.tolist(), strict=True)
    }
    assert finished.tolist() == [all_of[size] for size in design.masks.sum(axis=1).tolist()]


def test_more_players_than_coalitions_fit_into_memory_are_refused_at_once(monkeypatch):
    x = np.zeros((2, 40))
    monkeypatch.setattr(kernel, "WIDEST", 30)
    with pytest.raises(ParameterError, match="groups must leave at most 30 players"):
        TabularExplainer(lambda rows: rows[:, 0] * rows[:, 1], x)
    grouped = {"first half": [f"feature_{j}" for j in range(20)]}
    TabularExplainer(lambda rows: rows[:, 0] * rows[:, 1], x, groups=grouped)  # 21 players
    TabularExplainer(linear_model.LinearRegression().fit(x, [0.0, 1.0]), x)


@pytest.mark.parametrize("largest", [0, 10**6])
@pytest.mark.parametrize("owners", [[0, 1, 2, 3, 4], [4, 2, 2, 0, 4]], ids=["own", "shared"])
def test_columns_add_up_for_their_players_whatever_the_width(owners, largest, monkeypatch):
    monkeypatch.setattr(linear_game, "LARGEST_MAP", largest)
    rng = np.random.default_rng(2)
    coefficients, columns, means = (rng.normal(size=size) for size in ((2, 5), (3, 5), 5))
    game = linear_game.LinearGame(
        coefficients, np.zeros(2), means, np.array(owners), 5, np.zeros(2)
    )
    expected = np.zeros((3, 5, 2))
    for column, player in enumerate(owners):
        expected[:, player] += np.outer(columns[:, column] - means[column], coefficients[:, column])
    np.testing.assert_allclose(game.values(columns, 0), expected, atol=1e-12)


def test_players_that_are_features_take_no_room_for_a_map():
    players = Players.of([f"{j}" for j in range(60_000)])
    assert players.membership.shape == (60_000, 60_000)
    assert players.membership[5].nonzero()[0].tolist() == [5]
    assert players.membership[:, 7].nonzero()[0].tolist() == [7]
    np.testing.assert_array_equal(players.owners, np.arange(60_000))
    pair = Players.of(["a", "b", "c"], {"both": ["c", "a"]})
    np.testing.assert_array_equal(pair.owners, [0, 1, 0])
