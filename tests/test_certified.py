"""What an answer says of its own error: standard errors, intervals, and answers in less time."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightgbm import LGBMClassifier
from scipy import stats
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from scoring import (
    KernelScoringExplainer,
    ModelError,
    ParameterError,
    TabularExplainer,
    coalitions,
    kriging,
    load,
    save,
)
from scoring.kernel import fit
from scoring.solve import definition_operator
from scoring.stages import prefix_sizes, solved, with_errors
from scoring.student import interval_factor
from scoring.sub_designs import sub_designs
from tests import oracles

SEEDS = 20


def games(name, n, rng, n_games=12):
    """v of some kind as a function of masks (n_coalitions, n) -> (n_coalitions, n_games)."""
    worth = rng.normal(size=(n, n_games)) / 3
    triples = rng.normal(size=(n, n, n, n_games)) / n
    step = rng.normal(size=(n, n_games))
    return {
        "smooth": lambda z: np.tanh(2 * (z @ worth - worth.sum(axis=0) / 2)),
        "triples": lambda z: (
            z @ worth + np.einsum("ci,cj,ck,ijkg->cg", z, z, z, triples, optimize=True)
        ),
        "steps": lambda z: (z @ step > step.sum(axis=0) / 2).astype(float) + z @ worth,
    }[name]


def errors_of(explanation):
    errors = explanation.standard_errors
    assert errors is not None
    return errors


def with_ends(masks):
    n = masks.shape[1]
    return np.concatenate([np.zeros((1, n)), masks, np.ones((1, n))])


@pytest.mark.slow
@pytest.mark.parametrize("n_coalitions", [112, 600, 10_000])
@pytest.mark.parametrize("name", ["smooth", "triples", "steps"])
def test_intervals_hold_the_exact_value_as_often_as_they_say(name, n_coalitions):
    """Of nominal 95 %, between 90 % and 99 % over 20 designs; 10,000 are least squares."""
    n = 14
    every = coalitions.all_coalitions(n).masks
    every = every[np.argsort(every @ 2 ** np.arange(n))]
    v = games(name, n, np.random.default_rng(3))(with_ends(every))  # by binary code
    truth = definition_operator(every) @ v
    covered = []
    for seed in range(SEEDS):
        masks = coalitions.sample(n, n_coalitions, seed).masks
        worth = v[(with_ends(masks) @ 2 ** np.arange(n)).astype(int)]
        some = np.random.default_rng(seed).permutation(len(masks))[: kriging.FITTED]
        smoothness = kriging.fit_smoothness(masks[some], (worth[1:-1] - worth[0])[some].T)
        stage = with_errors(solved(masks, smoothness), masks, smoothness)
        errors, freedom = stage.standard_errors(worth), stage.degrees_of_freedom
        assert errors is not None
        assert freedom is not None
        reach = interval_factor(0.95, freedom) * errors
        assert stage.method == ("kernel kriging" if n_coalitions < 10_000 else "kernel regression")
        covered.append((np.abs(stage.operator @ worth - truth) <= reach).mean())
    assert 0.90 <= np.mean(covered) <= 0.99


@given(level=st.floats(0.01, 0.999), freedom=st.integers(1, 30))
def test_the_factor_of_an_interval_is_students(level, freedom):
    expected = stats.t.ppf((1 + level) / 2, freedom)
    np.testing.assert_allclose(interval_factor(level, freedom), expected, rtol=1e-9)


@given(n=st.integers(2, 8), decay=st.floats(0.03, 1.2), seed=st.integers(0, 100))
def test_the_variance_of_a_shapley_value_is_the_definitions(n, decay, seed):
    """It is the Shapley value of what the Shapley value has in common with every coalition."""
    every = coalitions.all_coalitions(n).masks
    with_v, own = kriging.shapley_covariances(every, (decay, 0.0))
    j = seed % n
    places = {frozenset(np.flatnonzero(z)): k for k, z in enumerate(with_ends(every))}
    shapley = oracles.shapley(lambda s: with_v[j, places[frozenset(s)]], n)
    np.testing.assert_allclose(own, shapley[j], atol=1e-12)


def test_columns_of_the_covariance_are_the_covariance():
    masks = coalitions.sample(6, 20, 0).masks
    z = with_ends(masks).astype(bool)
    found = kriging.covariance_columns(masks, (0.3, 0.01), slice(1, 21))
    apart = (z[:, np.newaxis] ^ z[np.newaxis, 1:21]).sum(axis=2)
    expected = np.exp(-0.3 * apart)
    expected[np.arange(1, 21), np.arange(20)] += 0.01
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_sub_designs_share_only_what_is_not_sampled():
    masks = coalitions.sample(13, 600, 0).masks
    stage = solved(masks, (0.1, 1e-6))
    parts = sub_designs(
        masks, stage.operator, lambda some: solved(some, (0.1, 1e-6)).operator, (0.1, 1e-6)
    )
    assert parts is not None
    counts = np.bincount(parts.members[parts.members > 0], minlength=len(masks) + 2)[1:-1]
    whole = coalitions.complete(masks)
    assert whole.any()
    assert set(counts[whole]) == {len(parts.members)}
    assert set(counts[~whole]) == {1}


def test_too_few_coalitions_have_no_standard_errors():
    masks = coalitions.sample(30, 90, 0).masks
    stage = with_errors(solved(masks, (0.1, 1e-6)), masks, (0.1, 1e-6))
    assert stage.standard_errors(np.ones((92, 1))) is None
    assert prefix_sizes(90, 30) == []


@given(n=st.integers(2, 13), more=st.integers(0, 100), seed=st.integers(0, 1000))
def test_small_designs_have_usable_errors_or_none(n, more, seed):
    design = coalitions.sample(n, 2 * n + more, seed)
    if design.exact:
        return
    stage = with_errors(solved(design.masks, (0.1, 1e-6)), design.masks, (0.1, 1e-6))
    v = np.random.default_rng(seed).normal(size=(len(design.masks) + 2, 3))
    errors = stage.standard_errors(v)
    assert errors is None or (np.isfinite(errors).all() and (errors > 0).all())


@given(n=st.integers(3, 40), seed=st.integers(0, 50))
def test_the_first_part_of_a_design_is_pairs_of_all_sizes(n, seed):
    masks = coalitions.sample(n, 40 * n, seed).masks
    assert (masks[0::2] == ~masks[1::2]).all()
    whole = np.bincount(masks.sum(axis=1), minlength=n)[2:-1]
    for size in prefix_sizes(*masks.shape):
        part = np.bincount(masks[:size].sum(axis=1), minlength=n)[2:-1]
        expected = whole * (size - 2 * n) / (len(masks) - 2 * n)
        assert (np.abs(part - expected) <= 2 + 0.1 * whole).all()


@pytest.fixture(scope="module")
def sampled():
    """A logistic regression explained by coalitions: there are exact values to hold it against."""
    data = load_breast_cancer()
    x = StandardScaler().fit_transform(data.data)
    full = TabularExplainer(LogisticRegression().fit(x, data.target), x, n_background=5)
    exact, kernel = KernelScoringExplainer(full), KernelScoringExplainer(full, method="kernel")
    return exact, kernel, x[::71]


@pytest.mark.slow
@pytest.mark.parametrize("n", [14, 30])
@pytest.mark.parametrize("kind", ["linear", "forest"])
def test_intervals_of_a_model_hold_its_exact_values_as_often_as_they_say(kind, n):
    """Over 20 designs, for rows that nothing was measured on."""
    data = load_breast_cancer()
    x = StandardScaler().fit_transform(data.data)[:, :n]
    forest = RandomForestClassifier(20, random_state=0)
    model = forest if kind == "forest" else LogisticRegression()
    full = TabularExplainer(model.fit(x, data.target), x, n_background=4)
    rows, validation = x[5::80], x[::40]
    exact = full.view._exact(full.summary)
    assert exact is not None
    truth = exact.values(full.predictor.schema.encode(rows))
    assert 0.90 <= np.mean(list(covered(full, rows, validation, truth))) <= 0.99


def covered(full, rows, validation, truth):
    """The share of exact values that the intervals of each design hold."""
    for seed in range(SEEDS):
        options = {"validation": validation, "n_coalitions": 700, "random_state": seed}
        kernel = KernelScoringExplainer(full, method="kernel", **options)
        low, high = kernel.explain_local(rows).intervals()
        yield ((low <= truth) & (truth <= high)).mean()


MODELS = {
    "network": MLPClassifier((16,), max_iter=1000, random_state=0),
    "machine": CalibratedClassifierCV(SVC(), ensemble=False),
    "boosting": LGBMClassifier(n_estimators=20, verbosity=-1),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_intervals_hold_the_exact_values_of_models_that_have_no_exact_game(kind):
    """Over 20 designs of 700 coalitions of 14 features, against all 16,382."""
    data = load_breast_cancer()
    x = StandardScaler().fit_transform(data.data)[:, :14]
    model = MODELS[kind].fit(x, data.target)
    full = TabularExplainer(model, x[::140])
    rows, validation = x[5::80], x[::40]
    told = full.predictor.schema.encode(rows)
    every = fit(full.view.game(full.summary), told, 2**14 - 2, 0)
    truth = every.values(told, full.predictor.outputs(told))
    assert every.method == "exact enumeration"
    assert 0.90 <= np.mean(list(covered(full, rows, validation, truth))) <= 0.99


def test_exact_values_have_no_error(sampled):
    exact, _, rows = sampled
    told = exact.explain_local(rows)
    assert (errors_of(told) == 0).all()
    assert errors_of(told).shape == told.values.shape
    assert told.degrees_of_freedom is None
    assert all((end == told.values).all() for end in told.intervals())


def test_sampled_values_say_how_far_off_they_are(sampled):
    exact, kernel, rows = sampled
    told, truth = kernel.explain_local(rows), exact.explain_local(rows).values
    low, high = told.intervals(0.95)
    assert 0.85 <= ((low <= truth) & (truth <= high)).mean() <= 1
    wider = told.intervals(0.99)[1]
    assert (wider > high).all()
    error = np.sqrt(np.mean((told.values - truth) ** 2))
    assert 0.5 < np.sqrt(np.mean(errors_of(told) ** 2)) / error < 2
    assert told.background_error == kernel.report["background_error"]["relative_rms"]
    assert errors_of(told.select([2, 5])).tolist() == errors_of(told)[:, [2, 5]].tolist()


def test_an_interval_needs_a_probability_and_errors(sampled):
    _, kernel, rows = sampled
    told = kernel.explain_local(rows[:1])
    with pytest.raises(ParameterError, match="level must be above 0 and below 1"):
        told.intervals(1.0)
    few = KernelScoringExplainer(_full(rows), n_coalitions=60, method="kernel")
    with pytest.raises(ModelError, match="standard errors of these values are not known"):
        few.explain_local(rows[:1]).intervals()


def _full(rows):
    labels = np.arange(len(rows)) % 2
    return TabularExplainer(LogisticRegression().fit(rows, labels), rows, n_background=2)


def test_a_deadline_shortens_the_design_and_widens_the_errors(sampled):
    _, kernel, rows = sampled
    whole = kernel.explain_local(rows)
    short = kernel.explain_local(rows, deadline_ms=1e-6)
    sizes = [stage.n_coalitions for stage in kernel.prefixes]
    assert short.n_coalitions == sizes[0] < whole.n_coalitions == 2108
    assert sizes == [262, 526, 1054]
    assert (errors_of(short) ** 2).mean() > 4 * (errors_of(whole) ** 2).mean()
    assert short.additivity_gap.max() < 1e-12
    late = kernel.explain_local(rows, deadline_ms=1e9)
    assert late.n_coalitions == 2108
    np.testing.assert_allclose(late.values, whole.values, atol=1e-13)


def test_values_depend_on_the_row_and_the_coalitions_used_alone(sampled):
    _, kernel, rows = sampled
    together = kernel.explain_local(rows, deadline_ms=1e-6)
    for r, row in enumerate(rows):
        alone = kernel.explain_local(row[np.newaxis], deadline_ms=1e-6)
        assert alone.n_coalitions == together.n_coalitions
        np.testing.assert_allclose(alone.values[0], together.values[r], atol=1e-13)
        np.testing.assert_allclose(errors_of(alone)[0], errors_of(together)[r], atol=1e-13)


def test_all_blocks_of_a_request_get_the_same_part_of_the_design(sampled):
    _, kernel, rows = sampled
    blocky = type(kernel).restore({**vars(kernel), "block_bytes": 2**20})
    blocky.__dict__.pop("game", None)
    blocky.__dict__.pop("kernel", None)
    told = blocky.explain_local(np.tile(rows, (5, 1)), deadline_ms=1e-6)
    expected = kernel.explain_local(rows, deadline_ms=1e-6).values
    np.testing.assert_allclose(told.values, np.tile(expected, (5, 1, 1)), atol=1e-13)


def test_a_deadline_is_kept_by_slow_models():
    """As well as the coalitions before foretell what the next cost; the shortest part is the
    least there is."""
    rng = np.random.default_rng(0)
    rows, pause = rng.normal(size=(30, 14)), [0.0]

    def slow(x):
        time.sleep(len(x) * pause[0])
        return np.tanh(x.sum(axis=1))

    full = TabularExplainer(slow, rows, n_background=2)
    kernel = KernelScoringExplainer(full, n_coalitions=1600)
    pause[0] = 2e-5
    start = time.perf_counter()
    told = kernel.explain_local(rows[:1], deadline_ms=40)
    assert told.n_coalitions < 1600
    assert time.perf_counter() - start < 0.2
    assert told.n_coalitions in {stage.n_coalitions for stage in kernel.prefixes}


@pytest.mark.parametrize("deadline", [0, -1.0, float("nan")])
def test_a_deadline_is_a_time(sampled, deadline):
    with pytest.raises(ParameterError, match="deadline_ms must be above 0"):
        sampled[1].explain_local(sampled[2], deadline_ms=deadline)


def test_enumerated_designs_have_shorter_parts_too():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 10))
    full = TabularExplainer(lambda x: np.tanh(x.sum(axis=1)), rows, n_background=3)
    kernel = KernelScoringExplainer(full)
    whole, short = (kernel.explain_local(rows[:3], deadline_ms=ms) for ms in (None, 1e-6))
    assert whole.method == "exact enumeration"
    assert (errors_of(whole) == 0).all()
    assert short.method == "kernel kriging"
    assert (errors_of(short) > 0).all()
    assert np.abs(short.values - whole.values).max() < 0.2 * np.abs(whole.values).max()


def test_an_artifact_keeps_errors_and_shorter_parts(sampled, tmp_path):
    _, kernel, rows = sampled
    save(kernel, tmp_path / "artifact")
    again = load(tmp_path / "artifact")
    for deadline in (None, 1e-6):
        one, other = (e.explain_local(rows, deadline_ms=deadline) for e in (kernel, again))
        np.testing.assert_allclose(one.values, other.values, atol=1e-12)
        np.testing.assert_allclose(errors_of(one), errors_of(other), atol=1e-12)
        assert one.degrees_of_freedom == other.degrees_of_freedom
