"""The differential fuzz, longer: SHAPSERVE_FUZZ_SEEDS=FIRST:LAST says which seeds are tried."""

from __future__ import annotations

import os

import pytest

from tests.fuzz.run import outcomes, span, summary

OPEN = {
    1003: "an MLP whose answers about the sample are nearly constant is not saved",
    1070: "takes longer than a minute",
    1224: "an unused category that the model refuses as NaN is answered",
    1350: "a forest's mean over the background is another one",
    1391: "values of whole categories that a function of text reads as floats beside a gap",
}
"""Seeds whose faults, or whose model's own changes of mind, are not traced to their end yet."""

SEEDS = span(os.environ.get("SHAPSERVE_FUZZ_SEEDS", "1000:1400"))
MOST_REFUSED = 0.15
"""The share of pipelines that may be refused, clearly, at distillation."""

TRIED = [seed for seed in SEEDS if seed not in OPEN]

MOST_UNSTEADY = 0.05
"""The share whose model changes its mind with the block, so that nothing is held against it."""

pytestmark = [pytest.mark.soak, pytest.mark.timeout(10 * len(SEEDS) + 600)]


def test_random_pipelines_answer_what_their_models_answer():
    counts = summary(list(outcomes(TRIED, jobs=os.cpu_count() or 1)))
    print({name: counts[name] for name in counts if name != "groups"})  # noqa: T201 the log of a soak
    assert counts["groups"] == []
    assert counts["n_cases"] == len(TRIED)
    assert counts["results"].get("refused", 0) <= MOST_REFUSED * len(SEEDS)
    assert counts["results"].get("unsteady", 0) <= MOST_UNSTEADY * len(SEEDS)
    assert len(counts["estimators"]) >= 12
