"""Merged requests answer what they answer alone; bit by bit where values are exact."""

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import pytest

from scoring import artifact
from service.engine import Engine
from service.metrics import STAGES, Metrics
from service.options import Options
from service.record import begin
from service.row_filter import RowFilter
from service.scorer import Scored, Scorer, Table
from service.settings import Settings
from tests.service.fakes import RAISE, ROWS, SCHEMA, fake_scorer
from tests.service.serving import metric, post
from tests.service.slow import slow_scorer

SECONDS = 60


def engine(**settings):
    return Engine(Settings(**settings), Metrics(), workers=1)


def gathered(engine, scorer, tables, options, explainer=None):
    """Score all tables at once; those after the first wait for the only worker."""

    async def scenario():
        async with asyncio.timeout(SECONDS):
            work = [
                asyncio.ensure_future(engine.score(scorer, table, each))
                for table, each in zip(tables, options, strict=True)
            ]
            if explainer is not None:
                await asyncio.sleep(0.1)
                explainer.go.set()
            return await asyncio.gather(*work, return_exceptions=True)

    return asyncio.run(scenario())


def assert_equal(one: Scored, other: Scored, tolerance: float) -> None:
    np.testing.assert_array_equal(one.predictions, other.predictions)
    mine, theirs = one.explanation, other.explanation
    for name in ("values", "outputs", "standard_errors", "remainder"):
        first, second = getattr(mine, name), getattr(theirs, name)
        assert (first is None) == (second is None)
        if first is not None:
            np.testing.assert_allclose(first, second, rtol=0, atol=tolerance)
    if one.probabilities is not None:
        assert other.probabilities is not None
        np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=0, atol=tolerance)
    assert mine.reason_codes == theirs.reason_codes
    assert (mine.method, mine.n_coalitions) == (theirs.method, theirs.n_coalitions)


def rows_of(schema, rng, n, cities=("Ghent", "Lille", "Bruges", "Metz", "Oslo")):
    """Rows of records with texts, gaps and categories that training never saw."""
    return schema.encode_columns(
        {
            "age": rng.normal(50, 9, n).round(3),
            "rooms": [None if rng.random() < 0.2 else int(rng.integers(1, 9)) for _ in range(n)],
            "owner": [bool(flag) for flag in rng.random(n) < 0.5],
            "city": [str(city) for city in rng.choice(cities, n)],
            "plan": [[None, "basic", "plus"][k] for k in rng.integers(0, 3, n)],
        }
    )


def test_tables_are_put_together_whatever_categories_they_bring():
    rng = np.random.default_rng(0)
    tables = [rows_of(SCHEMA, rng, n) for n in (1, 4, 2, 7)]
    merged = fake_scorer().merged(tables)
    start = 0
    for table in tables:
        for j, known in enumerate(table.categories):
            there, back = table.codes[:, j], merged.codes[start : start + table.n_rows, j]
            np.testing.assert_array_equal(np.isnan(there), np.isnan(back))
            if known:
                values = [known[int(code)] for code in there[~np.isnan(there)]]
                assert values == [merged.categories[j][int(c)] for c in back[~np.isnan(back)]]
            else:
                np.testing.assert_array_equal(there, back)
        start += table.n_rows
    assert [len(set(each)) for each in merged.categories] == [len(c) for c in merged.categories]
    assert merged.categories[3][:2] == ("Ghent", "Lille")
    assert merged.notes == ()


def test_merged_requests_answer_what_they_answer_alone():
    scorer, explainer = slow_scorer()
    rng = np.random.default_rng(1)
    # The fake model adds codes up, so categories that training never saw would count differently.
    known = ["Ghent", "Lille"]
    tables = [rows_of(SCHEMA, rng, n, known) for n in rng.integers(1, 6, 20)]
    alone = [scorer.score(scorer.merged([table])) for table in tables]
    explainer.calls.clear()
    explainer.go.clear()
    found = gathered(engine(), scorer, tables, [Options()] * 20, explainer)
    assert sum(explainer.calls) == sum(table.n_rows for table in tables)
    assert len(explainer.calls) <= 2
    for one, other in zip(alone, found, strict=True):
        assert_equal(one, other, 1e-15)


def test_a_deadline_is_never_shared():
    scorer, explainer = slow_scorer()
    tables = [rows_of(SCHEMA, np.random.default_rng(n), 1) for n in range(6)]
    options = [Options(), *[Options(deadline_ms=50.0)] * 3, *[Options()] * 2]
    explainer.go.clear()
    gathered(engine(), scorer, tables, options, explainer)
    assert sorted(explainer.calls) == [1, 1, 1, 3]


def test_other_options_and_other_models_are_not_mixed():
    scorer, explainer = slow_scorer()
    again = Scorer("again", explainer, "ab" * 32)
    tables = [rows_of(SCHEMA, np.random.default_rng(n), 1) for n in range(7)]
    spaces = [Options(), *[Options(output_space="probability")] * 3]
    explainer.go.clear()

    async def scenario():
        both = engine()
        async with asyncio.timeout(SECONDS):
            work = [both.score(scorer, t, o) for t, o in zip(tables, spaces, strict=False)]
            work += [both.score(again, table, Options()) for table in tables[4:]]
            running = [asyncio.ensure_future(each) for each in work]
            await asyncio.sleep(0.1)
            explainer.go.set()
            await asyncio.gather(*running)

    asyncio.run(scenario())
    assert sorted(explainer.calls) == [1, 3, 3]


def test_one_bad_row_fails_alone_over_http(serve):
    scorer, explainer = slow_scorer()
    client = serve(Settings(concurrency=1), {"houses": scorer})
    explainer.go.clear()
    bad = [ROWS[0] | {"age": RAISE}]
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(post, client, rows) for rows in [ROWS, ROWS[:1], bad, ROWS[1:], bad]]
        time.sleep(0.3)  # all but the first wait
        explainer.go.set()
        statuses = [each.result(SECONDS).status_code for each in sent]
    assert statuses == [200, 200, 500, 200, 500]
    assert metric(client, "shapserve_unexpected_exceptions_total") == 2
    assert [len(each.result().json()["predictions"]) for each in sent[:2]] == [3, 1]


def test_warnings_go_to_the_request_that_they_are_about(serve):
    scorer, explainer = slow_scorer()
    client = serve(Settings(concurrency=1), {"houses": scorer})
    explainer.go.clear()
    unseen = ROWS[0] | {"city": "Bruges"}
    bodies = [[ROWS[0], unseen], ROWS, [unseen], ROWS[:2], [*ROWS, unseen]]
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(post, client, rows) for rows in bodies]
        explainer.go.set()
        told = [[w["row"] for w in each.result(SECONDS).json()["warnings"]] for each in sent]
    assert told == [[1], [], [0], [], [3]]


def real(directory):
    explainer = artifact.load(directory)
    return Scorer(explainer.name, explainer, "ef" * 32)


def distinct(scorer, seed, sizes):
    """Requests of random rows, all different, around the sample."""
    rng = np.random.default_rng(seed)
    for n in sizes:
        codes = np.tile(scorer.sample, (n, 1))
        for j, known in enumerate(scorer.schema.code_tables):
            codes[:, j] = rng.integers(0, len(known), n) if known else codes[:, j] + rng.random(n)
        yield Table(codes, scorer.schema.code_tables)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """Of an exact game of trees, and of kernels over a twin: a network and a machine."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    from scoring import KernelScoringExplainer, TabularExplainer

    x, y = load_breast_cancer(return_X_y=True)
    x = x[:, :16]
    network = MLPClassifier((16,), max_iter=60, tol=0.1, random_state=0)
    models = {
        "trees": RandomForestClassifier(20, max_depth=5, random_state=0),
        "network": make_pipeline(StandardScaler(), network),
        "machine": make_pipeline(StandardScaler(), SVR()),
    }
    made = {}
    for name, model in models.items():
        made[name] = tmp_path_factory.mktemp(name) / "artifact"
        full = TabularExplainer(model.fit(x[:300], y[:300]), x[:100])
        method: Literal["auto", "kernel"] = "auto" if name == "trees" else "kernel"
        explainer = KernelScoringExplainer(
            full, validation=x[300:320], method=method, n_coalitions=256, strict=False, name=name
        )
        artifact.save(explainer, made[name])
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tolerance"), [("trees", 1e-12), ("network", 1e-6), ("machine", 1e-6)]
)
def test_batched_equals_unbatched_for_real_models(artifacts, name, tolerance):
    scorer = real(artifacts[name])
    sizes = [1, 1, 3, 1, 9, 2, 1, 1, 30, 1]
    tables = list(distinct(scorer, 5, sizes))
    alone = [scorer.score(table) for table in tables]
    merged = scorer.score(scorer.merged(tables))
    ends = np.cumsum(sizes)
    furthest = 0.0
    for one, n, end in zip(alone, sizes, ends, strict=True):
        assert_equal(one, merged.take(slice(end - n, end)), tolerance)
        part = merged.take(slice(end - n, end)).explanation.values
        furthest = max(furthest, float(np.abs(part - one.explanation.values).max()))
    print(f"{name}: {furthest:.1e}")  # noqa: T201 for the report
    for one, other in zip(alone, gathered(engine(), scorer, tables, [Options()] * 10), strict=True):
        assert_equal(one, other, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trees", "network"])
def test_a_long_request_in_parts_is_the_whole(artifacts, name):
    scorer = real(artifacts[name])
    [table] = distinct(scorer, 6, [50])
    [parts] = gathered(engine(max_batch_rows=7), scorer, [table], [Options()])
    assert_equal(scorer.score(table), parts, 1e-6)


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Of trees that predict and explain in one walk."""
    from sklearn.ensemble import RandomForestClassifier

    from scoring import TabularExplainer, TreeScoringExplainer

    x = np.random.default_rng(0).normal(size=(200, 4))
    model = RandomForestClassifier(10, max_depth=3, random_state=0).fit(x, x[:, 0] > 0)
    full = TabularExplainer(model, x, features=list("abcd"), classes=["0", "1"])
    return artifact.save(TreeScoringExplainer(full), tmp_path_factory.mktemp("walk") / "artifact")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "stages"),
    [
        ("network", Options(), {"predict", "explain"}),
        ("network", Options(explain=False), {"predict"}),
        ("walk", Options(), {"explain"}),
        ("walk", Options(explain=RowFilter(above=0.5, of="1")), {"predict", "explain"}),
    ],
)
def test_what_is_computed_apart_is_timed_apart(artifacts, walk, name, options, stages):
    scorer = real(artifacts.get(name, walk))
    [table] = distinct(scorer, 7, [40])
    metrics, ours = Metrics(), begin({"type": "http"}, "a")
    one = Engine(Settings(), metrics, workers=1)
    began = time.perf_counter()
    asyncio.run(one.score(scorer, table, options))
    took = time.perf_counter() - began
    spans = {span.stage: span for span in ours.spans if span.stage != "queue"}
    assert set(spans) == stages
    seconds = sum(span.ended - span.began for span in spans.values())
    assert 0 < seconds < took
    if len(spans) == 2:
        assert spans["predict"].ended == spans["explain"].began
        assert spans["predict"].began < spans["predict"].ended < spans["explain"].ended
    for stage in STAGES:
        told = re.search(rf'stage_seconds_count{{stage="{stage}"}} (\S+)', metrics.text().decode())
        assert told
        assert float(told[1]) == (stage in stages or stage == "queue")
