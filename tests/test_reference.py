"""What is kept of the attributions at distillation, to tell drift from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import LinearRegression

from scoring import (
    ArtifactCorrupt,
    KernelScoringExplainer,
    ParameterError,
    TabularExplainer,
    load,
    reference,
    save,
)
from scoring.artifact import read_manifest
from scoring.forms.refused import Unsound
from scoring.reference import N_BINS, ROWS_A_BIN, check, reference_of
from tests.saved import change_array

rng = np.random.default_rng(3)
X = rng.normal(size=(400, 4))
X[:, 3] = 1.0
MODEL = LinearRegression().fit(X, X @ [3.0, 1.0, 0.0, 0.0] + rng.normal(0, 0.1, 400))


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    """Whatever else the machine is doing."""
    monkeypatch.setattr(reference, "SECONDS", 300.0)


def explainer_of(**options):
    return KernelScoringExplainer(TabularExplainer(MODEL, X), **options)


def one(values):
    """The edges and shares of a single feature, without empty bins."""
    found = reference_of(np.reshape(values, (-1, 1, 1)).astype(float), "validation")
    edges, shares = found.edges[0, 0], found.shares[0, 0]
    possible = np.concatenate([[True], np.diff(edges) > 0, [True]])
    assert (shares[~possible] == 0).all()
    return np.unique(edges), shares[possible]


def test_it_is_the_mean_and_the_deciles_of_what_is_explained():
    explainer = explainer_of()
    values = explainer.explain_local(X).values
    found = explainer.reference
    assert (found.n_rows, found.rows_from) == (400, "initialization")
    np.testing.assert_allclose(found.mean_abs, np.abs(values).mean(axis=0), rtol=1e-12)
    for j in (0, 1):
        edges = np.unique(found.edges[j, 0])
        assert len(edges) == N_BINS - 1
        counts = np.histogram(values[:, j, 0], [-np.inf, *edges, np.inf])[0]
        assert counts.tolist() == [40] * 10
        np.testing.assert_allclose(found.shares[j, 0][found.shares[j, 0] > 0], 0.1)


def test_a_constant_stays_in_its_bin_however_it_is_rounded():
    edges, shares = one(np.full(300, 0.25))
    assert len(edges) == 2
    assert edges[0] < 0.25 * (1 - 1e-6) < 0.25 * (1 + 1e-6) < edges[1]
    assert shares.tolist() == [0, 1, 0]
    edges, shares = one(np.zeros(300))
    assert edges[0] < 0 < edges[1]
    assert shares.tolist() == [0, 1, 0]


def test_two_values_are_two_bins_and_what_is_beyond():
    edges, shares = one([-0.3] * 120 + [0.2] * 180)
    np.testing.assert_allclose(edges, [-0.3, -0.05, 0.2], atol=1e-4)
    np.testing.assert_allclose(shares, [0, 0.4, 0.6, 0])


def test_many_zeros_are_one_bin():
    positive = np.linspace(1, 2, 60)
    edges, shares = one([0.0] * 240 + positive.tolist())
    assert shares[0] == 0  # whatever is below zero is new
    assert shares[1] == 0.8
    assert (edges[:2] - [0, 0.5] < 1e-3).all()
    np.testing.assert_allclose(shares[2:].sum(), 0.2)


def test_few_rows_have_few_bins():
    for n_rows, n_bins in ((59, 1), (60, 2), (100, 3), (299, 9), (300, 10), (1000, 10)):
        edges, shares = one(rng.normal(size=n_rows))
        assert (shares > 0).sum() == n_bins, n_rows
        assert len(edges) == max(1, n_bins - 1) or n_bins == 1


@given(
    arrays(
        float,
        st.tuples(st.integers(1, 400), st.integers(1, 3), st.integers(1, 2)),
        elements=st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-12, -3.5, 1e-300, 1e200, 7.25]),
    )
)
def test_whatever_the_values_are_it_is_sound(values):
    found = reference_of(values, "validation")
    check(found, *values.shape[1:])
    inside = found.shares > 0
    empty = np.diff(found.edges, axis=2) <= 0
    assert not (inside[..., 1:-1] & empty).any()


def test_it_is_measured_on_held_out_rows_where_they_are_enough():
    held_out = X + 1.0
    told = explainer_of(validation=held_out).reference
    assert (told.rows_from, told.n_rows) == ("validation", 400)
    assert explainer_of(validation=held_out[:100]).reference.rows_from == "initialization"
    assert N_BINS * ROWS_A_BIN == 300


def test_rows_as_many_as_are_asked_for_and_as_there_is_time_for(monkeypatch):
    assert explainer_of(reference_rows=70).reference.n_rows == 70
    assert explainer_of(reference_rows=0).reference is None
    with pytest.raises(ParameterError, match="reference_rows must be at least 0"):
        explainer_of(reference_rows=-1)
    monkeypatch.setattr(reference, "SECONDS", 0.0)
    assert explainer_of().reference.n_rows == 2
    assert explainer_of(reference_rows=70).reference.n_rows == 70


def test_only_reported_features_are_in_it(tmp_path):
    full = TabularExplainer(MODEL, X, explain_subset=[2, 0])
    explainer = load(save(KernelScoringExplainer(full), tmp_path / "artifact"))
    values = explainer.explain_local(X).values
    found = explainer.reference
    assert found is not None
    assert found.mean_abs.shape == (2, 1)
    np.testing.assert_allclose(found.mean_abs, np.abs(values).mean(axis=0))


def test_it_travels_and_the_manifest_tells_of_it(tmp_path):
    explainer = explainer_of(baselines={"first": X[:9]})
    artifact = save(explainer, tmp_path / "artifact")
    loaded = load(artifact).reference
    for name in ("mean_abs", "edges", "shares"):
        assert (getattr(loaded, name) == getattr(explainer.reference, name)).all()
    told = {"n_rows": 400, "rows_from": "initialization"}
    assert read_manifest(artifact)["reference"] == told
    assert load(artifact).against("first").reference is None
    assert load(Path(__file__).parent / "artifacts" / "v1").reference is None


@pytest.mark.parametrize(
    ("array", "change", "problem"),
    [
        ("mean_abs", lambda a: a[:-1], "other features"),
        ("mean_abs", lambda a: -a, "no rows"),
        ("edges", lambda a: a[:, :, ::-1], "ascend"),
        ("edges", lambda a: a[:, :, 1:], "other features"),
        ("edges", lambda a: a * np.nan, "not finite"),
        ("shares", lambda a: a * 1.01, "sum to 1"),
        ("shares", lambda a: a * 0 + np.eye(12)[0] * 2 - np.eye(12)[1], "sum to 1"),
        ("shares", lambda a: a[..., 0], "other features"),
    ],
)
def test_numbers_that_are_no_reference_are_refused(array, change, problem, tmp_path):
    artifact = save(explainer_of(), tmp_path / "artifact")
    change_array(artifact, f"reference.{array}", change)
    with pytest.raises(ArtifactCorrupt, match=problem):
        load(artifact)


def test_bins_without_end_are_refused():
    found = reference_of(X[:, :2, np.newaxis], "validation")
    check(found, 2, 1)
    wide = replace(
        found, edges=np.zeros((2, 1, 1000)), shares=np.eye(1, 1001)[np.newaxis] * [[[1]]]
    )
    with pytest.raises(Unsound):
        check(wide, 2, 1)
    with pytest.raises(Unsound, match="no rows"):
        check(replace(found, n_rows=0), 2, 1)
