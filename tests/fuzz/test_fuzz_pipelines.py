"""Small cases of the differential fuzz; `python -m tests.fuzz.run --small --seed N` shows one."""

from __future__ import annotations

import json

import pytest

from tests.fuzz.check import outcome_of

SEEDS = range(200)
CHUNKS = 8


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_pipelines_answer_what_their_models_answer(chunk):
    outcomes = [outcome_of(seed, small=True) for seed in SEEDS[chunk::CHUNKS]]
    faults = [outcome.as_dict() for outcome in outcomes if outcome.findings]
    assert not faults, json.dumps(faults, indent=1)
    assert sum(outcome.result == "unsteady" for outcome in outcomes) <= 2
    assert any(outcome.n_brute for outcome in outcomes)
