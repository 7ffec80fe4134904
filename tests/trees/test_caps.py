"""Tables are kept where they pay: in proportion to the model, or as somebody says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn import ensemble

from scoring import KernelScoringExplainer, ParameterError, TabularExplainer, load, save
from scoring.trees.game import TreeGame
from scoring.trees.paths import Paths
from scoring.trees.read import forest_in
from scoring.trees.tables import Cap, bytes_of_all, cap_of, chosen, fits
from tests import oracles

MIB = 2**20


@pytest.fixture(scope="module")
def deep():
    """Ten trees of single rows: 0.2 MiB, whose tables would be 100 GiB."""
    rows = sparse.random(300, 40, density=0.1, random_state=0, format="csr")
    y = (np.asarray(rows.sum(axis=1)).ravel() > 2).astype(int)
    model = ensemble.ExtraTreesClassifier(10, random_state=0).fit(rows, y)
    return TabularExplainer(model, rows[:50]), rows


def size_of(directory):
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_a_small_forest_of_deep_trees_is_a_small_artifact(deep, tmp_path):
    explainer, rows = deep
    scoring = KernelScoringExplainer(explainer, reference_rows=0)
    save(scoring, tmp_path)
    assert size_of(tmp_path) < 64 * MIB
    found = load(tmp_path).explain_local(rows[50:55])
    assert found.method == "exact tree"
    assert found.additivity_gap.max() < 1e-12
    told = scoring.report["tables"]
    assert told["mebibytes"] <= told["cap_mebibytes"]
    assert told["larger_cap"]["mebibytes"] > 1000
    assert told["larger_cap"]["milliseconds_saved_per_row"] > 0


@pytest.fixture(scope="module")
def some():
    x = np.random.default_rng(0).normal(size=(300, 6))
    model = ensemble.RandomForestRegressor(10, random_state=0)
    return TabularExplainer(model.fit(x, x[:, 0] * x[:, 1] + x[:, 2]), x[:30]), x, model


@pytest.mark.parametrize("tables_bytes", [0, 40_000, 2**30, None])
def test_a_cap_that_is_said_is_kept_and_changes_no_value(some, tables_bytes, tmp_path):
    explainer, x, model = some
    scoring = KernelScoringExplainer(
        explainer, tables_bytes=tables_bytes, interactions=True, reference_rows=0
    )
    save(scoring, tmp_path)
    assert scoring.exact is not None
    assert isinstance(scoring.exact.game, TreeGame)
    told, entries = scoring.report["tables"], scoring.exact.game.tables.entries.nbytes
    if tables_bytes is None or tables_bytes > MIB:
        assert (told["share_of_leaves"], told["larger_cap"]) == (1.0, None)
    else:
        assert entries <= tables_bytes
        assert told["cap_mebibytes"] == tables_bytes / MIB
        assert told["larger_cap"]["mebibytes"] > told["cap_mebibytes"]
        enough = int(told["larger_cap"]["mebibytes"] * MIB)
        more = KernelScoringExplainer(explainer, tables_bytes=enough, reference_rows=0)
        assert more.report["tables"]["larger_cap"] is None
    expected = oracles.shapley_rows(model.predict, x[-2:], x[:30])
    found = load(tmp_path).explain_local(x[-2:]).values[:, :, 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_cap_holds_in_every_output_space():
    x = np.random.default_rng(0).normal(size=(120, 4))
    model = ensemble.HistGradientBoostingClassifier(max_iter=5).fit(x, x[:, 0] > 0)
    scoring = KernelScoringExplainer(
        TabularExplainer(model, x[:10]), output_spaces=["margin"], tables_bytes=0, reference_rows=0
    )
    assert scoring.others[0].report["tables"]["tables"] == 0


@pytest.mark.parametrize("wrong", [-1, 0.5, "1 GiB", True])
def test_a_cap_that_is_none_is_refused(some, wrong):
    with pytest.raises(ParameterError, match="tables_bytes must be"):
        KernelScoringExplainer(some[0], tables_bytes=wrong)


def test_leaves_that_rows_meet_often_have_tables_first(some):
    _, x, model = some
    forest = forest_in(model, "value")
    assert forest is not None
    paths = Paths(forest, np.arange(6))
    enough = bytes_of_all(paths)
    assert fits(paths, Cap(enough, 0))
    assert len(chosen(paths, x[:30], Cap(enough, 0))) == forest.n_leaves
    assert fits(paths, cap_of(forest))
    leaves = chosen(paths, x[:30], Cap(0, enough // 2))
    assert 0 < len(leaves) < forest.n_leaves
    met = meetings(paths, x[:30])
    left = np.setdiff1d(np.arange(forest.n_leaves), leaves)
    assert met[leaves].mean() > 4 * met[left].mean()
    assert not len(chosen(paths, x[:30], Cap(0, enough // 1000)))  # which would save next to none


def meetings(paths, rows):
    """At how many pairs of rows the second passes all that the first fails of a leaf."""
    passed = paths.passed(rows)[:, np.newaxis].astype(np.int64)
    every = (1 << paths.n_players)[:, np.newaxis, np.newaxis] - 1
    return ((passed | passed.swapaxes(1, 2)) == every).sum(axis=(1, 2))
