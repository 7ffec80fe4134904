"""Few weighted rows for a background, held against the definition over all of it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from scoring import KernelScoringExplainer, LinearExplainableModel, MimicExplainer, TabularExplainer
from scoring.background import Background, drawn, whole
from scoring.distillation import summary
from scoring.games.columns import ColumnsGame
from scoring.games.masked import MaskedGame
from tests import oracles

N_ROWS, N_FEATURES = 300, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_ROWS, N_FEATURES)) @ RNG.normal(size=(N_FEATURES, N_FEATURES))
HELD_OUT = RNG.permutation(X.ravel()).reshape(N_ROWS, N_FEATURES)[:4]


def bent(x):
    """A function with interactions, and no structure that we know of."""
    return np.tanh(x[:, 0] + 0.5 * x[:, 1] * x[:, 2]) + np.maximum(0, x[:, 3] - x[:, 4])


def values(background, rows=HELD_OUT, f=bent):
    return oracles.shapley_rows(f, rows, background.table.codes, background.weights)


def apart(found, truth):
    return np.sqrt(np.mean((found - truth) ** 2) / np.mean(truth**2))


def keys(table):
    return {row.tobytes() for row in np.nan_to_num(table.codes, nan=-9)}


def choice_of(f, x=X, **options):
    return TabularExplainer(f, x, **options).view.choice


@pytest.fixture(scope="module")
def truth():
    """Against all training rows, by the definition."""
    return oracles.shapley_rows(bent, HELD_OUT, X)


@pytest.mark.parametrize("n_background", [10, 40])
def test_values_are_nearer_than_against_rows_drawn_at_random(n_background, truth):
    view = TabularExplainer(bent, X, n_background=n_background).view
    assert view.summary.table.n_rows == n_background
    lots = [drawn(view.initialization, n_background, seed) for seed in range(5)]
    at_random = np.mean([apart(values(each), truth) for each in lots])
    assert apart(values(view.summary), truth) < at_random / 4


def test_rows_are_training_rows_and_weights_a_mean():
    view = TabularExplainer(bent, X, n_background=12).view
    background = view.summary
    assert keys(background.table) <= keys(view.initialization)
    assert (background.weights > 0).all()
    assert background.weights.sum() == pytest.approx(1)
    assert str(background) == f"12 rows weighted by the model's answers for {N_ROWS} rows"


def test_rows_with_categories_and_gaps_are_training_rows(mixed):
    x, _, model = mixed
    view = TabularExplainer(model, x, n_background=12).view
    assert keys(view.summary.table) <= keys(view.initialization)
    assert view.summary.table.categories == view.initialization.categories


def test_base_values_are_the_means_of_all_rows():
    explainer = TabularExplainer(bent, X, method="kernel", n_background=25)
    found = explainer.explain_local(X[:5])
    np.testing.assert_allclose(found.base_values, bent(X).mean(), atol=2e-4 * bent(X).std())
    said = explainer.summary.weights @ bent(explainer.summary.table.codes)
    np.testing.assert_allclose(found.base_values, said, atol=1e-12)
    assert found.additivity_gap.max() < 1e-12


def test_the_size_is_the_smallest_whose_error_is_small(truth):
    def smooth(x):
        return np.tanh(x @ np.full(N_FEATURES, 0.1))

    def rough(x):
        return np.sin(50 * np.tanh(x.sum(axis=1)))

    easy, hard = choice_of(smooth), choice_of(rough)
    assert easy.background.table.n_rows == 25
    assert easy.tried[-1]["relative_rms"] <= summary.TARGET
    assert [each["n_background"] for each in hard.tried] == [25, 50, 100]
    assert hard.tried[-1]["relative_rms"] > summary.TARGET
    bends = choice_of(bent)
    *before, last = (each["relative_rms"] for each in bends.tried)
    assert all(error > summary.TARGET >= last for error in before)
    # What it says of rows that it chose by is what is true of rows that it never saw.
    assert last / 3 < apart(values(bends.background), truth) < 3 * last


def test_few_rows_are_kept_whole_and_the_model_is_not_asked():
    for n_rows, n_background in ((100, None), (100, 10), (180, 200)):
        found = choice_of(bent, X[:n_rows], n_background=n_background)
        assert found.n_calls == 0
        assert str(found.background) == f"all rows ({n_rows})"
        assert (found.background.weights == 1 / n_rows).all()


def test_the_same_seed_makes_the_same_summary():
    one, two, other = (choice_of(bent, random_state=seed).background for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.table.codes, two.table.codes)
    np.testing.assert_array_equal(one.weights, two.weights)
    assert keys(one.table) != keys(other.table)


def test_the_model_is_asked_about_a_bounded_number_of_rows():
    asked = [0]

    def counted(x):
        asked[0] += len(x)
        return bent(x)

    x = np.random.default_rng(1).normal(size=(30_000, N_FEATURES))
    view = TabularExplainer(counted, x).view
    asked[0] = 0
    found = view.choice
    assert found.n_calls <= summary.CALLS
    assert asked[0] <= found.n_calls + 2 * summary.POOL
    assert found.background.n_source_rows == 30_000


def test_a_constant_has_any_rows():
    found = choice_of(lambda x: np.full(len(x), 0.1))
    assert str(found.background) == f"50 rows drawn at random for {N_ROWS} rows"
    assert choice_of(lambda x: np.zeros(len(x)), n_background=7).background.table.n_rows == 7


def test_answers_that_are_no_numbers_are_left_out():
    functions = np.random.default_rng(0).normal(size=(6, 3))
    holed = np.column_stack([functions, np.where(np.arange(6) == 2, np.nan, 1.0)])
    found, expected = (summary._products(iter([each])) for each in (holed, functions))
    np.testing.assert_array_equal(found.gram, expected.gram)
    assert found.mean == expected.mean
    lost = choice_of(lambda x: np.where(np.isin(x, X).all(axis=1), bent(x), np.nan))
    assert np.isfinite(lost.background.weights).all()


def test_what_rows_are_compared_by_is_the_game_itself():
    view = TabularExplainer(bent, X).view
    pool, probes = (view.initialization.take(slice(*ends)) for ends in ((0, 6), (10, 12)))
    masks = np.random.default_rng(0).random((2, 3, N_FEATURES)) < 0.5
    game = view.game(whole(pool))
    for x, pairs, found in zip(
        probes.codes, masks, summary._functions(game, pool, probes, masks), strict=True
    ):
        for b, of_row in zip(pool.codes, found, strict=True):
            for mask, told in zip(pairs, of_row, strict=True):
                one, other = np.where(mask, b, x), np.where(mask, x, b)
                expected = bent(one[np.newaxis]) - bent(other[np.newaxis])
                np.testing.assert_allclose(told, expected[0], atol=1e-12)


def test_a_pipelines_columns_are_compared_like_its_rows(mixed):
    x, _, model = mixed
    view = TabularExplainer(model, x).view
    pool, probes = (view.initialization.take(slice(*ends)) for ends in ((0, 20), (30, 33)))
    masks = np.random.default_rng(0).random((3, 4, x.shape[1])) < 0.5
    cut, asked = view.game(whole(pool)), MaskedGame(view.predictor, whole(pool), 2**24)
    assert isinstance(cut, ColumnsGame)
    found, expected = (
        np.concatenate(list(summary._functions(game, pool, probes, masks)), axis=1)
        for game in (cut, asked)
    )
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.ptp(expected) > 0.1


def test_groups_come_and_go_together():
    groups = {"first": ["feature_0", "feature_1"], "last": ["feature_3", "feature_4"]}
    view = TabularExplainer(bent, X, groups=groups).view
    masks = summary._coalitions(view.players, 50, np.random.default_rng(0))
    assert masks.shape == (50, N_FEATURES)
    assert (masks[:, 0] == masks[:, 1]).all()
    assert (masks[:, 3] == masks[:, 4]).all()
    assert set(masks[:, [0, 2, 3]].sum(axis=1)) == {1, 2}
    assert view.choice.tried[-1]["relative_rms"] <= summary.TARGET


def test_one_feature_alone_is_a_player():
    found = choice_of(lambda x: np.tanh(x[:, 0]), X[:, :1])
    assert found.tried[-1]["relative_rms"] <= summary.TARGET


def test_no_summary_is_chosen_that_no_value_needs():
    labels = (bent(X) > 0).astype(int)
    explainer = TabularExplainer(RandomForestClassifier(3, random_state=0).fit(X, labels), X)
    scoring = KernelScoringExplainer(explainer)
    assert "choice" not in vars(explainer.view)
    assert str(scoring.background) == f"50 rows drawn at random for {N_ROWS} rows"
    assert scoring.report["background"] == f"all rows ({N_ROWS})"
    by_coalitions = KernelScoringExplainer(explainer, method="kernel")
    assert "weighted by the model's answers" in by_coalitions.report["background"]


def test_each_output_space_has_its_own():
    labels = (bent(X) > 0).astype(int)
    logistic = LogisticRegression(C=100).fit(X, labels)
    first = TabularExplainer(logistic, X, n_background=10, method="kernel")
    margin = first.in_space("margin")
    assert keys(first.summary.table) != keys(margin.summary.table)
    score = logistic.decision_function
    full = oracles.shapley_rows(score, HELD_OUT, X)
    own, others = (values(each.summary, f=score) for each in (margin, first))
    assert apart(own, full) < apart(others, full)


def test_the_report_says_how_the_rows_were_chosen():
    report = KernelScoringExplainer(TabularExplainer(bent, X)).report
    told = report["background_choice"]
    assert told["target"] == summary.TARGET
    assert told["tried"][-1]["relative_rms"] <= summary.TARGET
    assert told["n_calls"] == 2 * 80 * 8 * N_ROWS
    assert 0 < report["background_error"]["relative_rms"] < 2 * summary.TARGET


def test_a_mimic_is_summarised_by_its_surrogate():
    explainer = MimicExplainer(bent, X, LinearExplainableModel, is_function=True, n_background=3)
    assert explainer.summary.table.n_rows == 3
    surrogate = explainer.surrogate.outputs(explainer.summary.table)
    mean = explainer.summary.weights @ surrogate
    np.testing.assert_allclose(mean, explainer.base_values, atol=0.2)


def test_a_background_of_another_maker_is_taken_as_it_is():
    view = TabularExplainer(bent, X).view
    given = Background(view.initialization.take(slice(0, 2)), np.array([0.3, 0.7]), "theirs", 9)
    other = type(view)(view.predictor, view.initialization, view.players, given=lambda: given)
    assert other.summary is given
    assert other.choice.n_calls == 0
