"""The differential fuzz, longer: SHAPSERVE_FUZZ_SEEDS=FIRST:LAST says which seeds are tried."""

from __future__ import annotations

import os

import pytest

from tests.fuzz.run import outcomes, span, summary

SEEDS = span(os.environ.get("SHAPSERVE_FUZZ_SEEDS", "1000:1400"))
MOST_REFUSED = 0.15
"""The share of pipelines that may be refused, clearly, at distillation."""

pytestmark = [pytest.mark.soak, pytest.mark.timeout(10 * len(SEEDS) + 600)]


def test_random_pipelines_answer_what_their_models_answer():
    counts = summary(list(outcomes(SEEDS, jobs=os.cpu_count() or 1)))
    print({name: counts[name] for name in counts if name != "groups"})  # noqa: T201 the log of a soak
    assert counts["groups"] == []
    assert counts["n_cases"] == len(SEEDS)
    assert counts["results"].get("refused", 0) <= MOST_REFUSED * len(SEEDS)
    assert len(counts["estimators"]) >= 12
