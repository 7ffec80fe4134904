"""The benchmark runs, and its reference is Shapley's."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reference import draw, shapley_values
from benchmarks.timing import relative_rms
from tests import oracles

ROOT = Path(__file__).resolve().parent.parent
N_FEATURES = 11


def reference(v, n_pairs):
    """Shapley values of one game by the benchmark's reference; v takes masks."""
    masks, weights = draw(N_FEATURES, n_pairs, seed=3)
    nobody, everybody = v(np.array([[False], [True]]).repeat(N_FEATURES, axis=1))
    odd = (v(masks) - v(~masks)) / 2
    whole = np.array([(everybody - nobody) / 2])
    return shapley_values(masks, weights, odd[:, np.newaxis], whole)[:, 0]


def definition(v):
    masks = np.array(list(product([False, True], repeat=N_FEATURES)))
    worth = {frozenset(np.flatnonzero(m)): x for m, x in zip(masks, v(masks), strict=True)}
    return oracles.shapley(worth.__getitem__, N_FEATURES)


def test_the_reference_is_exact_for_interactions_of_up_to_four():
    rng = np.random.default_rng(0)
    groups = [list(g) for k in (1, 2, 3, 4) for g in combinations(range(N_FEATURES), k)]
    worth = rng.normal(size=len(groups))

    def v(masks):
        together = np.column_stack([masks[:, group].all(axis=1) for group in groups])
        return together @ worth

    assert relative_rms(reference(v, 800) - definition(v), definition(v)) < 1e-5


def test_the_reference_converges_whatever_the_interactions():
    slopes = np.linspace(-3, 4, N_FEATURES)

    def v(masks):
        return 1 / (1 + np.exp(4 - masks @ slopes))

    assert relative_rms(reference(v, 40_000) - definition(v), definition(v)) < 0.003


GOOD = {
    "added": 1.9,
    "ready": 1.9,
    "mib": 199.0,
    "global": 99.0,
    "raw_error": 0.02,
    "guide_seconds": 1.9,
    "guide_error": 0.05,
}


@pytest.mark.parametrize(
    "worse",
    [
        {},
        {"added": 2.1},
        {"ready": 2.1},
        {"mib": 201.0},
        {"imported": ["scipy"]},
        {"global": 101.0},
        {"raw_error": 0.03},
        {"guide_seconds": 2.1},
        {"guide_error": 0.07},
    ],
    ids=str,
)
def test_a_missed_target_is_told(worse):
    from benchmarks import guide, raw_features, run, serving
    from benchmarks.targets import targets

    m = GOOD | {"imported": []} | worse
    results = run.Results(
        machine={},
        seconds=1.0,
        guide=guide.Guide(
            114, 10, 2108, m["guide_seconds"], m["guide_error"], 100.0, 0.06, 4.0, 200_000, 0, 0, 0
        ),
        server=run.Server(
            serving.Overhead([3.0 + m["added"]] * 3, [3.0] * 3),
            serving.Process([m["ready"]], [m["mib"]], m["imported"]),
        ),
        pipeline=raw_features.RawFeatures(
            19, 40, 1000, 304, 2128, m["raw_error"], 0.02, m["global"], 10, 10.0
        ),
    )
    assert sum(not target.met for target in targets(results)) == len(worse)


def cell(workload, contender, n_background, ms, points, mebibytes=1.0):
    from benchmarks.grid import Cell

    error = points[0][2] if points else None
    times = {"1": {"ms": ms, "rows": 1}}
    return Cell(
        workload, contender, "", n_background, "", 30, 0, 0.0, mebibytes, times, {"1": 1.0},
        error, "exact", 0.0, None, 455, 0.0, 0.0, [[size, t, e] for size, t, e in points],
    )  # fmt: skip


def judged(*cells):
    from benchmarks.targets import must_reach

    return [(target.met, target.measured) for target in must_reach(list(cells))]


def test_a_line_of_the_table_is_met_by_its_worst_background():
    peer = [(2108, 100.0, 0.15)]
    name, two = "LogisticRegression, probability", "shapserve"
    good = [
        cell(name, two, 10, 5.0, [(0, 5.0, 0.0)]),
        cell(name, "shap kernel", 10, 100.0, peer),
    ]
    assert judged(*good) == [(True, "20.0 × at 10 rows")]
    bad = [
        cell(name, two, 100, 10.0, [(0, 10.0, 0.0)]),
        cell(name, "shap kernel", 100, 100.0, peer),
    ]
    assert judged(*good, *bad) == [(False, "10.0 × at 100 rows, 2.0 × short")]


def test_the_cheapest_design_that_is_good_enough_counts():
    name, peer = "callable, value", [(2108, 20.0, 0.1)]
    points = [(2108, 30.0, 0.04), (120, 1.0, 0.3), (480, 4.0, 0.1), (960, 8.0, 0.06)]
    mine = cell(name, "shapserve", 10, 30.0, points)
    assert judged(mine, cell(name, "shap kernel", 10, 20.0, peer)) == [(True, "5.0 × at 10 rows")]
    better = cell(name, "shap kernel", 10, 20.0, [(2108, 20.0, 0.01)])
    assert judged(mine, better) == [(False, "0.0 × at 10 rows, no design as good")]


def test_the_same_design_is_compared_where_the_table_says_so():
    name, peer = "MLP(64, 64), probability", [(2108, 20.0, 0.1)]
    mine = cell(name, "shapserve", 10, 5.0, [(2108, 5.0, 0.04), (120, 1.0, 0.1)])
    (found,) = judged(mine, cell(name, "shap kernel", 10, 20.0, peer))
    assert found == (False, "4.0 × at 10 rows, 1.2 × short")


def test_tables_are_flat_and_large_models_fit():
    name = "LightGBM(100), margin"
    flat = [cell(name, "shapserve", n, ms, []) for n, ms in ((10, 1.0), (1000, 1.05))]
    assert judged(*flat) == [(True, "1.05 ×")]
    steep = [cell(name, "shapserve", n, ms, []) for n, ms in ((10, 1.0), (1000, 1.2))]
    assert judged(*steep) == [(False, "1.20 ×")]
    large = "RandomForest(100), probability, 20,000 rows"
    assert judged(cell(large, "shapserve", 100, 1.0, [], 1025.0)) == [(False, "1,025 MiB")]


def test_every_line_of_the_table_names_a_workload_and_one_of_its_peers():
    from benchmarks.subjects import subjects
    from benchmarks.targets import MUST

    known = {subject.name: subject for subject in subjects()}
    for must in MUST:
        for name in must.workloads:
            assert must.peer.removeprefix("shap ") in known[name].peers
            assert set(must.backgrounds or ()) <= set(known[name].backgrounds)


def test_players_own_the_columns_that_their_feature_makes():
    from benchmarks.subjects import subjects

    subject = next(s for s in subjects() if s.owner is not None)
    rows = subject.train.head(40)
    n_columns = len(subject.owner)
    assert rows.shape[1] >= 10
    assert n_columns >= 60
    for feature, name in enumerate(rows.columns):
        changed = rows.copy()
        changed[name] = subject.train[name].iloc[40:80].to_numpy()
        moved = (subject.columns(rows) != subject.columns(changed)).any(axis=0)
        assert set(subject.owner[moved]) <= {feature}


def test_a_reference_moves_the_columns_of_a_player_together():
    from benchmarks.reference import Known, masked

    known = Known.of(np.zeros((2, 3)), owner=np.array([0, 1, 0]))
    masks = np.array([[True, False], [False, True], [True, True]])
    worth = masked(lambda rows: rows @ [[1.0], [10], [100]], np.ones((1, 3)), known)
    assert worth(0, masks)[:, 0].tolist() == [101, 10, 111]


@pytest.mark.slow
def test_an_exact_game_of_raw_features_agrees_with_the_reference():
    from dataclasses import replace

    from benchmarks import truth
    from benchmarks.effort import QUICK
    from benchmarks.reference import Known, masked, refer
    from benchmarks.subjects import subjects

    s = next(s for s in subjects() if s.owner is not None and s.space == "probability")
    game = truth.Game(s.model, s.space, s.f, s.columns, s.owner)
    some, background = s.fresh(1, 1), s.background(3)
    exact = truth.against(game, some, background, QUICK)
    assert exact.how == "exact link"
    effort = replace(QUICK, reference_pairs=8000)
    known = Known.of(s.columns(background), owner=s.owner)
    worth = masked(s.f, s.columns(some), known)
    sampled = refer(worth, 1, known.n_players, effort).values[..., -1]
    assert relative_rms(sampled - exact.values, exact.values) < 0.01


def test_no_row_is_timed_twice_and_a_pool_is_large_enough():
    from benchmarks.timing import Contender, Effort, measure, needed

    sizes = (1, 20, 100)
    pool = np.arange(needed(sizes), dtype=float)[:, np.newaxis]
    seen = []

    def explain(rows):
        seen.extend(rows[:, 0].tolist())
        return rows

    some, truth = pool[:2] + 0.5, np.ones((2, 1))
    contender = Contender(lambda _n: explain, 0.0, 0, 0)
    found = measure(contender, pool, some, truth, Effort(sizes, 60.0, 1.0))
    assert len(seen) == len(set(seen)) == len(pool) + len(some)
    assert {n: t["rows"] for n, t in found["times"].items()} == {"1": 1, "20": 20, "100": 100}


def test_designs_are_doubled_until_the_error_is_one_percent():
    from benchmarks.timing import Contender, Effort, measure

    rows, asked = np.ones((200, 1)), []

    def sized(n):
        asked.append(n)
        return lambda some: some * (1 + 7.9 / (n or 100))

    found = measure(Contender(sized, 0.0, 100, 200), rows, rows[:2], rows[:2], Effort((1,), 9, 9))
    assert asked == [None, 200, 400, 800]
    assert [round(error, 3) for _, _, error in found["points"]] == [0.079, 0.04, 0.02, 0.01]


def test_a_reference_that_is_too_dear_is_left_out():
    from dataclasses import replace

    from benchmarks import truth
    from benchmarks.effort import QUICK

    def f(rows):
        return np.tanh(rows).prod(axis=1, keepdims=True)

    rows = np.random.default_rng(0).normal(size=(5, 14))
    game = truth.Game(lambda x: f(x)[:, 0], "value", f, np.asarray)
    dear = truth.against(game, rows[:2], rows, replace(QUICK, reference_seconds=1e-9))
    assert (dear.how, len(dear.values)) == ("-", 0)
    found = truth.against(game, rows[:2], rows, QUICK)
    assert found.how == "2,400 coalitions"
    assert found.values.shape == (2, 14)
    assert truth.against_training(game, rows[:2], rows, sampled=False)[1] == 0
    full, n_rows = truth.against_training(game, rows[:2], rows)
    assert (n_rows, full.values.shape) == (5, (2, 14))


def test_numbers_stand_in_for_masked_rows_where_both_agree():
    from dataclasses import replace

    from benchmarks import models, truth
    from benchmarks.effort import QUICK

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 14))
    model = models.fit("MLP(64, 64)", rows, rows[:, 0] > rows[:, 1] * rows[:, 2])
    f = models.outputs(model, "probability")
    effort = replace(QUICK, reference_seconds=1e9)
    asked = truth.Game(model, "probability", f, np.asarray), rows[:1], rows[:20]
    slow = truth.against(*asked, effort)
    assert slow.how == "2,400 coalitions"
    calls = iter([1e10, 1.0])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(truth, "_seconds", lambda *_: next(calls))
        quick = truth.against(*asked, effort)
        assert quick.how == "2,400 coalitions by numbers"
        np.testing.assert_allclose(quick.values, slow.values, rtol=0, atol=1e-6)
        calls = iter([1e10])
        patched.setattr(truth, "PATIENT", 1e9)
        other = truth.Game(model, "probability", lambda x: f(x) ** 1.01, np.asarray)
        assert truth.against(other, *asked[1:], effort).how == "2,400 coalitions"


@pytest.mark.parametrize("n_known", [0, 1, 3])
def test_an_error_is_that_of_the_rows_whose_truth_is_known(n_known):
    from benchmarks.timing import Contender, Effort, measure

    rows = np.arange(1.0, 61)[:, np.newaxis]
    contender = Contender(lambda _n: lambda some: 1.1 * some, 0.0, 0, 0)
    found = measure(contender, rows, rows[:3], rows[:n_known], Effort((1,), 9, 9))
    assert found["values"] == pytest.approx(1.1 * rows[:3])
    assert [round(error, 6) for _, _, error in found["points"]] == [0.1] * bool(n_known)


def test_another_game_is_refused():
    from benchmarks.grid import same_game

    assert same_game(0.5, 0.5 + 1e-6, 0.0, "peer") < 2e-6
    assert same_game(0.5, 0.501, 0.002, "peer") < 0.002  # another version fitted the model
    with pytest.raises(AssertionError, match="another game"):
        same_game(0.5, 0.501, 0.0, "peer")


def test_a_worker_answers_from_a_process_of_its_own():
    from benchmarks import environments, models
    from benchmarks.subjects import subjects

    subject = next(s for s in subjects() if s.name == "LogisticRegression, margin")
    some, background = subject.fresh(2, 1), subject.background(10)
    exact = (some - background.mean(axis=0)) * subject.estimator.coef_
    job = {
        "model": subject.key, "space": subject.space, "train": subject.train,
        "labels": subject.labels, "pool": subject.fresh(40, 2), "some": some,
        "outputs": subject.f(some), "sizes": (1,), "seconds": 0.2, "climb": 0.1,
        "backgrounds": [10], "background_10": background, "truth_10": exact,
    }  # fmt: skip
    told = environments.run(sys.executable, "benchmarks.peers.shap_kernel", job)
    (found,) = told["answers"]
    assert told["outputs_apart"] == 0
    assert told["library"] == f"shap {version('shap')}"
    assert found["points"][0][2] < 1e-9  # of a linear game, shap's least squares are exact
    f = models.outputs(subject.estimator, "margin")
    assert found["base_value"] == pytest.approx(f(background).mean())
    with pytest.raises(RuntimeError, match="failed"):
        environments.run(sys.executable, "benchmarks.peers.shap_kernel", {"model": "no such"})


@pytest.mark.parametrize(
    "name", ["alibi", "azure_server", "guide", "k6", "mlserver", "plots", "shapiq"]
)
def test_environments_are_pinned_by_hash_and_name_no_index(name):
    lines = (ROOT / "benchmarks" / "environments" / f"{name}.txt").read_text().splitlines()
    named = [line for line in lines if not line.startswith(" ")]
    assert named
    assert all("==" in line for line in named)
    assert all(line.strip().startswith("--hash=sha256:") for line in lines if line[0] == " ")
    assert sum("--hash" in line for line in lines) >= len(named)
    assert not any("://" in line or "index" in line for line in lines)
    assert name in (ROOT / "Makefile").read_text().partition("PEERS = ")[2].splitlines()[0]


@pytest.mark.slow
@pytest.mark.timeout(900)  # it times models against each other, on a machine that may be busy
def test_the_benchmark_runs(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "RESULTS.md").read_text()
    assert page in done.stdout
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["server"]["process"]["imported"] == []
    grid = results["grid"]["cells"]
    assert {"shapserve", "shap kernel", "shap linear", "shap tree"} <= {
        cell["contender"] for cell in grid
    }
    assert all(f"| {cell['workload']} " in page for cell in grid)
    assert max(cell["base_values_apart"] for cell in grid) < 1e-5
    trees = [c for c in grid if c["contender"] == "shap tree"]
    assert all(c["error"] < 0.05 for c in trees)
