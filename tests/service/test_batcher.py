"""The batcher by itself: what it merges, and what it survives. Every wait has a timeout."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

from service.batcher import Batcher, Closed, Full, Overdue

SECONDS = 20  # far more than anything here takes


def run(scenario):
    """Run a coroutine function under a timeout."""

    async def timed():
        async with asyncio.timeout(SECONDS):
            return await scenario()

    return asyncio.run(timed())


class Work:
    """Doubles numbers; can be held up, and raises for negative ones."""

    def __init__(self):
        self.batches = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()

    def __call__(self, key, items):
        self.batches.append(list(items))
        self.began.set()
        assert self.go.wait(SECONDS)
        bad = [item for item in items if item < 0]
        if bad:
            raise ValueError(bad[0])
        return [2 * item for item in items]


def batcher(work, **limits):
    return Batcher(work, **{"workers": 1, "max_size": 100, "max_waiting": 50} | limits)


def tasks(coroutines):
    return [asyncio.ensure_future(each) for each in coroutines]


async def until(condition):
    while not condition():  # noqa: ASYNC110 some of it happens on other threads
        await asyncio.sleep(0.001)


@asynccontextmanager
async def held(work, queue, item=0):
    """While the only worker is busy with `item`; everything after that waits."""
    work.go.clear()
    first = asyncio.ensure_future(queue.submit("k", item, 1))
    await until(work.began.is_set)
    yield first
    work.go.set()


def test_an_item_that_finds_a_free_worker_starts_at_once():
    async def scenario():
        work = Work()
        queue = batcher(work, workers=2)
        work.go.clear()
        first = asyncio.ensure_future(queue.submit("k", 1, 1))
        await until(lambda: work.batches == [[1]])
        second = asyncio.ensure_future(queue.submit("k", 2, 1))
        await until(lambda: work.batches == [[1], [2]])  # while the first is not done
        work.go.set()
        assert list(await asyncio.gather(first, second)) == [2, 4]

    run(scenario)


def each_turn(queue, n_items):
    """Let one item come in every turn of the loop, and each before the queue is looked at."""

    async def after(n_turns):
        for _ in range(n_turns):
            await asyncio.sleep(0)
        return await queue.submit("k", n_turns, 1)

    return tasks(after(n_turns) for n_turns in reversed(range(n_items)))


def test_what_comes_in_the_next_turns_of_the_loop_comes_along():
    async def scenario():
        work = Work()
        await asyncio.gather(*each_turn(batcher(work), 4))
        assert work.batches == [[0, 1, 2, 3]]

    run(scenario)


def test_a_batch_does_not_wait_for_ever_for_what_comes():
    async def scenario():
        work = Work()
        await asyncio.gather(*each_turn(batcher(work), 40))
        assert 4 < len(work.batches[0]) < 20

    run(scenario)


def test_what_waits_is_merged_by_key_in_order_and_bounded():
    async def scenario():
        work = Work()
        queue = batcher(work, max_size=4)
        async with held(work, queue) as first:
            ones = tasks(queue.submit("k", n, 1) for n in range(1, 7))
            others = tasks(queue.submit("other", n, 1) for n in (10, 11))
            await until(lambda: queue.n_waiting == 8)
        assert list(await asyncio.gather(first, *ones)) == [0, 2, 4, 6, 8, 10, 12]
        assert list(await asyncio.gather(*others)) == [20, 22]
        assert work.batches == [[0], [1, 2, 3, 4], [5, 6], [10, 11]]

    run(scenario)


def test_a_large_item_is_not_overtaken_for_ever():
    async def scenario():
        work = Work()
        queue = batcher(work, max_size=4)
        async with held(work, queue) as first:
            sizes = [(1, 2), (2, 4), (3, 2)]
            waiting = tasks(queue.submit("k", n, size) for n, size in sizes)
            await until(lambda: queue.n_waiting == 3)
        assert list(await asyncio.gather(first, *waiting)) == [0, 2, 4, 6]
        assert work.batches == [[0], [1], [2], [3]]

    run(scenario)


def test_an_oversize_item_goes_alone():
    async def scenario():
        work = Work()
        queue = batcher(work, max_size=4)
        async with held(work, queue) as first:
            waiting = tasks(queue.submit("k", n, size) for n, size in [(1, 1000), (2, 1), (3, 1)])
            await until(lambda: queue.n_waiting == 3)
        assert list(await asyncio.gather(first, *waiting)) == [0, 2, 4, 6]
        assert work.batches == [[0], [1], [2, 3]]

    run(scenario)


@pytest.mark.parametrize("started", [True, False])
def test_the_mates_of_a_cancelled_caller_get_their_answers(started):
    async def scenario():
        work = Work()
        queue = batcher(work)
        async with held(work, queue) as first:
            one, two, three = tasks(queue.submit("k", n, 1) for n in (1, 2, 3))
            await until(lambda: queue.n_waiting == 3)
            if started:  # the three are with the worker when one is cancelled
                work.go.set()
                await first
                await until(lambda: queue.n_waiting == 0)
            two.cancel()
            with pytest.raises(asyncio.CancelledError):
                await two
            assert queue.n_waiting == (0 if started else 2)
        assert list(await asyncio.gather(first, one, three)) == [0, 2, 6]
        assert [1, 3] in work.batches or [1, 2, 3] in work.batches
        await queue.finished()

    run(scenario)


def test_a_cancelled_caller_leaves_no_work_behind():
    async def scenario():
        work = Work()
        queue = batcher(work)
        async with held(work, queue) as first:
            for _ in range(200):  # more than may wait
                task = asyncio.ensure_future(queue.submit("k", 5, 1))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.sleep(0)
            assert queue.n_waiting == 0
        await first
        await queue.finished()
        assert work.batches == [[0]]

    run(scenario)


def test_each_caller_gets_its_own_error_and_good_items_their_answers():
    async def scenario():
        work = Work()
        queue = batcher(work)
        async with held(work, queue) as first:
            waiting = tasks(queue.submit("k", n, 1) for n in (1, -2, 3, -4))
            await until(lambda: queue.n_waiting == 4)
        got = await asyncio.gather(first, *waiting, return_exceptions=True)
        assert [got[n] for n in (0, 1, 3)] == [0, 2, 6]
        assert [(type(got[n]), got[n].args) for n in (2, 4)] == [
            (ValueError, (-2,)),
            (ValueError, (-4,)),
        ]
        assert got[2] is not got[4]
        assert await queue.submit("k", 7, 1) == 14  # and it goes on

    run(scenario)


def test_work_that_answers_too_few_is_an_error_for_all():
    async def scenario():
        queue: Batcher[int, int] = Batcher(
            lambda key, items: [], workers=1, max_size=9, max_waiting=9
        )
        got = await asyncio.gather(
            *(queue.submit("k", n, 1) for n in range(3)), return_exceptions=True
        )
        assert [type(each) for each in got] == [ValueError] * 3

    run(scenario)


def test_a_worker_that_is_stopped_leaves_nobody_waiting():
    def stopped(key, items):
        raise SystemExit

    async def scenario():
        queue = Batcher(stopped, workers=1, max_size=9, max_waiting=9)
        with pytest.raises(RuntimeError, match="stopped"):
            await queue.submit("k", 1, 1)
        await queue.finished()

    run(scenario)


def test_a_full_queue_refuses_and_recovers():
    async def scenario():
        work = Work()
        queue = batcher(work, max_waiting=3)
        async with held(work, queue) as first:
            waiting = tasks(queue.submit("k", n, 1) for n in (1, 2, 3))
            await until(lambda: queue.n_waiting == 3)
            with pytest.raises(Full):
                await queue.submit("k", 4, 1)
            part = asyncio.ensure_future(queue.submit("k", 5, 1, admitted=True))
            await until(lambda: queue.n_waiting == 4)
        assert list(await asyncio.gather(first, *waiting, part)) == [0, 2, 4, 6, 10]
        assert await queue.submit("k", 6, 1) == 12

    run(scenario)


def test_shutdown_finishes_what_is_accepted_and_refuses_what_comes_later():
    async def scenario():
        work = Work()
        queue = batcher(work)
        async with held(work, queue) as first:
            waiting = tasks(queue.submit("k", n, 1) for n in (1, 2))
            await until(lambda: queue.n_waiting == 2)
            queue.close()
            with pytest.raises(Closed):
                await queue.submit("k", 3, 1)
            finished = asyncio.ensure_future(queue.finished())
            await asyncio.sleep(0.05)
            assert not finished.done()
        await finished
        assert [task.result() for task in (first, *waiting)] == [0, 2, 4]

    run(scenario)


def test_time_is_up_for_one_that_waits_and_for_one_that_is_worked_on():
    async def scenario():
        work = Work()
        queue = batcher(work)
        work.go.clear()
        running = asyncio.ensure_future(queue.submit("k", 1, 1, seconds=0.3))
        await until(work.began.is_set)
        waiting = asyncio.ensure_future(queue.submit("k", 2, 1, seconds=0.1))
        mate = asyncio.ensure_future(queue.submit("k", 3, 1))
        for task, started in ((waiting, False), (running, True)):
            with pytest.raises(Overdue) as late:
                await task
            assert late.value.started is started
        work.go.set()
        assert await mate == 6
        assert work.batches == [[1], [3]]  # the one that was given up was never begun

    run(scenario)


def test_quick_work_is_done_in_the_loop_and_merged_with_what_came_in_the_same_moment():
    threads = []

    def work(key, items):
        threads.append((threading.current_thread() is threading.main_thread(), list(items)))
        return items

    async def scenario():
        queue = batcher(work, quick=lambda key, size: size < 3)
        assert await queue.submit("k", 1, 1) == 1
        assert list(await asyncio.gather(*(queue.submit("k", n, 1) for n in (1, 2)))) == [1, 2]
        assert list(await asyncio.gather(*(queue.submit("k", n, 1) for n in (1, 2, 3)))) == [
            1,
            2,
            3,
        ]

    run(scenario)
    assert threads == [(True, [1]), (True, [1, 2]), (False, [1, 2, 3])]
