"""Drift of attributions, held against a direct computation."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

import numpy as np
import pytest

from scoring import KernelScoringExplainer, TabularExplainer, artifact
from scoring.reference import reference_of
from service import drift
from service.drift import FEWEST_ROWS, HALF_LIFE, Drift, readings
from service.drift_metrics import DriftCollector
from service.scorer import load_scorers
from service.settings import Source
from tests.service.serving import served

NAMES = ("strong", "weak", "constant", "rare")


def draw(n_rows, seed, shift=0.0):
    """Values (n_rows, 4, 2): numbers, a constant and two values, for two mirrored outputs."""
    rng = np.random.default_rng(seed)
    strong = rng.normal(shift, 1.0, n_rows)
    weak = rng.gamma(2.0, 0.05, n_rows)
    constant = np.full(n_rows, 0.02) * (1 + rng.choice([-1e-9, 0, 1e-9], n_rows))
    rare = np.where(rng.random(n_rows) < 0.3, 0.5, -0.1)
    one = np.stack([strong, weak, constant, rare], axis=1)
    return np.stack([one, -one], axis=2)


REFERENCE = reference_of(draw(600, 0), "validation")


def of(stream, **options):
    found = Drift(REFERENCE, NAMES, **options)
    for values in stream:
        found.observe(values)
    return found


def directly(values, half_life=HALF_LIFE):
    """Mean |value| and the index by feature, one row and one bin after the other."""
    weights = [0.5 ** ((len(values) - 1 - i) / half_life) for i in range(len(values))]
    total, told = sum(weights), {}
    for j, name in enumerate(NAMES):
        indices = []
        for o in range(2):
            edges = REFERENCE.edges[j, o]
            limits = sorted(set(edges.tolist()))
            n_bins = len(limits) + 1
            index = 0.0
            for b in range(n_bins):
                low = limits[b - 1] if b else -np.inf
                high = limits[b] if b < n_bins - 1 else np.inf
                now = sum(
                    w for w, v in zip(weights, values[:, j, o], strict=True) if low <= v < high
                )
                then = sum(
                    share
                    for share, a, z in zip(
                        REFERENCE.shares[j, o],
                        [-np.inf, *edges],
                        [*edges, np.inf],
                        strict=True,
                    )
                    if a >= low and z <= high and a < z
                )
                p = (now + 0.5) / (total + 0.5 * n_bins)
                q = (then * REFERENCE.n_rows + 0.5) / (REFERENCE.n_rows + 0.5 * n_bins)
                index += (p - q) * np.log(p / q)
            indices.append(index)
        absolute = np.abs(values[:, j]).mean(axis=1)
        told[name] = (np.average(absolute, weights=weights), max(indices))
    return told


def by_name(found):
    return {reading.feature: reading for reading in found.readings()}


@pytest.mark.parametrize("half_life", [HALF_LIFE, 100])
def test_readings_are_those_of_a_direct_computation(half_life):
    values = draw(700, 1, shift=0.3)
    expected = directly(values, half_life)
    for reading in of([values], half_life=half_life).readings():
        mean_abs, index = expected[reading.feature]
        np.testing.assert_allclose([reading.mean_abs, reading.psi], [mean_abs, index], rtol=1e-9)


def test_however_rows_come_in_requests_the_sums_are_the_same():
    values = draw(650, 2)
    one_by_one = of(values[i : i + 1] for i in range(650))
    together, mixed = of([values]), of(np.split(values, [1, 2, 300, 301, 640]))
    for other in (together, mixed):
        for name in ("weight", "absolute", "counts"):
            found, expected = (getattr(each.sums(), name) for each in (other, one_by_one))
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        assert other.sums().n_rows == 650


def test_a_stream_that_does_not_drift_stays_low():
    found = of(draw(1, seed) for seed in range(3000))
    assert all(reading.psi < 0.1 for reading in found.readings())


def test_a_stream_that_drifts_is_seen_within_the_half_life():
    found = of([draw(5000, 1)])
    assert by_name(found)["strong"].psi < 0.1
    found.observe(draw(HALF_LIFE, 2, shift=2.0))
    told = by_name(found)
    assert told["strong"].psi > 0.25
    assert told["strong"].mean_abs > 1.3 * told["strong"].reference_mean_abs
    assert max(told[name].psi for name in ("weak", "constant", "rare")) < 0.1
    found.observe(draw(7 * HALF_LIFE, 3))  # and forgotten again
    assert by_name(found)["strong"].psi < 0.1


def test_a_constant_that_moves_is_seen_and_one_that_is_rounded_is_not():
    found = of([draw(1000, 1)])
    assert by_name(found)["constant"].psi < 0.01
    moved = draw(1000, 2)
    moved[:, 2] *= 1.1
    found.observe(moved)
    assert by_name(found)["constant"].psi > 0.25


def test_it_says_nothing_before_there_are_enough_rows():
    found = of([draw(FEWEST_ROWS - 1, 1)])
    assert all(np.isnan([r.mean_abs, r.psi]).all() for r in found.readings())
    assert by_name(found)["strong"].reference_mean_abs > 0
    found.observe(draw(1, 2))
    assert all(np.isfinite([r.mean_abs, r.psi]).all() for r in found.readings())
    few = replace(REFERENCE, n_rows=59)
    found = Drift(few, NAMES)
    found.observe(draw(500, 1))
    assert all(np.isfinite(r.mean_abs) and np.isnan(r.psi) for r in found.readings())


def test_rows_without_an_answer_are_passed_over():
    values = draw(300, 1)
    broken = np.insert(values, [5, 100], np.nan, axis=0)
    broken[200, 0, 0] = np.inf
    kept = np.delete(broken, [5, 101, 200], axis=0)
    found, expected = of([broken]), of([kept])
    assert found.sums().n_rows == 299
    np.testing.assert_allclose(found.sums().counts, expected.sums().counts)
    nothing = of([values[:0], np.full((1, 4, 2), np.nan)])
    assert nothing.sums().n_rows == 0


def test_sums_of_several_processes_add_up():
    parts = [of([draw(400, seed)]).sums() for seed in (1, 2)]
    both = parts[0] + parts[1]
    told = readings(REFERENCE, NAMES, both)
    assert both.n_rows == 800
    mean = sum(part.absolute for part in parts) / sum(part.weight for part in parts)
    np.testing.assert_allclose(
        {r.feature: r.mean_abs for r in told}["strong"], mean[0].mean(), rtol=1e-12
    )
    assert all(reading.psi < 0.1 for reading in told)


def sharing(tmp_path, n):
    """As many processes would have, but all here."""
    found = [Drift(REFERENCE, NAMES) for _ in range(n)]
    for place, each in enumerate(found):
        each.share(tmp_path / "sums", place, n)
    return found


def told_by(found):
    return {r.feature: (r.reference_mean_abs, r.mean_abs, r.psi) for r in found.readings()}


def test_processes_that_share_a_file_tell_what_one_would_that_saw_all(tmp_path):
    values = draw(4000, 1)
    values[3000:] = draw(1000, 2, shift=1.0)
    alone, several = of([values]), sharing(tmp_path, 3)
    for i in range(4000):  # some have more to do than others
        several[(0, 0, 0, 1, 1, 2)[i % 6]].observe(values[i : i + 1])
    assert told_by(several[0]) == told_by(several[2])
    sums, expected = several[1].sums(), alone.sums()
    assert sums.n_rows == 4000
    np.testing.assert_allclose(sums.weight, expected.weight, rtol=0.05)
    np.testing.assert_allclose(sums.counts, expected.counts, rtol=0.1, atol=3)
    for name, reading in by_name(several[0]).items():
        np.testing.assert_allclose(reading.psi, by_name(alone)[name].psi, rtol=0.1, atol=0.005)


def test_one_that_has_nothing_to_do_any_more_does_not_tell_of_old_times(tmp_path):
    idle, busy = sharing(tmp_path, 2)
    idle.observe(draw(2000, 1, shift=3.0))
    assert by_name(busy)["strong"].psi > 0.25
    busy.observe(draw(7 * HALF_LIFE, 2))
    assert by_name(idle)["strong"].psi < 0.1


def test_who_takes_a_place_goes_on_with_its_sums(tmp_path):
    first, other = sharing(tmp_path, 2)
    first.observe(draw(300, 1))
    before = told_by(other)
    successor = Drift(REFERENCE, NAMES)
    successor.share(tmp_path / "sums", 0, 2)
    assert told_by(successor) == told_by(other) == before
    successor.observe(draw(50, 2))
    assert other.sums().n_rows == 350


def test_what_a_killed_process_left_half_added_is_begun_anew(tmp_path):
    first, other = sharing(tmp_path, 2)
    other.observe(draw(250, 1))
    first._begin(10)  # and never ends
    assert other.sums().n_rows == 260  # waits for it for a moment, not for ever
    Drift(REFERENCE, NAMES).share(tmp_path / "sums", 0, 2)
    assert other.sums().n_rows == 250
    assert np.isfinite(by_name(other)["strong"].psi)


def test_who_reads_in_the_middle_of_an_addition_reads_again(tmp_path):
    writer, reader = sharing(tmp_path, 2)
    writer.observe(draw(300, 1))
    before = writer.sums().weight
    writer._begin(5)

    def finish():
        writer._notes[4] += 5.0
        writer._end()

    timer = threading.Timer(0.005, finish)  # a few tries later
    timer.start()
    found = reader.sums()
    timer.join()
    assert found.n_rows == 305
    np.testing.assert_allclose(found.weight, before * 0.5 ** (5 / HALF_LIFE) + 5)
    row = writer._table[0]
    assert row[0] == row[1] == 3


def test_memory_does_not_grow_with_rows():
    found = Drift(REFERENCE, NAMES)

    def held():
        return sum(v.nbytes for v in vars(found).values() if isinstance(v, np.ndarray))

    before, kinds = held(), {type(v) for v in vars(found).values()}
    found.observe(draw(20_000, 1))
    assert held() == before
    assert not kinds & {list, dict}


def test_many_threads_lose_no_row():
    found, value = Drift(REFERENCE, NAMES, half_life=1e12), draw(1, 1)

    def work():
        for _ in range(500):
            found.observe(value)
            found.observe(np.repeat(value, 3, axis=0))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert found.sums().n_rows == 8000
    np.testing.assert_allclose(found.sums().counts.sum(axis=2), 8000, rtol=1e-6)


def test_fifty_features_have_names_and_the_rest_is_summed():
    values = np.random.default_rng(0).normal(size=(500, 1, 1)) * np.arange(60, 0, -1)[:, None]
    names = tuple(f"f{j}" for j in range(60))
    found = Drift(reference_of(values, "validation"), names)
    found.observe(values)
    told = found.readings()
    assert [reading.feature for reading in told] == [*names[:50], "other"]
    rest = found.sums().absolute[50:].sum() / found.sums().weight
    np.testing.assert_allclose(told[-1].mean_abs, rest)
    np.testing.assert_allclose(
        told[-1].reference_mean_abs, np.abs(values[:, 50:]).mean(axis=0).sum()
    )
    taken = Drift(found.reference, ("other", *names[1:])).readings()
    assert len({reading.feature for reading in taken}) == 51


def test_the_rest_is_as_far_as_the_one_that_drifted():
    values = np.random.default_rng(0).normal(size=(500, 60, 1)) * np.arange(60, 0, -1)[:, None]
    found = Drift(reference_of(values, "validation"), tuple(f"f{j}" for j in range(60)))
    moved = values.copy()
    moved[:, 57] += 20
    found.observe(moved)
    assert found.readings()[-1].psi > 0.25
    assert max(reading.psi for reading in found.readings()[:-1]) < 0.1


def test_values_of_something_else_are_a_mistake():
    with pytest.raises(ValueError, match="other features"):
        Drift(REFERENCE, NAMES).observe(np.zeros((1, 3, 2)))


# --- In the service -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scorers(tmp_path_factory):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(5)
    x = rng.normal(size=(400, 3))
    model = LogisticRegression().fit(x, x[:, 0] + 0.3 * x[:, 1] > 0)
    explainer = KernelScoringExplainer(
        TabularExplainer(model, x, features=["a", "b", "c"]),
        output_spaces=("margin",),
        baselines={"first": x[:10]},
        name="small",
        reference_rows=400,
    )
    directory = artifact.save(explainer, tmp_path_factory.mktemp("drift") / "artifact")
    return load_scorers([Source(None, directory, None)])


def gauges(client):
    found = re.findall(
        r'^shapserve_attribution_(\w+)\{feature="(\w+)",model="small"\} (\S+)$',
        client.get("/metrics").text,
        re.MULTILINE,
    )
    return {(name, feature): float(number) for name, feature, number in found}


def columns(x):
    return {name: x[:, j].tolist() for j, name in enumerate("abc")}


def records(x):
    return [dict(zip("abc", row, strict=True)) for row in x.tolist()]


def test_gauges_follow_what_is_scored(scorers):
    rng = np.random.default_rng(6)
    scorer = scorers["small"]
    with served(scorers) as client:
        told = gauges(client)
        assert set(told) == {("reference_mean_abs", feature) for feature in "abc"}
        ordinary = rng.normal(size=(1000, 3))
        assert client.post("/score", json=records(ordinary)).status_code == 200
        told = gauges(client)
        assert len(told) == 9
        assert told["psi", "a"] < 0.1
        values = scorer.explainer.explain_local(ordinary).values
        mean_abs = told["mean_abs", "a"]
        assert abs(mean_abs / np.abs(values[:, 0]).mean() - 1) < 0.1
        shifted = ordinary + np.array([2.0, 0, 0])
        assert client.post("/score", json=records(shifted)).status_code == 200
        told = gauges(client)
        assert told["psi", "a"] > 0.25
        assert told["psi", "c"] < 0.1


def test_other_spaces_and_baselines_are_not_mixed_in(scorers):
    scorer = replace(scorers["small"])  # with nothing added up yet
    explainer = scorer.explainer
    table = explainer.predictor.schema.encode(np.zeros((5, 3)))
    for other in (explainer.in_space("margin"), explainer.against("first")):
        scorer.observe(other.score(table))
    assert scorer.drift.sums().n_rows == 0
    scorer.observe(explainer.score(table))
    assert scorer.drift.sums().n_rows == 5
    fewer = explainer.score(table)
    scorer.observe(replace(fewer, explanation=fewer.explanation.select([0])))
    assert scorer.drift.sums().n_rows == 5


def test_warming_up_is_not_observed(scorers):
    before = scorers["small"].drift.sums().n_rows
    scorers["small"].warm_up()
    assert scorers["small"].drift.sums().n_rows == before


def test_nothing_is_computed_before_somebody_scrapes(scorers, monkeypatch):
    def never(*_):
        raise AssertionError("computed without being asked")

    monkeypatch.setattr(drift, "readings", never)
    DriftCollector(scorers).describe()
    table = scorers["small"].explainer.predictor.schema.encode(np.zeros((2, 3)))
    scorers["small"].observe(scorers["small"].explainer.score(table))
