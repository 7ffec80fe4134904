"""Whether everything fits, with the limit passed in."""

import pytest

from service.memory import LEAST_BLOCK, NotEnoughMemory, block_bytes_that_fit, resident_bytes
from service.pace import Pace
from service.scorer import load_scorers
from service.settings import Source

MIB = 2**20


def test_blocks_are_as_large_as_wanted_where_there_is_room():
    assert (
        block_bytes_that_fit(4096 * MIB, 200 * MIB, 256 * MIB, 64 * MIB, 4, 256 * MIB) == 256 * MIB
    )


def test_blocks_shrink_to_what_is_left():
    found = block_bytes_that_fit(1024 * MIB, 200 * MIB, 256 * MIB, 64 * MIB, 4, 256 * MIB)
    assert found == (1024 - 200 - 256 - 64 - 128) * MIB // 4


def test_what_does_not_fit_is_told_in_numbers():
    with pytest.raises(NotEnoughMemory) as told:
        block_bytes_that_fit(512 * MIB, 300 * MIB, 256 * MIB, 48 * MIB, 4, 256 * MIB)
    least = 300 + 256 + 48 + 64 + 4 * LEAST_BLOCK // MIB
    for number in (512, least, 300, 256, 48, 64):
        assert f"{number} MiB" in str(told.value)
    assert "\n" not in str(told.value)
    assert block_bytes_that_fit(least * MIB * 8 // 7, 300 * MIB, 256 * MIB, 48 * MIB, 4, MIB)


def test_this_process_takes_memory():
    assert resident_bytes() > 20 * MIB


@pytest.mark.slow
def test_explainers_get_the_block_that_fits(numeric):
    sources = [Source(None, numeric, None)]
    asked = []

    def fit(wanted):
        asked.append(wanted)
        return 10 * MIB

    [shrunk] = load_scorers(sources, fit).values()
    [whole] = load_scorers(sources, lambda wanted: wanted).values()
    assert shrunk.explainer.block_bytes == 10 * MIB
    assert asked == [whole.explainer.block_bytes]
    assert shrunk.explainer.game.block_bytes == 10 * MIB  # type: ignore[attr-defined]


def test_the_pace_believes_shorter_times_at_once_and_longer_ones_slowly():
    pace = Pace()
    assert pace.expected("a", 1) is None
    pace.note("a", 1, 1.0)
    pace.note("a", 1, 0.1)
    assert pace.expected("a", 1) == 0.1
    pace.note("a", 1, 10.0)
    assert pace.expected("a", 1) == pytest.approx(1.09)
    assert pace.expected("a", 2) is None
    assert pace.expected("b", 1) is None
    for kind in range(1000):
        pace.note(kind, 1, 1.0)
    assert pace.expected("a", 1) is None  # forgotten: what is remembered is bounded
